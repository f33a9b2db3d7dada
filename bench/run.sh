#!/bin/bash
# Runs the same load against Packetboat and the established servers, in turn, and prints the ratios.
#
#   bench/run.sh                      everything: about an hour, most of it waiting for ports after many small files
#   ROUNDS=1 MESSAGES=500 bench/run.sh smtp pop3       a quick look at some of it
#
# What it measures: smtp, visible, pop3, login, idle, imapidle, imapappend, imaplogin, imapnotice, imaplist, imapstore,
# imapsort, imapsearch, imapselect, imapcold, ftp, ftptls, ftpsmall, ftptlssmall, ftplist, ftplogin (all of them unless named).
# Settings (environment):
#   PACKETBOAT          the binary to measure (default: target/dist, else target/release, else it is built)
#   PACKETBOAT_PEERS    the folder of the peers' start scripts (default: ../shared/peers beside this repository)
#   ROUNDS=3 MESSAGES=3000 SIZE=4096 IDLERS=10000 SECONDS_EACH=5 QUIET_SECONDS=30
#   MAILS=10000 MANY=100000 IMAP_IDLERS='1000 10000'   what IMAP's mailboxes hold, and how many idle
#   IMAP_PEERS='maildir sdbox mdbox'                   the formats of Dovecot to compare with
#   FILES=10000 BIG=1073741824 FTP_IDLERS=1000         what FTP carries: small files, the octets of a large one, idle sessions
#   TLS_FILES=2000 TLS_SMALL_SESSIONS='1 4'            small files under TLS, and over how many sessions at once
#   LOGINS=300          so many log in at the same time
#   FTP_PEERS='vsftpd proftpd pure-ftpd pyftpdlib'     the servers to compare with
#   LARGE_SESSIONS='1 2' SMALL_SESSIONS='1 4 10'       over how many sessions at once large and small files go
#   WARM_UP=1           runs before the first round that do not count
#   SHORT_RUNS=9        runs of what takes milliseconds, in each round: one alone may meet a processor that is not awake yet
#   WORK                where servers keep their data; a real disk, or durability costs nothing (default: a new
#                       directory below $TMPDIR)
#   OUT                 a file for the raw figures, one JSON object a line (default: below WORK)
#
# Every round measures every server once, one after the other, so that a slow minute of the machine hurts all alike.
# Needs root for the peers, as their scripts do. Everything stays on the loopback.
# Most of the waiting for ports is saved in a network of its own that keeps few of those that have ended. Where the system paces what it
# sends (BBR), its timers are measured unless it ceases to (Packetboat has it cease on the loopback, the others do not):
#   unshare -n sh -c 'ip link set lo up; sysctl -qw net.ipv4.tcp_max_tw_buckets=2000 net.ipv4.tcp_congestion_control=reno; exec bench/run.sh ftpsmall'
set -euo pipefail
cd "$(dirname "$0")/.."
ROUNDS=${ROUNDS:-3} MESSAGES=${MESSAGES:-3000} SIZE=${SIZE:-4096} IDLERS=${IDLERS:-10000} SECONDS_EACH=${SECONDS_EACH:-5} QUIET_SECONDS=${QUIET_SECONDS:-30}
MAILS=${MAILS:-10000} MANY=${MANY:-100000} IMAP_IDLERS=${IMAP_IDLERS:-1000 10000} IMAP_PEERS=${IMAP_PEERS-maildir sdbox mdbox}
FILES=${FILES:-10000} BIG=${BIG:-1073741824} FTP_IDLERS=${FTP_IDLERS:-1000} FTP_PEERS=${FTP_PEERS-vsftpd proftpd pure-ftpd pyftpdlib}
LARGE_SESSIONS=${LARGE_SESSIONS:-1 2} SMALL_SESSIONS=${SMALL_SESSIONS:-1 4 10} WARM_UP=${WARM_UP:-1} SHORT_RUNS=${SHORT_RUNS:-9}
TLS_FILES=${TLS_FILES:-2000} TLS_SMALL_SESSIONS=${TLS_SMALL_SESSIONS:-1 4} LOGINS=${LOGINS:-300}
PEERS=${PACKETBOAT_PEERS:-../shared/peers}
TARGET=${CARGO_TARGET_DIR:-target}
WORK=${WORK:-$(mktemp -d "${TMPDIR:-/tmp}/packetboat-bench.XXXXXX")}
OUT=${OUT:-$WORK/figures.jsonl}
# Some peers leave their rights behind before they look into it.
mkdir -p "$WORK"
chmod 755 "$WORK"
DROPS='u{0..99}@example.test'
# Everybody's password, here and in the peers' scripts.
export PASS=ketchup-and-pickles
# Servers may allow one address only so many connections; idlers come from many.
ADDRESSES='127.0.0.{1..100}'
IMAP=(imapappend imaplogin imapnotice imaplist imapstore imapsort imapsearch imapselect imapcold)
WHAT=("$@")
[ ${#WHAT[@]} -gt 0 ] || WHAT=(idle imapidle smtp visible pop3 login "${IMAP[@]}" ftpidle ftp ftptls ftpsmall ftptlssmall ftplist ftplogin)

say() { echo "$*" >&2; }
wanted() { [[ " ${WHAT[*]} " == *" $1 "* ]]; }
wanted_any() { local what; for what; do ! wanted "$what" || return 0; done; return 1; }
MAIL=(idle smtp visible pop3 login) FTP=(ftpidle ftp ftptls ftpsmall ftptlssmall ftplist ftplogin)

build() {
    # The image that builds a clone has the toolchain; nothing is fetched that the lock file does not name.
    cargo build --quiet --release --package bench
    BENCH=$TARGET/release/bench
    if [ -z "${PACKETBOAT:-}" ]; then
        PACKETBOAT=$TARGET/dist/packetboat
        [ -x "$PACKETBOAT" ] || PACKETBOAT=$TARGET/release/packetboat
        [ -x "$PACKETBOAT" ] || cargo build --quiet --release --package packetboat
    fi
    say "measuring $PACKETBOAT ($("$PACKETBOAT" --version)); data in $WORK"
}

start_ours() {
    launch_ours
    "$PACKETBOAT" domain add example.test --data "$WORK/packetboat" >/dev/null
    for n in $(seq 0 99); do printf %s "$PASS" | "$PACKETBOAT" account add "u$n@example.test" --data "$WORK/packetboat" >/dev/null; done
}
launch_ours() {
    local data=$WORK/packetboat intro
    mkdir -p "$data"
    intro=$WORK/packetboat.json
    rm -f "$intro"
    PACKETBOAT_LOG=${PACKETBOAT_LOG:-warn} "$PACKETBOAT" dev --json --port-offset any --data "$data" >"$intro" 2>"$WORK/packetboat.log" &
    OURS_PID=$!
    local tries=0
    until [ -s "$intro" ]; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] && kill -0 $OURS_PID 2>/dev/null || { cat "$WORK/packetboat.log" >&2; exit 1; }
        sleep 0.05
    done
    OURS_IMAP=$(port_of "$intro" imap)
    OURS_SMTP=$(port_of "$intro" smtp) OURS_SUBMISSION=$(port_of "$intro" submission) OURS_POP3=$(port_of "$intro" pop3) OURS_FTP=$(port_of "$intro" ftp)
}

# The same without syncs of uploads, as the established servers have it: what the promise costs is the difference.
start_unsynced() {
    local data=$WORK/packetboat-unsynced
    mkdir -p "$data"
    cat >"$data/packetboat.toml" <<TOML
host_name = "bench.example.test"
data_dir = "$data/data"
[listen]
smtp = []
submission = []
submissions = []
pop3 = []
pop3s = []
ftps = []
ftp = ["127.0.0.1:$UNSYNCED_FTP"]
[limits]
connections_per_address_max = 20000
[ftp]
passive_ports = "20000-29999"
sync_uploads = "never"
TOML
    PACKETBOAT_LOG=${PACKETBOAT_LOG:-warn} "$PACKETBOAT" serve --config "$data/packetboat.toml" >"$data/log" 2>&1 &
    UNSYNCED_PID=$!
    local tries=0
    # Ports are open before the store is; it is ready when one can talk about accounts.
    until [ -S "$data/data/control.sock" ]; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] && kill -0 $UNSYNCED_PID 2>/dev/null || { cat "$data/log" >&2; exit 1; }
        sleep 0.05
    done
    "$PACKETBOAT" domain add example.test --config "$data/packetboat.toml" >/dev/null
    printf %s "$PASS" | "$PACKETBOAT" account add u0@example.test --config "$data/packetboat.toml" >/dev/null
}
UNSYNCED_FTP=32121

