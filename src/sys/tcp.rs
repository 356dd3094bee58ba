//! Connections over TCP that end at one time, whatever the other side does.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::Duration;

use super::clock::Watch;

/// A connection that ends at one time, however slowly the other side speaks.
#[derive(Debug)]
pub struct Bounded {
    tcp: TcpStream,
    watch: Watch,
    limit: Duration,
    patience: Duration,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// The name has no address.
    #[error("the name {name} has no address")]
    Name {
        /// The name.
        name: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The resolver did not answer.
    #[error("nobody told the address of {0} in time")]
    NameTimeout(String),
    /// Nobody listens there.
    #[error("{0} refuses the connection: nobody listens there, or a firewall rejects it")]
    Refused(SocketAddr),
    /// Nothing came back.
    #[error("{0} does not answer in time")]
    Timeout(SocketAddr),
    /// Something else.
    #[error("{address} cannot be reached")]
    Other {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl Bounded {
    /// Connects to one address; `limit` counts from now to the last byte.
    ///
    /// # Errors
    /// When nobody answers there in time.
    pub fn connect(address: &SocketAddr, limit: Duration) -> io::Result<Self> {
        let watch = Watch::start();
        let tcp = TcpStream::connect_timeout(address, limit)?;
        Ok(Self { tcp, watch, limit, patience: Duration::MAX })
    }

    /// Lets each read from now on end after `patience` with [`io::ErrorKind::WouldBlock`] when nothing comes;
    /// the connection is as good as before.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        match self.limit.saturating_sub(self.watch.elapsed()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(self.left()?.map(|left| left.min(self.patience)))?;
        self.tcp.read(buffer)
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(self.left()?)?;
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// The addresses of a host, in the order in which the system would try them. The resolver knows no
/// limit of its own that could be set, so it works in a thread, which is left alone when it is late.
///
/// # Errors
/// When the name has none, or nobody tells in time.
pub fn resolve(host: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, Unreachable> {
    let (sender, receiver) = mpsc::channel();
    let name = host.to_owned();
    std::thread::spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        let _ = sender.send(found); // nobody may wait for it any more
    });
    let none = |source| Unreachable::Name { name: host.to_owned(), source };
    match receiver.recv_timeout(limit) {
        Err(_) => Err(Unreachable::NameTimeout(host.to_owned())),
        Ok(Err(source)) => Err(none(source)),
        Ok(Ok(found)) if found.is_empty() => Err(none(io::ErrorKind::NotFound.into())),
        Ok(Ok(found)) => Ok(found),
    }
}

/// Connects to the first of the addresses that answers; gives that, too. `limit` is for all of them, each has
/// an equal share of what is left.
///
/// # Errors
/// With what the last one said.
pub fn connect(addresses: &[SocketAddr], limit: Duration) -> Result<(Bounded, SocketAddr), Unreachable> {
    let watch = Watch::start();
    let mut last = None;
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let share = limit.saturating_sub(watch.elapsed()) / u32::try_from(left).unwrap_or(u32::MAX);
        let share = share.max(Duration::from_millis(1)); // zero is refused by the system
        match TcpStream::connect_timeout(address, share) {
            Ok(tcp) => return Ok((Bounded { tcp, watch, limit, patience: Duration::MAX }, *address)),
            Err(error) => last = Some(why(*address, error)),
        }
    }
    let none = || Unreachable::Name { name: String::new(), source: io::ErrorKind::NotFound.into() };
    Err(last.unwrap_or_else(none))
}

fn why(address: SocketAddr, source: io::Error) -> Unreachable {
    match source.kind() {
        io::ErrorKind::ConnectionRefused => Unreachable::Refused(address),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Unreachable::Timeout(address),
        _ => Unreachable::Other { address, source },
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[test]
    fn the_address_that_answers_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(connect(&[closed, open], LIMIT).unwrap().1, open);
        let error = connect(&[closed], LIMIT).unwrap_err();
        assert!(matches!(error, Unreachable::Refused(address) if address == closed), "{error:?}");
        assert!(resolve("localhost", open.port(), LIMIT).unwrap().contains(&open));
        let error = resolve("no-such-host.invalid", 1, LIMIT).unwrap_err();
        assert!(matches!(error, Unreachable::Name { .. } | Unreachable::NameTimeout(_)), "{error:?}");
    }

    #[test]
    fn patience_ends_a_read_and_not_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut stream, _) = connect(&[listener.local_addr().unwrap()], LIMIT).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        stream.set_patience(Duration::from_millis(80));
        let watch = Watch::start();
        assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(watch.elapsed() < Duration::from_secs(2), "{:?}", watch.elapsed());
        peer.write_all(b"late").unwrap();
        let mut late = [0; 4];
        stream.read_exact(&mut late).unwrap();
        assert_eq!(&late, b"late");
    }
}
