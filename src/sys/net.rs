//! The host's own addresses; which ports are in use, and by whom, from `/proc`.

use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::stat::stat;

use super::fs;

/// The addresses of this host that others may reach it by: not those of loopback, and none that counts on
/// one link only.
#[must_use]
pub fn own_addresses() -> Vec<IpAddr> {
    let mut found = Vec::new();
    for interface in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let Some(address) = interface.address else { continue };
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        let v6 = address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()));
        let local = |address: &IpAddr| match address {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified(),
        };
        found.extend(v4.or(v6).filter(|address| !local(address)));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// How long names may take to be resolved: a name server that does not answer is asked twice by default.
const PATIENCE: Duration = Duration::from_secs(12);

/// The addresses of a host, as every program of this system gets them (getaddrinfo(3)); none when there are none,
/// or nobody answered in time.
#[must_use]
pub fn resolve(name: &str) -> Vec<IpAddr> {
    let (send, receive) = mpsc::channel();
    let wanted = name.to_owned();
    // nothing ends a look-up that waits for a name server; the thread ends with the process
    std::thread::spawn(move || {
        let found =
            (wanted.as_str(), 0).to_socket_addrs().map(|all| all.map(|address| address.ip()).collect());
        let _ = send.send(found.unwrap_or_default());
    });
    let mut found: Vec<IpAddr> = receive.recv_timeout(PATIENCE).unwrap_or_default();
    found.sort_unstable();
    found.dedup();
    found
}

/// Who listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The port.
    pub port: u16,
    /// The socket's inode, by which a process that holds it is found.
    inode: u64,
}

/// A process by id and short name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process id.
    pub pid: u32,
    /// Its short name (`/proc/PID/comm`).
    pub name: String,
}

/// TCP sockets in state LISTEN (proc(5), state `0A`), of both address families.
#[must_use]
pub fn listeners() -> Vec<Listener> {
    sockets(["/proc/net/tcp", "/proc/net/tcp6"], "0A")
}

/// Sockets of both address families that are in a state.
fn sockets(tables: [&str; 2], state: &str) -> Vec<Listener> {
    let mut found = Vec::new();
    for table in tables {
        let text = fs::read_limited(Path::new(table), 64 << 20).unwrap_or_default();
        found.extend(String::from_utf8_lossy(&text).lines().filter_map(|line| parse_line(line, state)));
    }
    found
}

fn parse_line(line: &str, state: &str) -> Option<Listener> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    if *fields.get(3)? != state {
        return None;
    }
    let port = u16::from_str_radix(fields.get(1)?.rsplit(':').next()?, 16).ok()?;
    Some(Listener { port, inode: fields.get(9)?.parse().ok()? })
}

/// Whether somebody listens on `port`; with the process where that can be seen (as root, all).
#[must_use]
pub fn listening_on(port: u16) -> Option<Option<Holder>> {
    holding(&listeners(), port)
}

/// Whether somebody takes UDP from everybody on `port` (state `07`, not connected); as [`listening_on`].
#[must_use]
pub fn receiving_on(port: u16) -> Option<Option<Holder>> {
    holding(&sockets(["/proc/net/udp", "/proc/net/udp6"], "07"), port)
}

fn holding(sockets: &[Listener], port: u16) -> Option<Option<Holder>> {
    let inodes: Vec<u64> = sockets.iter().filter(|l| l.port == port).map(|l| l.inode).collect();
    if inodes.is_empty() { None } else { Some(holder_of(&inodes)) }
}

/// The ports on which process `pid` listens, sorted.
#[must_use]
pub fn ports_of(pid: u32) -> Vec<u16> {
    let held = socket_inodes(&PathBuf::from(format!("/proc/{pid}")));
    let mut ports: Vec<u16> =
        listeners().into_iter().filter(|l| held.contains(&l.inode)).map(|l| l.port).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn holder_of(inodes: &[u64]) -> Option<Holder> {
    let pids = fs::list(Path::new("/proc")).unwrap_or_default();
    pids.iter().filter_map(|name| name.parse::<u32>().ok()).find_map(|pid| {
        let home = PathBuf::from(format!("/proc/{pid}"));
        let holds = socket_inodes(&home).iter().any(|inode| inodes.contains(inode));
        holds.then(|| Holder { pid, name: comm(&home) })
    })
}

impl Holder {
    /// The program that it runs, if that can be seen.
    #[must_use]
    pub fn program(&self) -> Option<PathBuf> {
        fs::read_link(Path::new(&format!("/proc/{}/exe", self.pid))).ok()
    }

    /// The program that it runs, if that is the file which has this name here: in a mount namespace of its own a
    /// process can give its program any name.
    #[must_use]
    pub fn program_here(&self) -> Option<PathBuf> {
        let path = self.program()?;
        let running = stat(format!("/proc/{}/exe", self.pid).as_str()).ok()?;
        let here = stat(&path).ok()?;
        ((running.st_dev, running.st_ino) == (here.st_dev, here.st_ino)).then_some(path)
    }
}

fn comm(home: &Path) -> String {
    let name = fs::read_limited(&home.join("comm"), 64).unwrap_or_default();
    String::from_utf8_lossy(&name).trim().chars().filter(|c| !c.is_control()).collect()
}

fn socket_inodes(home: &Path) -> Vec<u64> {
    let dir = home.join("fd");
    let names = fs::list(&dir).unwrap_or_default();
    names
        .iter()
        .filter_map(|name| fs::read_link(&dir.join(name)).ok())
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_those_that_others_reach() {
        for address in own_addresses() {
            assert!(!address.is_loopback() && !address.is_unspecified(), "{address}");
        }
    }

    #[test]
    fn names_are_resolved() {
        assert!(resolve("localhost").iter().any(IpAddr::is_loopback));
        assert!(resolve("no-such-name.invalid").is_empty());
    }

    #[test]
    fn finds_our_own_listener() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let holder = listening_on(port).unwrap().unwrap();
        assert_eq!(holder.pid, std::process::id());
        assert!(ports_of(holder.pid).contains(&port));
        assert_eq!(holder.program().unwrap(), super::super::env::program());
        assert_eq!(holder.program_here(), holder.program());
        drop(socket);
        assert_eq!(listening_on(port), None);
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(receiving_on(port).unwrap().unwrap().pid, std::process::id());
        drop(socket);
        assert_eq!(receiving_on(port), None);
    }
}
