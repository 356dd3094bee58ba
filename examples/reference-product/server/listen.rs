//! Connections: one thread each, bounded in number and time.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use openssl::ssl::{SslAcceptor, SslStream};

use crate::common::log::Log;
use crate::common::release::Release;
use crate::common::signals::Wake;
use crate::http::{Answer, Request};
use crate::login::Logins;
use crate::routes::{Outcome, route};
use crate::settings::Clients;
use crate::store::Store;
use crate::tls;

const MOST_CONNECTIONS: usize = 64;
const TIMEOUT: Duration = Duration::from_secs(10);

/// What every connection needs.
pub(crate) struct Service {
    acceptor: SslAcceptor,
    clients: Clients,
    pub(crate) release: Arc<Release>,
    pub(crate) logins: Mutex<Logins>,
    pub(crate) log: Arc<Log>,
    connections: AtomicUsize,
    stopping: AtomicBool,
}

impl Service {
    pub(crate) fn new(
        acceptor: SslAcceptor,
        clients: Clients,
        store: Store,
        release: Arc<Release>,
        log: Arc<Log>,
    ) -> anyhow::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            acceptor,
            clients,
            release,
            logins: Mutex::new(Logins::new(store.into_users())?),
            log,
            connections: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        }))
    }

    /// Gives running requests a moment to end.
    pub(crate) fn drain(&self, patience: Duration) {
        self.stopping.store(true, Ordering::SeqCst);
        let start = Instant::now();
        while self.connections.load(Ordering::SeqCst) > 0 && start.elapsed() < patience {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A place among the connections, given back when dropped.
struct Place(Arc<Service>);

impl Place {
    fn take(service: &Arc<Service>) -> Option<Self> {
        let taken = service.connections.fetch_add(1, Ordering::SeqCst);
        let place = Self(Arc::clone(service));
        (taken < MOST_CONNECTIONS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Binds the port and serves it from a thread of its own.
pub(crate) fn start(service: &Arc<Service>, port: u16, hang: bool, wake: Sender<Wake>) -> anyhow::Result<()> {
    let listener = bind(port).with_context(|| format!("listen tcp :{port}: bind"))?;
    service.log.info(format!("Listening on port {port}"));
    let service = Arc::clone(service);
    thread::spawn(move || {
        // A release made to hang keeps what it accepts and says nothing.
        let mut held = VecDeque::new();
        for stream in listener.incoming() {
            match stream {
                Ok(stream) if hang => {
                    held.push_back(stream);
                    if held.len() > MOST_CONNECTIONS {
                        held.pop_front();
                    }
                }
                Ok(stream) => serve(&service, stream),
                // Too many open files, or a peer that gave up: neither is a reason to spin or stop.
                Err(error) => {
                    service.log.warning(format!("cannot accept a connection: {error}"));
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
        // The main thread is gone already if nobody listens.
        let _ = wake.send(Wake::Failed(anyhow!("the listener ended")));
    });
    Ok(())
}

/// Listens on IPv6 and IPv4, or on IPv4 alone where the host has no IPv6.
fn bind(port: u16) -> std::io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)) {
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::AddrInUse) => {
            Err(error)
        }
        Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)),
        bound => bound,
    }
}

fn serve(service: &Arc<Service>, stream: TcpStream) {
    // Without a place the connection is closed by being dropped.
    let Some(place) = Place::take(service) else {
        service.log.warning("too many connections");
        return;
    };
    let spawned = thread::Builder::new().spawn(move || {
        let Place(service) = &place;
        if let Err(error) = converse(service, stream) {
            service.log.debug(format!("connection: {error:#}"));
        }
    });
    if let Err(error) = spawned {
        service.log.warning(format!("cannot start a thread: {error}"));
    }
}

fn converse(service: &Service, stream: TcpStream) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut stream = match service.acceptor.accept(stream).map_err(tls::refusal) {
        // Where certificates are asked for, who was turned away is worth more than a debug line.
        Err(error) if service.clients.ask => {
            service.log.warning(format!("TLS handshake error: {error}"));
            return Ok(());
        }
        other => other?,
    };
    if let Some(subject) = tls::client(&stream) {
        let how = if service.clients.verify { "verified" } else { "not verified" };
        service.log.info(format!("client certificate '{subject}' ({how})"));
    }
    let answer = match Request::read(&mut stream) {
        Ok(request) => match route(service, &request) {
            Outcome::Answer(answer) => answer,
            Outcome::Engine(id) => return hold(service, &mut stream, &id),
        },
        Err(Some(status)) => return refuse(&mut stream, status),
        Err(None) => return Ok(()),
    };
    answer.write(&mut stream)?;
    // The close alert tells the peer that the answer is whole; it may have left already.
    let _ = stream.shutdown();
    Ok(())
}

/// Answers a request that was not read to its end.
fn refuse(stream: &mut SslStream<TcpStream>, status: u16) -> anyhow::Result<()> {
    Answer::status(status).write(stream)?;
    let _ = stream.shutdown();
    // Closing with unread input resets the connection, which can overtake the answer: so what is
    // on its way is taken first, within limits.
    let socket = stream.get_mut();
    socket.shutdown(Shutdown::Write)?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    std::io::copy(&mut socket.take(1 << 20), &mut std::io::sink())?;
    Ok(())
}

/// Keeps an engine's connection until the engine or the server goes.
fn hold(service: &Service, stream: &mut SslStream<TcpStream>, id: &str) -> anyhow::Result<()> {
    stream.write_all(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    )?;
    service.log.info(format!("engine '{id}' connected"));
    stream.get_ref().set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut ignored = [0u8; 1024];
    while !service.stopping.load(Ordering::SeqCst) {
        match stream.read(&mut ignored) {
            Ok(0) => break,
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            _ => {}
        }
    }
    let _ = stream.shutdown();
    service.log.info(format!("engine '{id}' disconnected"));
    Ok(())
}
