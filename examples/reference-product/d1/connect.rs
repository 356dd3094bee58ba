//! The engine's connection: the first server that answers, again and again.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode, SslVersion};

use crate::common::log::Log;
use crate::common::pem;
use crate::settings::{Server, Settings};

const TIMEOUT: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Makes what opens TLS connections (TLS 1.2 and later).
fn connector(root: &Path, settings: &Settings) -> anyhow::Result<SslConnector> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    if settings.trust_any_certificate {
        builder.set_verify(SslVerifyMode::NONE);
    } else {
        pem::trust_host(&mut builder, root)?;
    }
    if let Some(client) = &settings.client {
        pem::install(&mut builder, &client.certificates, &client.key, client.passphrase.as_deref(), "client")
            .context("Failed load client certificate")?;
    }
    Ok(builder.build())
}

/// Keeps a connection up for as long as the program runs; fails when it can't even try.
pub(crate) fn keep(root: &Path, settings: &Settings, log: &Log) -> anyhow::Result<Infallible> {
    let connector = connector(root, settings)?;
    let mut pause = Duration::from_secs(1);
    loop {
        for server in &settings.servers {
            match connect(&connector, settings, server) {
                Ok(mut stream) => {
                    log.info(format!("connected to {}", server.url));
                    pause = Duration::from_secs(1);
                    wait_for_end(&mut stream);
                    log.warning(format!("connection to {} ended", server.url));
                    break;
                }
                Err(error) => log.warning(format!("cannot connect to {}: {error:#}", server.url)),
            }
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn connect(
    connector: &SslConnector,
    settings: &Settings,
    server: &Server,
) -> anyhow::Result<SslStream<TcpStream>> {
    let stream = reach(server)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut tls = connector.configure()?;
    tls.set_verify_hostname(!settings.trust_any_certificate);
    let mut stream = tls.connect(&server.host, stream).map_err(|error| anyhow!("{error}"))?;
    write!(
        stream,
        "GET {} HTTP/1.1\r\nHost: {}:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Engine-Id: {}\r\n\r\n",
        server.path, server.host, server.port, settings.engine_id
    )?;
    handshake(&mut stream)?;
    Ok(stream)
}

/// Opens the first address of the server that accepts.
fn reach(server: &Server) -> anyhow::Result<TcpStream> {
    let addresses = (server.host.as_str(), server.port).to_socket_addrs().context("unknown host")?;
    let mut last = anyhow!("the host has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = anyhow!(error),
        }
    }
    Err(last)
}

/// Reads the answer's head, which must say that the protocol is switched.
fn handshake(stream: &mut SslStream<TcpStream>) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut head = Vec::new();
    let mut byte = [0u8];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 || head.len() > 8192 || start.elapsed() > TIMEOUT {
            bail!("websocket: bad handshake");
        }
        head.extend(byte);
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        bail!("websocket: bad handshake");
    }
    Ok(())
}

/// Returns when the server closes the connection.
fn wait_for_end(stream: &mut SslStream<TcpStream>) {
    let mut ignored = [0u8; 1024];
    // Without the time-out a read ends only with data or with the connection.
    if stream.get_ref().set_read_timeout(None).is_ok() {
        while stream.read(&mut ignored).is_ok_and(|count| count > 0) {}
    }
}