port_of() {
    python3 - "$1" "$2" <<'PY'
import json, sys
services = json.loads(open(sys.argv[1]).readline())["services"]
print(next(s["port"] for s in services if s["service"] == sys.argv[2]))
PY
}

# Each peer is a process of its own below WORK; what is absent is left out of the table, loudly.
POSTFIX_HOLD='' POSTFIX_DISCARD='' POSTFIX_LMTP='' DOVECOT=''
start_peers() {
    ! wanted_any "${FTP[@]}" || start_ftp_peers
    ! wanted_any imapidle "${IMAP[@]}" || start_imap_peers
    wanted_any "${MAIL[@]}" || return 0
    if [ ! -x "$PEERS/postfix" ] || [ ! -x "$PEERS/dovecot" ]; then
        say "SKIPPED: no peers in $PEERS (set PACKETBOAT_PEERS); only Packetboat is measured"
        return
    fi
    DOVECOT=$(FORMAT=mdbox PORT_BASE=32100 start_peer dovecot dovecot)
    POSTFIX_HOLD=$(MODE=hold SMTP_PORT=32025 start_peer postfix postfix-hold)
    POSTFIX_DISCARD=$(MODE=discard SMTP_PORT=32026 start_peer postfix postfix-discard)
    if [ -n "$DOVECOT" ]; then
        POSTFIX_LMTP=$(MODE=lmtp SMTP_PORT=32027 LMTP_PORT=$(env_of dovecot LMTP_PORT) start_peer postfix postfix-lmtp)
    fi
}

