#!/bin/bash
# Runs `packetboat ftp`, lftp, curl and rclone side by side against the same servers, and prints the ratios.
#
#   bench/ftp-clients.sh                           everything: about half an hour
#   SERVERS=vsftpd ROUNDS=1 bench/ftp-clients.sh big small
#
# What it measures: big (one file down and up), small (many of 4 KiB mirrored down and up, and again with nothing to do),
# delay (both, over a link with a delay). All of them unless named; each in clear and under TLS.
# Settings (environment):
#   PACKETBOAT          the binary to measure (default: target/dist, else target/release)
#   PACKETBOAT_PEERS    the folder of the peers' start scripts (default: ../shared/peers beside this repository)
#   SERVERS='vsftpd packetboat' CLIENTS='packetboat lftp pget curl rclone' SECURITY='clear tls'
#   ROUNDS=3            each client's best counts: what disturbs it is not its own
#   BIG=1073741824 FILES=10000 DELAY_MS=20 DELAY_BIG=33554432 DELAY_FILES=500 CONNECTIONS=4
#   DELAY_PACKET=1500   how long packets of the link with a delay are at most: with 65,000 octets it is decided by chance how soon a
#                       server's window opens that is late to read (docs/decisions/0018)
#   CONGESTION          how the link with a delay is kept from being crowded (default: as the machine does it; reno paces nobody, BBR does)
#   BOUND=1             servers keep to the first processor and clients to the second: where the system puts them decides nothing then
#   WORK                where files are (default: a new directory in memory, below /dev/shm, if there is room for six times BIG,
#                       otherwise below $TMPDIR: then the disk is measured, too); OUT, a file for the raw figures
#
# Whoever fails at a row stands in the table as such. pget is lftp with several connections for one file. Those that several connections make no difference to have one.
# The link with a delay is two network namespaces and bench/delayed-link.py between them, which needs root and
# /dev/net/tun: tc-netem is a module that many kernels do not have. Without them these rows are skipped, loudly.
set -euo pipefail
cd "$(dirname "$0")/.."
SERVERS=${SERVERS-vsftpd packetboat} CLIENTS=${CLIENTS-packetboat lftp pget curl rclone} SECURITY=${SECURITY-clear tls}
ROUNDS=${ROUNDS:-3} BIG=${BIG:-1073741824} FILES=${FILES:-10000} CONNECTIONS=${CONNECTIONS:-4}
DELAY_MS=${DELAY_MS:-20} DELAY_BIG=${DELAY_BIG:-33554432} DELAY_FILES=${DELAY_FILES:-500} DELAY_PACKET=${DELAY_PACKET:-1500}
PEERS=${PACKETBOAT_PEERS:-../shared/peers}
export PEERS_CACHE=${PEERS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/peers}
TARGET=${CARGO_TARGET_DIR:-target}
PACKETBOAT=${PACKETBOAT:-$TARGET/dist/packetboat}
[ -x "$PACKETBOAT" ] || PACKETBOAT=$TARGET/release/packetboat
PACKETBOAT=$(realpath "$PACKETBOAT")
if [ -z "${WORK:-}" ]; then
    ROOM=$(df --output=avail -B1 /dev/shm 2>/dev/null | tail -n 1)
    if [ "${ROOM:-0}" -gt $((6 * BIG)) ]; then ABOVE=/dev/shm; else ABOVE=${TMPDIR:-/tmp}; fi
    WORK=$(mktemp -d "$ABOVE/packetboat-bench.XXXXXX")
