//! How long a service is away: asks it every 5 ms until told to end, and prints the longest gap.
//!
//! In: a port of this host, and a file whose appearance ends it. Out: one line,
//! `gap_ms=N asked=N failed=N`; the gap lies between the last answer before and the first one after.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program of its own, which has no part in the installer's doors"
)]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

/// Between the begins of two questions.
const PERIOD: Duration = Duration::from_millis(5);
/// A question that is not answered within this time has failed.
const PATIENCE: Duration = Duration::from_secs(2);

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let port: u16 = args.next().context("usage: downtime PORT FILE")?.parse()?;
    let end = args.next().context("usage: downtime PORT FILE")?;
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_verify(SslVerifyMode::NONE); // whether it answers is asked, not who
    let connector = builder.build();
    let (mut last, mut longest) = (None::<Instant>, Duration::ZERO);
    let (mut asked, mut failed, mut lately) = (0_u64, 0_u64, false);
    while !Path::new(&end).exists() {
        let began = Instant::now();
        asked += 1;
        if answers(&connector, port) {
            let now = Instant::now();
            if let Some(last) = last.filter(|_| lately) {
                longest = longest.max(now - last);
            }
            (last, lately) = (Some(now), false);
        } else {
            failed += 1;
            lately = true;
        }
        thread::sleep(PERIOD.saturating_sub(began.elapsed()));
    }
    println!("gap_ms={} asked={asked} failed={failed}", longest.as_millis());
    Ok(())
}

/// Whether a whole request is answered with 200.
fn answers(connector: &SslConnector, port: u16) -> bool {
    let ask = || -> anyhow::Result<bool> {
        let tcp = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        let mut stream = connector.configure()?.verify_hostname(false).connect("localhost", tcp)?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head.ends_with(b"200"))
    };
    ask().unwrap_or(false)
}