declare -A IMAP_PID
start_imap_peers() {
    local format base=32200
    for format in $IMAP_PEERS; do
        if [ ! -x "$PEERS/dovecot" ]; then say "SKIPPED: no dovecot in $PEERS (set PACKETBOAT_PEERS)"; return; fi
        launch_dovecot "$format" $base
        base=$((base + 100))
    done
}
launch_dovecot() {
    IMAP_PID[$1]=$(FORMAT=$1 PORT_BASE=$2 start_peer dovecot "dovecot-$1")
    [ -n "${IMAP_PID[$1]}" ] || unset "IMAP_PID[$1]"
}

declare -A FTP_PID FTP_PORT
start_ftp_peers() {
    local peer
    for peer in $FTP_PEERS; do
        if [ ! -x "$PEERS/$peer" ]; then say "SKIPPED: no $peer in $PEERS (set PACKETBOAT_PEERS)"; continue; fi
        FTP_PID[$peer]=$(start_peer "$peer" "$peer")
        [ -n "${FTP_PID[$peer]}" ] || { unset "FTP_PID[$peer]"; continue; }
        FTP_PORT[$peer]=$(env_of "$peer" FTP_PORT)
    done
}

# start_peer SCRIPT NAME: its pid, or nothing and a loud word.
start_peer() {
    if "$PEERS/$1" start "$WORK/$2" >"$WORK/$2.start" 2>&1; then cat "$WORK/$2/pid"; else
        say "SKIPPED: $2 does not start: $(tail -n 3 "$WORK/$2.start")"
    fi
}

env_of() { sed -n "s/^$2=//p" "$WORK/$1/env"; }

stop_imap() {
    [ -z "${OURS_PID:-}" ] || { kill "$OURS_PID" 2>/dev/null || true; wait "$OURS_PID" 2>/dev/null || true; }
    for name in "${!IMAP_PID[@]}"; do "$PEERS/dovecot" stop "$WORK/dovecot-$name" >/dev/null 2>&1 || true; done
}
stop_all() {
    stop_imap
    for name in postfix-hold postfix-discard postfix-lmtp; do
        [ ! -e "$WORK/$name/pid" ] || "$PEERS/postfix" stop "$WORK/$name" >/dev/null 2>&1 || true
    done
    [ -z "${UNSYNCED_PID:-}" ] || { kill "$UNSYNCED_PID" 2>/dev/null || true; wait "$UNSYNCED_PID" 2>/dev/null || true; }
    for name in "${!FTP_PID[@]}"; do "$PEERS/$name" stop "$WORK/$name" >/dev/null 2>&1 || true; done
    [ ! -e "$WORK/dovecot/pid" ] || "$PEERS/dovecot" stop "$WORK/dovecot" >/dev/null 2>&1 || true
}