fi
OUT=${OUT:-$WORK/figures}
chmod 755 "$WORK"
export PASS=ketchup-and-pickles PACKETBOAT_FTP_PASSWORD=ketchup-and-pickles HOME=$WORK
WHAT=("$@")
[ ${#WHAT[@]} -gt 0 ] || WHAT=(big small delay)

say() { echo "$*" >&2; }
wanted() { [[ " ${WHAT[*]} " == *" $1 "* ]]; }
has() { [ "$1" = packetboat ] || command -v "${1/pget/lftp}" >/dev/null; }

declare -A PID PORT USER_OF PIN
HOST=127.0.0.1
# What goes before a command of the server's or of a client's side: nothing, onto a processor, or into a namespace.
SERVER_SIDE=() CLIENT_SIDE=()
[ -z "${BOUND:-}" ] || SERVER_SIDE=(taskset -c 0) CLIENT_SIDE=(taskset -c 1)

start() {
    local data=$WORK/$1-$HOST
    if [ "$1" = packetboat ]; then start_packetboat "$data"; else start_peer "$1" "$data"; fi
    PIN[$1]=$("${CLIENT_SIDE[@]}" openssl s_client -starttls ftp -connect "$HOST:${PORT[$1]}" </dev/null 2>/dev/null |
        openssl x509 -noout -fingerprint -sha256 | sed 's/.*=//; s/://g')
}

start_packetboat() {
    mkdir -p "$1"
    PORT[packetboat]=32121 USER_OF[packetboat]=u0%40example.test
    cat >"$1/packetboat.toml" <<TOML
host_name = "bench.example.test"
data_dir = "$1/data"
[listen]
smtp = []
submission = []
submissions = []
pop3 = []
pop3s = []
imap = []
imaps = []
ftps = []
ftp = ["$HOST:32121"]
[login]
in_clear = "always"
[limits]
connections_per_address_max = 20000
[ftp]
passive_ports = "20000-29999"
# rclone resumes the session of whichever connection was last, not that of its own.
data_tls = "any"
TOML
    PACKETBOAT_LOG=warn "${SERVER_SIDE[@]}" "$PACKETBOAT" serve --config "$1/packetboat.toml" >"$1/log" 2>&1 &
    PID[packetboat]=$!
    local tries=0
    until "${SERVER_SIDE[@]}" bash -c "exec 3<>/dev/tcp/$HOST/32121" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] && kill -0 "${PID[packetboat]}" 2>/dev/null || { cat "$1/log" >&2; exit 1; }
        sleep 0.05
    done
    "${SERVER_SIDE[@]}" "$PACKETBOAT" domain add example.test --config "$1/packetboat.toml" >/dev/null
    printf %s "$PASS" | "${SERVER_SIDE[@]}" "$PACKETBOAT" account add u0@example.test --config "$1/packetboat.toml" >/dev/null
}

start_peer() {
    PORT[$1]=32221 USER_OF[$1]=u0
    [ -x "$PEERS/$1" ] || { say "SKIPPED: no $1 in $PEERS (set PACKETBOAT_PEERS)"; return 1; }
    # They are of the loopback, unless told otherwise where they have it written down.
    rm -rf "$WORK/peers"
    cp -r "$PEERS" "$WORK/peers"
    sed -i "s/^HOST=.*/HOST=$HOST/" "$WORK/peers/_lib.sh"
    FTP_PORT=32221 USERS=1 "${SERVER_SIDE[@]}" "$WORK/peers/$1" start "$2" >"$2.start" 2>&1 ||
        { say "SKIPPED: $1 does not start: $(tail -n 3 "$2.start")"; return 1; }
    PID[$1]=$(cat "$2/pid")
}

stop() {
    if [ "$1" = packetboat ]; then
        kill "${PID[$1]}" 2>/dev/null || true
        wait "${PID[$1]}" 2>/dev/null || true
    else
        "${SERVER_SIDE[@]}" "$WORK/peers/$1" stop "$WORK/$1-$HOST" >/dev/null 2>&1 || true
    fi
    unset "PID[$1]"
}

LINK=
finish() {
    local server
    for server in "${!PID[@]}"; do stop "$server"; done
    [ -z "$LINK" ] || kill "$LINK" 2>/dev/null || true
    table
    rm -rf "${WORK:?}"/{big,small,target,peers} "${WORK:?}"/*-"$HOST"
}
trap finish EXIT
# A run that is cut short shows what it has.
trap 'exit 1' TERM INT

# One client's way of doing it; lftp would compress by itself (MODE Z) where only some servers can. $1 who, $2 what, $3 the server, $4 clear or tls.
client() {
    local who=$1 what=$2 server=$3 security=$4
    local port=${PORT[$server]} user=${USER_OF[$server]} pin=${PIN[$server]}
    local ours=(--no-tls) lftp="set net:max-retries 2; set ftp:use-mode-z no; set ftp:ssl-allow no;" curl=(-sS --user "${user/\%40/@}:$PASS") rclone=()
    if [ "$security" = tls ]; then
        ours=(--fingerprint "$pin")
        lftp="set net:max-retries 2; set ftp:use-mode-z no; set ssl:verify-certificate no; set ftp:ssl-force yes; set ftp:ssl-protect-data yes;"
        curl+=(--ssl-reqd -k)
        # What rclone says in TLS 1.3, vsftpd calls an illegal parameter.
        rclone+=(--ftp-explicit-tls --ftp-no-check-certificate --ftp-disable-tls13)
    fi
    local url=ftp://$user@$HOST:$port place=ftp://$HOST:$port
    lftp() { command lftp -u "${user/\%40/@},$PASS" -e "$lftp $1; exit" "$place"; }
    rclone() {
        command rclone --config /dev/null "$1" "${rclone[@]}" --ftp-host "$HOST" --ftp-port "$port" --ftp-user "${user/\%40/@}" \
            --ftp-pass "$OBSCURED" --transfers "$CONNECTIONS" --checkers "$CONNECTIONS" --ftp-concurrency 0 --multi-thread-streams 0 "$2" "$3"
    }
    case $who-$what in
    packetboat-get) "$PACKETBOAT" ftp get -q -P "$CONNECTIONS" "${ours[@]}" -o target/big "$url/big" ;;
    packetboat-put) "$PACKETBOAT" ftp put -q -P "$CONNECTIONS" "${ours[@]}" big "$url/up" ;;
    packetboat-down) "$PACKETBOAT" ftp mirror -q -P "$CONNECTIONS" "${ours[@]}" "$url/small" target/small ;;
    packetboat-up) "$PACKETBOAT" ftp mirror -q -P "$CONNECTIONS" "${ours[@]}" small "$url/up" ;;
    lftp-get) lftp "get -O target big" ;;
    pget-get) lftp "pget -n $CONNECTIONS -O target big" ;;
    lftp-put) lftp "put big -o up" ;;
    lftp-down) lftp "mirror --parallel=$CONNECTIONS small target/small" ;;
    lftp-up) lftp "mirror -R --parallel=$CONNECTIONS small up" ;;
    curl-get) curl "${curl[@]}" -o target/big "$place/big" ;;
    curl-put) curl "${curl[@]}" -T big "$place/up" ;;
    curl-down) curl "${curl[@]}" -Z --parallel-max "$CONNECTIONS" --create-dirs -o 'target/small/#1' "$place/small/f[$RANGE]" ;;
    rclone-get) rclone copyto :ftp:big target/big ;;
    rclone-put) rclone copyto big :ftp:up ;;
    rclone-down) rclone copy :ftp:small target/small ;;
    rclone-up) rclone copy small :ftp:up ;;
    *) echo "$who does no $what"; return 1 ;;
    esac
}
export -f client

# Whether a client does such a thing at all. curl logs in anew for each of many uploads: that would measure logins.
does() {
    case $1-$2 in pget-get) ;; pget-* | curl-*-again | curl-up) return 1 ;; esac
}

# $1 who, $2 what, $3 server, $4 security, $5 row: measured, and noted.
measure() {
    local begun ended
    sync
    begun=$EPOCHREALTIME
    (
        cd "$WORK"
        set +e
        "${CLIENT_SIDE[@]}" bash -c "$(declare -p PORT USER_OF PIN HOST PASS CONNECTIONS RANGE OBSCURED PACKETBOAT); client $1 ${2%-again} $3 $4"
    ) >"$WORK/said" 2>&1 || { say "FAILED: $5 by $1: $(tail -n 2 "$WORK/said")"; echo "$5 $1 failed" >>"$OUT"; return 0; }
    ended=$EPOCHREALTIME
    echo "$5 $1 $(awk "BEGIN { print $ended - $begun }")" >>"$OUT"
    [ "$2" != get ] || cmp -s "$WORK/big" "$WORK/target/big" || say "WRONG: $5 by $1"
    [ "$2" != down ] || [ "$(ls "$WORK/target/small" | wc -l)" = "$(ls "$WORK/small" | wc -l)" ] || say "WRONG: $5 by $1"
}

# What is on the server is removed by our own client; what it costs is not measured.
clear_server() { (cd "$WORK"; "${CLIENT_SIDE[@]}" "$PACKETBOAT" ftp rm -r -q --no-tls "ftp://${USER_OF[$1]}@$HOST:${PORT[$1]}/$2" >/dev/null 2>&1 || true); }
clear_here() { rm -rf "${WORK:?}/target"; mkdir "$WORK/target"; }
fill_server() { (cd "$WORK"; "${CLIENT_SIDE[@]}" bash -c "$(declare -p PORT USER_OF PIN HOST PASS CONNECTIONS RANGE OBSCURED PACKETBOAT); client $2" >/dev/null); }

# The clients, each round another one first: whoever is first meets the disk busy with what was laid there before.
in_turn() {
    local list=($CLIENTS) n
    for n in "${!list[@]}"; do echo "${list[($1 + n) % ${#list[@]}]}"; done
}

rows_big() {
    local server=$1 label=$2 security who round
    (cd "$WORK" && "${CLIENT_SIDE[@]}" "$PACKETBOAT" ftp put -q --no-tls big "ftp://${USER_OF[$server]}@$HOST:${PORT[$server]}/big")
    for round in $(seq "$ROUNDS"); do for security in $SECURITY; do for who in $(in_turn "$round"); do
        has "$who" || continue
        clear_here
        measure "$who" get "$server" "$security" "$label-down-$security/$server"
        does "$who" put || continue
        clear_server "$server" up
        measure "$who" put "$server" "$security" "$label-up-$security/$server"
    done; done; done
    clear_server "$server" big
    clear_server "$server" up
    clear_here
}

rows_small() {
    local server=$1 label=$2 security who round
    (cd "$WORK" && "${CLIENT_SIDE[@]}" "$PACKETBOAT" ftp mirror -q --no-tls small "ftp://${USER_OF[$server]}@$HOST:${PORT[$server]}/small")
    for round in $(seq "$ROUNDS"); do for security in $SECURITY; do for who in $(in_turn "$round"); do
        has "$who" && does "$who" down || continue
        clear_here
        free_ports
        measure "$who" down "$server" "$security" "$label-down-$security/$server"
        ! does "$who" down-again || measure "$who" down-again "$server" "$security" "$label-down-again-$security/$server"
        does "$who" up || continue
        clear_server "$server" up
        free_ports
        measure "$who" up "$server" "$security" "$label-up-$security/$server"
        ! does "$who" up-again || measure "$who" up-again "$server" "$security" "$label-up-again-$security/$server"
    done; done; done
    clear_server "$server" small
    clear_server "$server" up
    clear_here
}

# Waits until few connections of the last minute hold ports (TIME_WAIT): a search for a free one would be measured, too.
free_ports() {
    local n
    for n in $(seq 65); do
        [ "$("${CLIENT_SIDE[@]}" awk '/^TCP:/{print $7}' /proc/net/sockstat)" -gt 12000 ] || return 0
        sleep 1
    done
}

make_files() {
    head -c "$1" /dev/urandom >"$WORK/big"
    rm -rf "$WORK/small"
    mkdir -p "$WORK/small"
    local n
    for n in $(seq -w 0 $(($2 - 1))); do head -c 4096 /dev/urandom >"$WORK/small/f$n"; done
    RANGE=$(seq -w 0 $(($2 - 1)) | sed -n '1p;$p' | paste -sd-)
}

lay_link() {
    local made=$WORK/link
    python3 bench/delayed-link.py "$DELAY_MS" "$DELAY_PACKET" >"$made" 2>"$made.errors" &
    LINK=$!
    local tries=0
    until [ -s "$made" ]; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] && kill -0 "$LINK" 2>/dev/null || { LINK=; say "SKIPPED: no link with a delay: $(tail -n 1 "$made.errors")"; return 1; }
        sleep 0.05
    done
    local one other
    read -r one other HOST <"$made"
    local side
    for side in "$one" "$other"; do
        [ -z "${CONGESTION:-}" ] || nsenter --net="/proc/$side/ns/net" sysctl -qw "net.ipv4.tcp_congestion_control=$CONGESTION"
    done
    SERVER_SIDE+=(nsenter --net="/proc/$one/ns/net") CLIENT_SIDE+=(nsenter --net="/proc/$other/ns/net")
}

# The table: each row's best time of each client, and how often ours fits into those of others.
table() {
    [ -s "$OUT" ] || return 0
    python3 - "$OUT" "$CLIENTS" <<'PY'
import sys
best, clients = {}, sys.argv[2].split()
for line in open(sys.argv[1]):
    row, client, secs = line.split()
    rows = best.setdefault(row, {})
    rows[client] = min(float(secs if secs != "failed" else "inf"), rows.get(client, float("inf")))
def shown(secs):
    return "—" if secs is None else "failed" if secs == float("inf") else f"{secs:.2f}"
print("| row | " + " | ".join(f"{name} s" for name in clients) + " | best of the others ÷ ours |")
print("|---|" + "---:|" * (len(clients) + 1))
for row, times in best.items():
    best_of_others = min((secs for name, secs in times.items() if name != "packetboat"), default=float("inf"))
    ratio = f"{best_of_others / times['packetboat']:.2f}" if "packetboat" in times and best_of_others < float("inf") else "—"
    print(f"| {row} | " + " | ".join(shown(times.get(name)) for name in clients) + f" | {ratio} |")
PY
}

OBSCURED=
! has rclone || OBSCURED=$(command rclone obscure "$PASS")
for who in $CLIENTS; do has "$who" || say "SKIPPED: no $who here"; done
say "measuring $PACKETBOAT ($("$PACKETBOAT" --version)); files in $WORK"
make_files "$BIG" "$FILES"
mkdir -p "$WORK/target"
for server in $SERVERS; do
    wanted big || wanted small || break
    start "$server" || continue
    ! wanted big || rows_big "$server" big
    ! wanted small || rows_small "$server" small
    stop "$server"
done
if wanted delay && lay_link; then
    make_files "$DELAY_BIG" "$DELAY_FILES"
    for server in $SERVERS; do
        start "$server" || continue
        rows_big "$server" delay-big
        rows_small "$server" delay-small
        stop "$server"
    done
fi
