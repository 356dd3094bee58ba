//! The reference engine: keeps the contract between the product's engine and its installer.
//!
//! In: `version.json`, `d1.conf`. Out: a TLS connection to the server that the configuration
//! names, kept up until the engine is stopped, and the log.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own, which has no part in the installer's doors"
)]

#[path = "../common/mod.rs"]
mod common;
mod connect;
mod settings;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::bail;
use clap::Parser;

use common::log::{Level, Log};
use common::release::{Fault, HOME, Release};
use common::signals::{self, Wake};
use common::under;
use settings::Settings;

/// The reference engine of demisto-install.
#[derive(Parser)]
#[command(name = "d1")]
struct Args {
    /// Prefix for every path
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// The configuration; an absolute name lies below the prefix. Unless given, d1.conf beside the
    /// program, or else /usr/local/demisto/d1.conf
    #[arg(long, value_name = "FILE")]
    conf: Option<PathBuf>,
    /// Print what this release is
    #[arg(long)]
    version: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.version {
        return match Release::load(&args.root) {
            Ok(release) => {
                println!("{}", release.describe("engine"));
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    // The configuration names the log, so a broken one can only be told in the default log.
    // A relative name is meant from where the caller stands, whatever the prefix.
    let conf = match args.conf {
        Some(conf) if conf.is_absolute() => under(&args.root, &conf),
        Some(conf) => conf,
        None => beside_the_program().unwrap_or_else(|| under(&args.root, HOME).join("d1.conf")),
    };
    let settings = Settings::load(&args.root, &conf);
    let log = match &settings {
        Ok(settings) => &settings.log,
        Err(_) => Path::new("/var/log/demisto/d1.log"),
    };
    let log = Arc::new(Log::open(&under(&args.root, log)));
    match settings.and_then(|settings| run(&args.root, settings, &log)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.error(format!("d1 server stopped: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Engines with names have a directory each.
fn beside_the_program() -> Option<PathBuf> {
    let conf = std::env::current_exe().ok()?.with_file_name("d1.conf");
    conf.exists().then_some(conf)
}

fn run(root: &Path, settings: Settings, log: &Arc<Log>) -> anyhow::Result<()> {
    let (wake, woken) = mpsc::channel();
    signals::watch(wake.clone())?;
    let mut release = Release::load(root)?;
    if release.has(Fault::WrongVersion) {
        release.version = "0.0.0".to_owned();
    }
    common::announce(log, "d1 server", &release)?;
    log.set_level(Level::named(&settings.log_level));
    log.debug(settings.describe());

    let wait = Duration::from_millis(match release.fault {
        Some(Fault::Crash) => 300,
        Some(Fault::SlowStart) => 5000,
        _ => 0,
    });
    match woken.recv_timeout(wait) {
        Ok(Wake::Failed(error)) => return Err(error),
        Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        Err(RecvTimeoutError::Timeout) => {}
    }
    if release.has(Fault::Crash) {
        bail!("this release is made to crash after its start");
    }
    if release.has(Fault::Hang) || release.has(Fault::NoPort) {
        log.info("this release is made never to connect");
    } else {
        let (root, log) = (root.to_owned(), Arc::clone(log));
        thread::spawn(move || {
            let Err(error) = connect::keep(&root, &settings, &log);
            // The main thread is gone already if nobody listens.
            let _ = wake.send(Wake::Failed(error));
        });
    }
    match woken.recv()? {
        Wake::Failed(error) => Err(error),
        Wake::Stop => {
            log.info("d1 server stopped");
            Ok(())
        }
    }
}