# Waits until the machine has nothing to do: one server's late deliveries must not be the next one's load.
quiet() {
    local before after n
    for n in $(seq $((2 * QUIET_SECONDS))); do
        before=$(idle_ticks); sleep 0.5; after=$(idle_ticks)
        [ $((after - before)) -lt $((45 * $(nproc))) ] || return 0
    done
    say "the machine does not get quiet; going on"
}
# Waits until few connections of the last minute hold ports (TIME_WAIT): servers that let the system choose the port of a
# data connection would measure its search for a free one.
free_ports() {
    local n
    for n in $(seq 65); do
        [ "$(awk '/^TCP:/{print $7}' /proc/net/sockstat)" -gt 5000 ] || return 0
        sleep 1
    done
}
idle_ticks() { awk '/^cpu /{print $5 + $6}' /proc/stat; }

# measure SERVER ROW ARGUMENTS…: one run, or `$runs`; the first round warms up.
measure() {
    local server=$1 row=$2 warm=0; shift 2
    [ "$round" -gt 1 ] || warm=${warm_up:-$WARM_UP}
    # What one server has not written to the disk yet is not the next one's to wait for.
    sync
    free_ports
    quiet
    say "round $round  $row  $server"
    "$BENCH" --json --server "$server" --row "$row" "$@" --runs "${runs:-1}" --warm-up "$warm" >>"$OUT" || { say "FAILED: $server, $row"; FAILED=1; }
}

smtp() {
    local c
    for c in 1 10 100; do smtp_row "SMTP, $c connections" --connections $c; done
    smtp_row "SMTP, 10 connections, pipelined" --connections 10 --pipelined
    smtp_row "SMTP, 10 connections, one message each" --connections 10 --one-per-connection
}
smtp_row() {
    local row=$1 load=(smtp send --messages "$MESSAGES" --size "$SIZE" --rcpt "$DROPS"); shift
    measure packetboat "$row" "${load[@]}" "$@" --to "127.0.0.1:$OURS_SMTP" --pid "$OURS_PID"
    [ -z "$POSTFIX_HOLD" ] || measure postfix-accept "$row" "${load[@]}" "$@" --to 127.0.0.1:32025 --pid "$POSTFIX_HOLD"
    [ -z "$POSTFIX_DISCARD" ] || measure postfix-discard "$row" "${load[@]}" "$@" --to 127.0.0.1:32026 --pid "$POSTFIX_DISCARD"
}

visible() {
    local load=(visible --messages 1000 --size "$SIZE" --connections 10 --singles 50 --rcpt "$DROPS" --user "$DROPS" --pass "$PASS")
    local row='SMTP to POP3'
    measure packetboat "$row" "${load[@]}" --smtp "127.0.0.1:$OURS_SMTP" --pop3 "127.0.0.1:$OURS_POP3"
    [ -z "$POSTFIX_LMTP" ] || measure postfix+dovecot "$row" "${load[@]}" --smtp 127.0.0.1:32027 --pop3 "127.0.0.1:$(env_of dovecot POP3_PORT)"
}

# Ten thousand messages of 8 KiB in one maildrop, as in the measurements of the peers.
fill() {
    say "filling a maildrop of each POP3 server"
    local load=(smtp send --messages 10000 --size 8192 --connections 10 --rcpt u0@example.test --runs 1 --warm-up 0 --json)
    "$BENCH" pop3 empty --to "127.0.0.1:$OURS_POP3" --user "$DROPS" --pass "$PASS" >/dev/null
    "$BENCH" "${load[@]}" --to "127.0.0.1:$OURS_SMTP" >/dev/null
    [ -n "$DOVECOT" ] || return 0
    "$BENCH" pop3 empty --to "127.0.0.1:$(env_of dovecot POP3_PORT)" --user "$DROPS" --pass "$PASS" >/dev/null
    "$BENCH" "${load[@]}" --lmtp --to "127.0.0.1:$(env_of dovecot LMTP_PORT)" >/dev/null
}

