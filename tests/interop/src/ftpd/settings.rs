//! How each of the servers of others is told what to do.

use super::{Listening, host};
use crate::foreign::{Foreign, foreign, skipped, unpacked};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Pure-FTPd lets in nobody who is root; this one is nobody in particular.
const NOBODY: u32 = 65_534;

fn own_name(option: &str) -> Option<String> {
    Some(foreign("id")?.run(&[option], b"").succeeded().stdout.trim().to_owned())
}

fn hash() -> Option<String> {
    Some(foreign("openssl")?.run(&["passwd", "-1", "hungry"], b"").succeeded().stdout.trim().to_owned())
}

pub(super) fn vsftpd(program: &Foreign, listening: Listening, port: u16) -> Option<Vec<String>> {
    let home = program.home().display();
    fs::create_dir(program.home().join("empty")).expect("a directory");
    let yes_if = |yes: bool| if yes { "YES" } else { "NO" };
    let (strict, implicit) = (listening == Listening::Strict, listening == Listening::Implicit);
    let (listen, address) =
        if listening == Listening::Ipv6 { ("listen_ipv6", "listen_address6") } else { ("listen", "listen_address") };
    // Its sandbox ends it on kernels of today.
    let text = format!(
        "{listen}=YES\n{address}={host}\nlisten_port={port}\nbackground=NO\nrun_as_launching_user=YES\nanonymous_enable=YES\n\
         local_enable=NO\nftp_username={user}\nanon_root={home}/home\nwrite_enable=YES\nanon_upload_enable=YES\n\
         anon_mkdir_write_enable=YES\nanon_other_write_enable=YES\nanon_world_readable_only=NO\nanon_umask=022\n\
         secure_chroot_dir={home}/empty\nseccomp_sandbox=NO\nssl_enable=YES\nallow_anon_ssl=YES\nrsa_cert_file={home}/both.pem\n\
         ssl_ciphers=HIGH\nxferlog_enable=NO\nconnect_from_port_20=NO\nrequire_ssl_reuse={}\nforce_anon_logins_ssl={}\n\
         force_anon_data_ssl={}\nimplicit_ssl={}\n",
        yes_if(strict || implicit),
        yes_if(strict),
        yes_if(strict),
        yes_if(implicit),
        host = host(listening),
        user = own_name("-un")?,
    );
    Some(vec![program.write("vsftpd.conf", &text)])
}

pub(super) fn proftpd(program: &Foreign, listening: Listening, port: u16) -> Option<Vec<String>> {
    let home = program.home().display();
    let (user, group, uid, gid) = (own_name("-un")?, own_name("-gn")?, own_name("-u")?, own_name("-g")?);
    program.write("users", &format!("bob:{}:{uid}:{gid}::{home}/home:/bin/sh\n", hash()?));
    let folders = [vec![PathBuf::from("/usr/lib/proftpd")], unpacked("usr/lib/proftpd")].concat();
    let Some(module) = folders.iter().map(|folder| folder.join("mod_tls.so")).find(|module| module.exists()) else {
        skipped("mod_tls of ProFTPD (proftpd-mod-crypto) is not installed");
        return None;
    };
    fs::create_dir(program.home().join("modules")).expect("a directory");
    fs::copy(module, program.home().join("modules/mod_tls.so")).expect("a copy");
    let tls = match listening {
        Listening::Plain | Listening::Ipv6 | Listening::Apart(_) => "TLSOptions NoSessionReuseRequired",
        Listening::Strict => "TLSRequired on",
        Listening::Implicit => "TLSOptions UseImplicitSSL",
    };
    let ipv6 = if listening == Listening::Ipv6 { "on" } else { "off" };
    let text = format!(
        "ModulePath {home}/modules\nLoadModule mod_tls.c\nServerName peer\nServerType standalone\nDefaultAddress {host}\n\
         Port {port}\nUseIPv6 {ipv6}\nPidFile {home}/pid\nScoreboardFile {home}/scoreboard\nSystemLog {home}/log\n\
         TransferLog none\nWtmpLog off\nUser {user}\nGroup {group}\nAuthOrder mod_auth_file.c\nAuthUserFile {home}/users\n\
         RootLogin on\nRequireValidShell off\nUseReverseDNS off\nDelayEngine off\nAllowOverwrite on\nAllowStoreRestart on\n\
         AllowRetrieveRestart on\nTLSEngine on\nTLSECCertificateFile {home}/cert.pem\nTLSECCertificateKeyFile {home}/key.pem\n\
         {tls}\n",
        host = host(listening),
    );
    Some(vec!["-n".into(), "-q".into(), "-c".into(), program.write("proftpd.conf", &text)])
}

pub(super) fn pureftpd(program: &Foreign, listening: Listening, port: u16) -> Option<Vec<String>> {
    if !rustix::process::geteuid().is_root() {
        skipped("Pure-FTPd wants to be started by root");
        return None;
    }
    let home = program.home().display();
    let line = format!("bob:{}:{NOBODY}:{NOBODY}::{home}/home/./::::::::::::\n", hash()?);
    let (users, database) = (program.write("users", &line), program.path("users.pdb"));
    foreign("pure-pw")?.run(&["mkdb", &database, "-f", &users], b"").succeeded();
    fs::set_permissions(program.home(), fs::Permissions::from_mode(0o755)).expect("permissions");
    chown(program.home().join("home"), Some(NOBODY), Some(NOBODY)).expect("an owner");
    let tls = match listening {
        Listening::Plain | Listening::Ipv6 | Listening::Apart(_) => "1",
        Listening::Strict => "3",
        Listening::Implicit => panic!("Pure-FTPd has no port for TLS alone"),
    };
    let address = format!("{},{port}", host(listening));
    let certificate = format!("--certfile={home}/both.pem");
    let (accounts, pid) = (format!("puredb:{database}"), program.path("pid"));
    let words =
        ["-S", &address, "-l", &accounts, "-A", "-E", "-H", "-u", "1", "-C", "50", "-Y", tls, &certificate, "-g", &pid];
    Some(words.map(Into::into).to_vec())
}

pub(super) fn pyftpdlib(program: &Foreign, listening: Listening, port: u16) -> Option<Vec<String>> {
    if program.run(&["-c", "import pyftpdlib, OpenSSL"], b"").code != Some(0) {
        skipped("python3-pyftpdlib, or python3-openssl, is not installed");
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/ftpd.py").display().to_string();
    let strict = if listening == Listening::Strict { "strict" } else { "" };
    let words =
        [&script, &host(listening), &port.to_string(), &program.path("home"), &program.path("both.pem"), strict];
    Some(words.map(Into::into).to_vec())
}
