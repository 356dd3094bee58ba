//! The reference server: keeps the contract between the product's server and its installer.
//!
//! In: `version.json`, `/etc/demisto.conf`, certificate and key, `otc.conf.json`, HTTPS requests.
//! Out: answers, data below `/var/lib/demisto/data`, the log. See the README beside this directory.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own, which has no part in the installer's doors"
)]

#[path = "../common/mod.rs"]
mod common;
mod http;
mod listen;
mod login;
mod otc;
mod routes;
mod settings;
mod store;
mod tls;
mod users;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::bail;
use clap::Parser;

use common::log::{Level, Log};
use common::release::{Fault, Release};
use common::signals::{self, Wake};
use common::under;
use settings::Settings;
use store::Store;

/// The reference server of demisto-install.
#[derive(Parser)]
#[command(name = "server")]
struct Args {
    /// Prefix for every path
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Print what this release is
    #[arg(long)]
    version: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.version {
        return match Release::load(&args.root) {
            Ok(release) => {
                println!("{}", release.describe("server"));
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let log = Arc::new(Log::open(&under(&args.root, "/var/log/demisto/server.log")));
    match run(&args.root, &log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.error(format!("Server stopped: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(root: &Path, log: &Arc<Log>) -> anyhow::Result<()> {
    let (wake, woken) = mpsc::channel();
    signals::watch(wake.clone())?;
    let release = Arc::new(Release::load(root)?);
    common::announce(log, "server", &release)?;

    let settings = Settings::load(root, log)?;
    log.set_level(Level::named(&settings.log_level));
    let mut store = Store::open(under(root, "/var/lib/demisto/data"), &release, log)?;
    otc::consume(&settings.otc, &mut store, log)?;
    if store.users().is_empty() {
        log.warning("there is no user: write one to otc.conf.json and restart");
    }
    let acceptor = tls::acceptor(root, &settings, &store, log)?;

    // Faults come after the data was changed: that is the failure which is hardest to undo.
    if release.has(Fault::Crash) {
        if stopped_within(&woken, Duration::from_millis(300))? {
            return Ok(());
        }
        bail!("this release is made to crash after its start");
    }
    if release.has(Fault::SlowStart) {
        log.info("this release is made to start slowly");
        if stopped_within(&woken, Duration::from_secs(5))? {
            return Ok(());
        }
    }
    let service =
        listen::Service::new(acceptor, settings.clients, store, Arc::clone(&release), Arc::clone(log))?;
    if release.has(Fault::NoPort) {
        log.info("this release is made never to listen");
    } else {
        listen::start(&service, settings.port, release.has(Fault::Hang), wake)?;
    }

    match woken.recv()? {
        Wake::Stop => log.info("Stopping server"),
        Wake::Failed(error) => return Err(error),
    }
    service.drain(Duration::from_millis(700));
    log.info("Server stopped");
    Ok(())
}

/// Waits; true when the program was asked to stop meanwhile.
fn stopped_within(woken: &Receiver<Wake>, time: Duration) -> anyhow::Result<bool> {
    match woken.recv_timeout(time) {
        Err(RecvTimeoutError::Timeout) => Ok(false),
        Ok(Wake::Failed(error)) => Err(error),
        Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => Ok(true),
    }
}