pop3() {
    [ "$round" -gt 1 ] || fill
    local n
    for n in 1 50; do
        local load=(pop3 retr --user u0@example.test --pass "$PASS" --in-flight $n) row="POP3 RETR, $n in flight"
        measure packetboat "$row" "${load[@]}" --to "127.0.0.1:$OURS_POP3" --pid "$OURS_PID"
        [ -z "$DOVECOT" ] || measure dovecot "$row" "${load[@]}" --to "127.0.0.1:$(env_of dovecot POP3_PORT)" --pid "$DOVECOT"
    done
}

login() {
    local load=(--connections 10 --seconds "$SECONDS_EACH" --user "$DROPS" --pass "$PASS") row='POP3 logins, 10 connections'
    measure packetboat "$row" pop3 login "${load[@]}" --to "127.0.0.1:$OURS_POP3" --pid "$OURS_PID"
    [ -z "$DOVECOT" ] || measure dovecot "$row" pop3 login "${load[@]}" --to "127.0.0.1:$(env_of dovecot POP3_PORT)" --pid "$DOVECOT"
    measure packetboat 'SMTP logins, 10 connections' smtp login "${load[@]}" --to "127.0.0.1:$OURS_SUBMISSION" --pid "$OURS_PID"
}

# Memory is measured once, on servers that have just been started: some keep what a busy hour took.
idle() {
    [ "$round" -eq 1 ] || return 0
    idle_row packetboat 'idle, SMTP' smtp "$OURS_SMTP" "$OURS_PID" "$IDLERS"
    # Postfix has a process for each of them, and 200 at most here.
    [ -z "$POSTFIX_HOLD" ] || idle_row postfix 'idle, SMTP' smtp 32025 "$POSTFIX_HOLD" 150
    idle_row packetboat 'idle, POP3' pop3 "$OURS_POP3" "$OURS_PID" "$IDLERS"
    [ -z "$DOVECOT" ] || idle_row dovecot 'idle, POP3' pop3 "$(env_of dovecot POP3_PORT)" "$DOVECOT" "$IDLERS"
}
idle_row() {
    local server=$1 row=$2 load=(idle --dialogue "$3" --to "127.0.0.1:$4" --pid "$5" --connections "$6"); shift 6
    quiet
    say "round $round  $row  $server"
    "$BENCH" --json --server "$server" --row "$row" "${load[@]}" --from "$ADDRESSES" "$@" >>"$OUT" ||
        { say "FAILED: $server, $row"; FAILED=1; }
}

