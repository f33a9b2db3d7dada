//! What `config check` tells of FTP beside right and wrong: what clients will meet, and the one line to change.
//!
//! RFC 1579 and RFC 2428 §3 (passive data connections and routers); RFC 1918 and RFC 6598 (addresses that nobody can dial).
//!
//! Invariants: no packet is sent; a configuration that serves everybody gets no advice but which ports to let in.
//! Not here: what is wrong (settings).

use net::PortRange;
use server::hooks::{Hook, Target};
use server::settings::{ListenAt, Purpose, Settings};
use std::fs::Metadata;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What is known of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine {
    /// The IPv4 address from which it would speak to the internet.
    pub own_address: Option<Ipv4Addr>,
    /// It is a container, whose ports somebody must publish.
    pub is_container: bool,
}

impl Machine {
    /// This one.
    pub fn this() -> Machine {
        let is_container = ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists());
        Machine { own_address: own_address(), is_container }
    }
}

/// The address from which the system would send. A datagram socket that is connected sends nothing.
fn own_address() -> Option<Ipv4Addr> {
    // TEST-NET-1 (RFC 5737): routed as the internet is, and nobody is there.
    const SOMEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(SOMEWHERE).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// A sentence or two each; nothing where there is no FTP.
pub fn on_ftp(settings: &Settings, machine: Machine) -> Vec<String> {
    let places: Vec<_> =
        settings.listeners.iter().filter(|at| matches!(at.purpose, Purpose::Ftp | Purpose::Ftps)).collect();
    if places.is_empty() {
        return Vec::new();
    }
    let range = settings.ftp.passive_ports;
    let on_range = range.map(|range| [overlap(settings, range), too_few(settings, range)]);
    let others = [public_address(settings, &places, machine), certificate(settings), firewall(range, &places, machine)];
    let advice = on_range.into_iter().flatten().chain(others).chain([transfer_log(settings)]).flatten();
    advice.chain(settings.hooks.iter().filter_map(program)).collect()
}

fn overlap(settings: &Settings, range: PortRange) -> Option<String> {
    let inside = settings.listeners.iter().find(|at| range.contains(at.address.port()))?;
    let (name, port) = (inside.purpose.name(), inside.address.port());
    Some(format!(
        "ftp.passive_ports {range} has port {port} of listen.{name} in it. Leave it out, as in [ftp] passive_ports = \
         \"50000-50999\"."
    ))
}

fn too_few(settings: &Settings, range: PortRange) -> Option<String> {
    let (ports, sessions) = (range.ports(), settings.ftp.sessions_per_account_max);
    (ports < sessions).then(|| {
        format!(
            "ftp.passive_ports {range} has {ports} ports, and each transfer holds one, but a single account may open \
             {sessions} sessions and take them all. Say [ftp] sessions_per_account_max = {ports}, or widen the range."
        )
    })
}

fn public_address(settings: &Settings, places: &[&ListenAt], machine: Machine) -> Option<String> {
    if let Some(public) = settings.ftp.public_address {
        return is_hidden(public).then(|| {
            format!("ftp.public_address {public} cannot be dialled from the internet. Put the router's public address there.")
        });
    }
    let own = |at: &&ListenAt| match at.address.ip() {
        IpAddr::V4(address) if address.is_unspecified() => machine.own_address,
        IpAddr::V4(address) => Some(address),
        // A socket for both, perhaps.
        IpAddr::V6(address) if address.is_unspecified() => machine.own_address,
        IpAddr::V6(_) => None,
    };
    let hidden = places.iter().filter_map(own).find(|address| is_hidden(*address) && !address.is_loopback())?;
    Some(format!(
        "Clients find this machine at {hidden}, which cannot be dialled from the internet. EPSV, which nearly all of them \
         say, does not mind. To those that say PASV we tell the address of {}; if they come in elsewhere, tell them by \
         [ftp] public_address = \"…\".",
        settings.host_name
    ))
}

/// Not to be dialled from everywhere.
fn is_hidden(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    // RFC 6598: what providers use behind routers of their own.
    let is_shared = a == 100 && (64..128).contains(&b);
    address.is_private() || address.is_loopback() || address.is_link_local() || is_shared
}

fn certificate(settings: &Settings) -> Option<String> {
    let Some(files) = &settings.certificate else {
        return Some(format!(
            "The certificate will be a self-signed one for {}, of which clients warn. Say [tls] certificate = \"…\" and \
             key = \"…\".",
            settings.host_name
        ));
    };
    let host = &settings.host_name;
    match net::Identity::from_pem_files(&files.certificate, &files.key) {
        Err(error) => Some(format!("The certificate cannot be used: {error}")),
        Ok(identity) if identity.is_for(host) => None,
        Ok(_) => Some(format!(
            "The certificate is not for {host}: clients that dial that name will warn. Have it made for it."
        )),
    }
}

fn firewall(range: Option<PortRange>, places: &[&ListenAt], machine: Machine) -> Option<String> {
    let range = range?;
    let mut ports: Vec<_> = places.iter().map(|at| at.address.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    let listed: Vec<_> = ports.iter().map(|port| port.to_string()).chain([range.to_string()]).collect();
    let listed = listed.join(", ");
    Some(if machine.is_container {
        let published: Vec<_> = listed.split(", ").map(|ports| format!("-p {ports}:{ports}")).collect();
        format!("This is a container: publish the ports of FTP under their own numbers, {}.", published.join(" "))
    } else {
        format!(
            "A firewall must let TCP to these ports in: nft add rule inet filter input tcp dport {{ {listed} }} accept"
        )
    })
}

fn transfer_log(settings: &Settings) -> Option<String> {
    let log = settings.ftp.transfer_log.as_deref()?;
    let folder = log.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())?;
    Some(format!(
        "ftp.transfer_log {} cannot be written: there is no directory {}. Make it, for the server's user to write to.",
        log.display(),
        folder.display()
    ))
}

/// A command that cannot be run would be tried in vain for each event.
fn program(hook: &Hook) -> Option<String> {
    let Target::Command(words) = &hook.target else { return None };
    // One without a slash is looked for at the places of the server's PATH, which is not ours.
    let program = words.first().filter(|program| program.contains('/'))?;
    let can_run = |there: Metadata| there.is_file() && there.permissions().mode() & 0o111 != 0;
    let is_there = std::fs::metadata(program).is_ok_and(can_run);
    (!is_there).then(|| format!("hook {}: {program} is no program that can be run.", hook.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read::Config;
    use crate::config::settings;

    fn advice(lines: &str, machine: Machine) -> Vec<String> {
        let text = format!("host_name = 'mail.example.org'\n{lines}");
        let config = Config::read(&text, Path::new("/")).expect("a configuration");
        let settings = settings::build(&config, Path::new("/x.toml"));
        on_ftp(&settings.unwrap_or_else(|_| panic!("{text}")), machine)
    }

    fn at(own: [u8; 4]) -> Machine {
        Machine { own_address: Some(own.into()), is_container: false }
    }

    #[test]
    fn a_server_at_a_public_address_hears_of_certificate_and_firewall_alone() {
        let heard = advice("", at([203, 0, 113, 5]));
        assert_eq!(heard.len(), 2, "{heard:?}");
        assert!(heard[0].contains("[tls] certificate") && heard[1].contains("{ 21, 990, 50000-50999 }"), "{heard:?}");
        assert_eq!(advice("[listen]\nftp = []\nftps = []", at([10, 0, 0, 5])), Vec::<String>::new());
    }

    #[test]
    fn who_is_behind_a_router_hears_of_the_public_address() {
        for own in [[10, 0, 0, 5], [192, 168, 1, 1], [100, 64, 0, 1]] {
            let heard = advice("", at(own));
            assert!(heard[0].contains("[ftp] public_address"), "{heard:?}");
            assert_eq!(advice("[ftp]\npublic_address = '203.0.113.5'", at(own)).len(), 2);
        }
        assert!(advice("[ftp]\npublic_address = '10.0.0.5'", at([10, 0, 0, 5]))[0].contains("cannot be dialled"));
        let elsewhere = "[listen]\nftp = ['127.0.0.1:21']\nftps = []";
        assert_eq!(advice(elsewhere, at([10, 0, 0, 5])).len(), 2);
    }

    #[test]
    fn a_range_that_collides_or_is_too_small_is_named() {
        let collides = advice("[listen]\nftp = ['0.0.0.0:50021']\nftps = []", at([203, 0, 113, 5]));
        assert!(collides[0].contains("50021 of listen.ftp"), "{collides:?}");
        let small = advice("[ftp]\npassive_ports = '50000-50009'", at([203, 0, 113, 5]));
        assert!(small[0].contains("sessions_per_account_max = 10"), "{small:?}");
    }

    #[test]
    fn a_transfer_log_and_programs_of_hooks_that_cannot_be_are_named() {
        let heard = advice("[ftp]\ntransfer_log = '/no/such/xferlog'", at([203, 0, 113, 5]));
        assert!(heard[2].contains("no directory /no/such."), "{heard:?}");
        let hook = |program: &str| {
            advice(&format!("[[hook]]\nname = 'import'\ncommand = ['{program}']"), at([203, 0, 113, 5]))
        };
        assert!(hook("/no/such/import")[2].starts_with("hook import: /no/such/import is no program"));
        assert_eq!((hook("/dev/null").len(), hook("/bin/sh").len(), hook("import").len()), (3, 2, 2));
    }

    #[test]
    fn a_container_hears_what_to_publish() {
        let heard = advice("", Machine { own_address: None, is_container: true });
        assert!(heard[1].contains("-p 21:21 -p 990:990 -p 50000-50999:50000-50999"), "{heard:?}");
    }
}