# imap_row ROW ARGUMENTS…: every IMAP server in turn.
imap_row() {
    local row=$1 format; shift
    measure packetboat "$row" imap "$@" --pass "$PASS" --to "127.0.0.1:$OURS_IMAP" --pid "$OURS_PID"
    for format in $IMAP_PEERS; do
        [ -n "${IMAP_PID[$format]:-}" ] || continue
        measure "$format" "$row" imap "$@" --pass "$PASS" --to "127.0.0.1:$(env_of "dovecot-$format" IMAP_PORT)" --pid "${IMAP_PID[$format]}"
    done
}
TEN=(--user u0@example.test --mailbox ten --messages "$MAILS" --size 8192)
HUNDRED=(--user u0@example.test --mailbox hundred --messages "$MANY" --size 1024)
# Each mailbox is filled once, in every server: `filled MAILBOX`.
filled() {
    [ -z "${FILLED[$1]:-}" ] || return 0
    FILLED[$1]=yes
    local -n mailbox=$1
    local port load=(imap fill "${mailbox[@]}" --pass "$PASS")
    for port in "$OURS_IMAP" $(for format in "${!IMAP_PID[@]}"; do env_of "dovecot-$format" IMAP_PORT; done); do
        say "filling a mailbox of the IMAP server at $port"
        "$BENCH" "${load[@]}" --to "127.0.0.1:$port" >/dev/null
    done
}
declare -A FILLED
imapappend() {
    local n
    for n in 1 10; do
        imap_row "IMAP APPEND, $n connections" append --connections $n --messages "$MESSAGES" --size "$SIZE" --user 'u{10..19}@example.test'
    done
}
imaplogin() { imap_row 'IMAP logins, 10 connections' login --connections 10 --seconds "$SECONDS_EACH" --user "$DROPS"; }
imapnotice() {
    local row='IMAP, mail to a session in IDLE' load=(imap notice --user u20@example.test --rcpt u20@example.test --pass "$PASS") format
    measure packetboat "$row" "${load[@]}" --to "127.0.0.1:$OURS_IMAP" --smtp "127.0.0.1:$OURS_SMTP"
    for format in "${!IMAP_PID[@]}"; do
        measure "$format" "$row" "${load[@]}" --lmtp --to "127.0.0.1:$(env_of "dovecot-$format" IMAP_PORT)" --smtp "127.0.0.1:$(env_of "dovecot-$format" LMTP_PORT)"
    done
}
imaplist() {
    filled TEN
    local what
    for what in envelopes headers flags bodies; do runs=$SHORT_RUNS imap_row "IMAP FETCH of $MAILS, $what" list --what $what "${TEN[@]}"; done
}
imapstore() {
    filled TEN
    runs=$SHORT_RUNS imap_row "IMAP STORE on $MAILS" store "${TEN[@]}"
    runs=$SHORT_RUNS imap_row "IMAP STORE on $MAILS, silent" store --silent "${TEN[@]}"
}
imapsort() {
    filled TEN
    runs=$SHORT_RUNS imap_row "IMAP SORT of $MAILS by subject" sort "${TEN[@]}"
    runs=$SHORT_RUNS imap_row "IMAP THREAD of $MAILS by references" thread "${TEN[@]}"
}
# The first search of our store finds no index and asks for one, so it is the first round's and the warm-up is left out;
# the later rounds have it.
imapsearch() {
    filled TEN
    local field which='with what it keeps for it'
    [ "$round" -gt 1 ] || which='the first'
    for field in body subject; do warm_up=0 imap_row "IMAP SEARCH ${field^^} in $MAILS, $which" search --field $field --wait $((5 * (round > 1))) "${TEN[@]}"; done
}
imapselect() { filled HUNDRED; runs=$SHORT_RUNS imap_row "IMAP SELECT of $MANY" select "${HUNDRED[@]}"; }
# The servers are new, what they have on the disk is in the page cache.
imapcold() {
    filled HUNDRED
    stop_imap
    launch_ours
    start_imap_peers
    warm_up=0 imap_row "IMAP SELECT of $MANY, new server" select "${HUNDRED[@]}"
}
imapidle() {
    [ "$round" -eq 1 ] || return 0
    local format n
    for n in $IMAP_IDLERS; do
        idle_row packetboat "idle, IMAP, $n in IDLE" imap "$OURS_IMAP" "$OURS_PID" "$n" --user "$DROPS" --pass "$PASS"
        # It has a process for each of them: more would measure this machine's memory.
        [ "$n" -le 1000 ] || continue
        for format in "${!IMAP_PID[@]}"; do
            idle_row "$format" "idle, IMAP, $n in IDLE" imap "$(env_of "dovecot-$format" IMAP_PORT)" "${IMAP_PID[$format]}" "$n" --user "$DROPS" --pass "$PASS"
        done
    done
}

# ftp_row ROW ARGUMENTS…: every FTP server in turn. Where it stores, ours is there without syncs as well.
ftp_row() {
    local row=$1 peer; shift
    local load=(ftp "$@" --pass "$PASS")
    measure packetboat "$row" "${load[@]}" --user u0@example.test --to "127.0.0.1:$OURS_FTP" --pid "$OURS_PID"
    [ "$1" != stor ] || measure packetboat-unsynced "$row" "${load[@]}" --user u0@example.test --to "127.0.0.1:$UNSYNCED_FTP" --pid "$UNSYNCED_PID"
    for peer in $FTP_PEERS; do
        [ -n "${FTP_PID[$peer]:-}" ] || continue
        # It has no MLSD.
        [ "$peer $row" != "vsftpd FTP MLSD of $FILES" ] || continue
        measure "$peer" "$row" "${load[@]}" --user u0 --to "127.0.0.1:${FTP_PORT[$peer]}" --pid "${FTP_PID[$peer]}"
    done
}

ftp() {
    local n
    for n in $LARGE_SESSIONS; do
        ftp_row "FTP RETR of $BIG octets, $n sessions" retr --size "$BIG" --files $n --connections $n --threads $n
        ftp_row "FTP STOR of $BIG octets, $n sessions" stor --size "$BIG" --files $n --connections $n --threads $n
    done
}
ftptls() {
    local n
    for n in $LARGE_SESSIONS; do
        ftp_row "FTPS RETR of $BIG octets, $n sessions" retr --starttls --size "$BIG" --files $n --connections $n --threads $n
        ftp_row "FTPS STOR of $BIG octets, $n sessions" stor --starttls --size "$BIG" --files $n --connections $n --threads $n
    done
}
ftpsmall() {
    local n
    for n in $SMALL_SESSIONS; do
        ftp_row "FTP RETR of $FILES files of $SIZE octets, $n sessions" retr --size "$SIZE" --files "$FILES" --connections $n
        ftp_row "FTP STOR of $FILES files of $SIZE octets, $n sessions" stor --size "$SIZE" --files "$FILES" --connections $n
    done
}
# By TLS 1.2: our client, which is built with rustls, can resume a session of it for each file. Of TLS 1.3 it would need a
# ticket for each, which Packetboat does not give on data connections.
ftptlssmall() {
    local n
    for n in $TLS_SMALL_SESSIONS; do
        ftp_row "FTPS RETR of $TLS_FILES files of $SIZE octets, $n sessions" retr --starttls --tls12 --size "$SIZE" --files "$TLS_FILES" --connections $n
        ftp_row "FTPS STOR of $TLS_FILES files of $SIZE octets, $n sessions" stor --starttls --tls12 --size "$SIZE" --files "$TLS_FILES" --connections $n
    done
}
ftplist() {
    local form
    for form in list nlst mlsd; do ftp_row "FTP ${form^^} of $FILES" list --form $form --size "$SIZE" --files "$FILES"; done
}
ftplogin() {
    ftp_login_row 'FTP logins, 4 connections' --connections 4 --seconds "$SECONDS_EACH"
    # From many addresses, of which a server may allow each only so many connections. Fewer may wait to be accepted by these two:
    # some are not greeted within the minute that our client waits.
    without='vsftpd proftpd' ftp_login_row "FTP, $LOGINS logins at once" --connections "$LOGINS" --logins "$LOGINS" --seconds 60 --from "$ADDRESSES"
}
ftp_login_row() {
    local row=$1 peer; shift
    local load=(ftp login "$@" --pass "$PASS")
    measure packetboat "$row" "${load[@]}" --user "$DROPS" --to "127.0.0.1:$OURS_FTP" --pid "$OURS_PID"
    for peer in "${!FTP_PID[@]}"; do
        [[ " ${without:-} " != *" $peer "* ]] || continue
        measure "$peer" "$row" "${load[@]}" --user 'u{0..99}' --to "127.0.0.1:${FTP_PORT[$peer]}" --pid "${FTP_PID[$peer]}"
    done
}
ftpidle() {
    [ "$round" -eq 1 ] || return 0
    local peer
    idle_row packetboat 'idle, FTP, logged in' ftp "$OURS_FTP" "$OURS_PID" "$FTP_IDLERS" --user "$DROPS" --pass "$PASS"
    for peer in "${!FTP_PID[@]}"; do
        idle_row "$peer" 'idle, FTP, logged in' ftp "${FTP_PORT[$peer]}" "${FTP_PID[$peer]}" "$FTP_IDLERS" --user 'u{0..99}' --pass "$PASS"
    done
}

build
trap stop_all EXIT
start_ours
! wanted_any ftp ftptls ftpsmall ftptlssmall || start_unsynced
start_peers
# The idlers come first, on servers that are fresh.
FAILED=''
for round in $(seq "$ROUNDS"); do
    for what in imapidle "${MAIL[@]}" "${IMAP[@]}" "${FTP[@]}"; do
        ! wanted $what || $what
    done
done
echo "$(nproc) cores, $(uname -sr); $ROUNDS rounds; client and server share the machine; raw figures in $OUT"
"$BENCH" ratios "$OUT"
[ -z "$FAILED" ] || { say "some measurements failed, see above"; exit 1; }
