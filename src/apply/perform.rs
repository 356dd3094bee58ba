//! Does one step.

use std::time::Duration;

use zeroize::Zeroizing;

use super::files::{open, open_parent};
use super::{
    Context, Error, Result, accounts, authorities, carry, certificate, configuration, connection, keep,
    one_time, package, remove, repair, snapshot, stage, switch,
};
use crate::journal::Before;
use crate::plan::Step;
use crate::product::{self, Owner};
use crate::service::logs::Place;
use crate::service::{self, Wanted};
use crate::sys;
use crate::sys::process::Tool;
use crate::types::{Digest, Mode};
use crate::{certs, config};

const PRIVATE: u32 = 0o400;
const LOG_LINES: usize = 20;

pub(super) fn perform(step: &Step, before: &Before, context: &Context) -> Result<()> {
    match step {
        Step::CreateGroup { name } => accounts::create_group(context, name, before),
        Step::CreateUser { name, group, home } => accounts::create_user(context, name, group, home, before),
        Step::RemoveUser { name } => accounts::remove_user(context, name),
        Step::RemoveGroup { name } => accounts::remove_group(context, name),
        Step::CreateDir { path, owner, mode } => create_dir(context, path, *owner, *mode, before),
        Step::StageTree { path, .. } => stage::stage(context, path),
        Step::MakeCertificate { dir, names, days } => {
            let pair = certs::self_signed(names, *days)?;
            write_pair(context, dir, &pair.chain, &pair.key)
        }
        Step::TakeCertificate { dir, .. } => {
            let chain = context.secrets.chain.as_ref().ok_or(Error::Lacks("the certificate"))?;
            let key = context.secrets.key.as_ref().ok_or(Error::Lacks("the private key"))?;
            write_pair(context, dir, chain, key)
        }
        Step::WriteFile { .. } => write_file(context, step),
        Step::TakeFile { path, sha256, mode, .. } => take_file(context, path, *sha256, mode.bits()),
        Step::TakeDir { path, owner, mode } => {
            let dir = open(context.root, path)?;
            dir.set_owner_and_mode(context.ids(*owner)?, mode.bits())?;
            Ok(dir.sync()?)
        }
        Step::SetConfigPort { .. } | Step::SetConfig { .. } | Step::MergeConfig { .. } => {
            configuration::perform(context, step)
        }
        Step::WriteOneTimeConfig { .. } | Step::SetOneTime { .. } => one_time::perform(context, step),
        Step::UpdateTrustStore { layout, fresh, trusts } => {
            authorities::update(context, *layout, *fresh)?;
            authorities::check(context, *layout, trusts)
        }
        Step::SwitchTree { from, to, .. } => switch::perform(context, from, to, before),
        Step::CarryOver { from, to } => carry::perform(context, from, to, before),
        Step::KeepState { path, retained } => keep::perform(context, path, retained),
        Step::KeepPair { path, pair } => certificate::keep(context, path, pair),
        Step::PutBack { path, copy } => {
            keep::put_back(context, path, copy)?;
            reload_if_unit(context, path)
        }
        Step::RestoreLabels { paths } => restore_labels(paths),
        Step::EnableUnit { unit } => {
            service::enable(context.root, unit)?;
            reload_units(context)
        }
        Step::DisableUnit { unit } => {
            service::disable(context.root, unit)?;
            reload_units(context)
        }
        Step::StartUnit { unit } => start(context, unit),
        Step::StopUnit { unit } => Ok(service::stop(unit)?),
        Step::AwaitHealth { .. } => await_health(context, step),
        Step::AwaitConnection { unit, seconds, version, fips } => {
            await_connection(context, unit, (*seconds, *fips), version.as_deref())
        }
        Step::WriteReceipt { path } => write_receipt(context, path),
        Step::RemoveFile { path } | Step::ClearOneTime { path } if *before == Before::Kept => {
            context.sink.warn(format!("{path} is not what this program writes there; it stays"));
            Ok(())
        }
        Step::ClearOneTime { path } => one_time::clear(context, path),
        Step::RemoveFile { path } => {
            remove::file(context, path)?;
            reload_if_unit(context, path)
        }
        Step::RemoveOwned { dir, trash } => remove::owned(context, dir, trash),
        Step::RemoveTree { path, trash } => remove::tree(context, path, trash),
        Step::RemoveDir { path } => remove::dir(context, path),
        Step::StageFiles { path, paths } => repair::stage(context, path, paths),
        Step::ReplaceEntries { from, to, trash, paths } => repair::replace(context, (from, to, trash), paths),
        Step::RunScript { .. } => package::script(context, step),
        // after the commit
        Step::DropSnapshot { .. } | Step::RegisterPackage { .. } | Step::UnregisterPackage { .. } => Ok(()),
        Step::TakeSnapshot { .. } => snapshot::take(context, step),
        Step::RestoreData { snapshot: from, path, aside } => {
            snapshot::restore(context, from, (path, aside), before)
        }
    }
}

fn write_file(context: &Context, step: &Step) -> Result<()> {
    let Step::WriteFile { path, owner, mode, text, modified } = step else { return Ok(()) };
    let (dir, name) = open_parent(context.root, path)?;
    dir.replace_file(&name, text.as_bytes(), mode.bits(), context.ids(*owner)?)?;
    if let Some(seconds) = modified {
        sys::attributes::set_modified(&dir.open_file(&name)?, &dir.path_of(&name), *seconds)?;
    }
    reload_if_unit(context, path)
}

/// Whether a failed step left what it found: undoing it would then take away what is not ours.
pub(super) fn changed_nothing(step: &Step, error: &Error) -> bool {
    let exists = |e: &sys::Error| e.source.kind() == std::io::ErrorKind::AlreadyExists;
    let makes = matches!(
        step,
        Step::CreateDir { .. }
            | Step::StageTree { .. }
            | Step::StageFiles { .. }
            | Step::RemoveTree { .. }
            | Step::RemoveOwned { .. }
    );
    makes && matches!(error, Error::Sys(e) if exists(e))
}

/// systemd goes on with a unit as it read it until it is told.
fn reload_if_unit(context: &Context, path: &str) -> Result<()> {
    if product::unit_of_path(path).is_some() { reload_units(context) } else { Ok(()) }
}

/// Makes systemd read its units again, when it manages this root.
pub(super) fn reload_units(context: &Context) -> Result<()> {
    if context.is_live() && sys::fs::exists(std::path::Path::new("/run/systemd/system")) {
        service::daemon_reload()?;
    }
    Ok(())
}

fn create_dir(context: &Context, path: &str, owner: Owner, mode: Mode, before: &Before) -> Result<()> {
    if *before == Before::Kept {
        return Ok(());
    }
    let (dir, name) = open_parent(context.root, path)?;
    dir.create_dir(&name, mode.bits(), context.ids(owner)?)?.sync()?;
    Ok(dir.sync()?)
}

fn write_pair(context: &Context, dir: &str, chain: &str, key: &str) -> Result<()> {
    let dir = open(context.root, dir)?;
    let owner = context.ids(Owner::Demisto)?;
    dir.replace_file(product::CERTIFICATE, chain.as_bytes(), PRIVATE, owner)?;
    dir.replace_file(product::CERTIFICATE_KEY, key.as_bytes(), PRIVATE, owner)?;
    Ok(())
}

/// Writes what was read for the plan: if it were read again, it could be something else.
fn take_file(context: &Context, path: &str, sha256: Digest, mode: u32) -> Result<()> {
    let bytes = context.secrets.files.get(path).ok_or(Error::Lacks("the file"))?;
    if Digest::of(bytes) != sha256 {
        return Err(Error::Lacks("the file that the plan showed"));
    }
    let (dir, name) = open_parent(context.root, path)?;
    Ok(dir.replace_file(&name, bytes, mode, context.ids(Owner::Demisto)?)?)
}

fn restore_labels(paths: &[String]) -> Result<()> {
    Tool::system("restorecon")?
        .args(["-R", "-F", "--"])
        .args(paths)
        .timeout(Duration::from_secs(600))
        .check()?;
    Ok(())
}

fn start(context: &Context, unit: &str) -> Result<()> {
    let log = context.site.log_file();
    let _ = context.run_before.set(service::run_id(Place::Product(context.root, &log)));
    connection::mark(context, unit);
    let started = service::start(unit);
    started.map_err(|e| unhealthy(context, unit, format!("it did not start: {}", e.source)))
}

fn unhealthy(context: &Context, unit: &str, why: String) -> Error {
    let log = connection::log_file(context);
    let log = service::log_tail(unit, Place::Product(context.root, &log), LOG_LINES);
    Error::Unhealthy { unit: unit.to_owned(), why, log }
}

fn await_health(context: &Context, step: &Step) -> Result<()> {
    let Step::AwaitHealth { unit, port, path, seconds, version, fips } = step else { return Ok(()) };
    let one_time = context.at(&one_time::one_time_file(context.root, context.site));
    let log = context.site.log_file();
    let wanted = &Wanted {
        unit: Some(unit),
        port: *port,
        path,
        version: version.as_ref().map(|check| (check.key.as_str(), check.wanted.as_str())),
        one_time: &one_time,
        log: context.run_log(&log),
        fips: *fips,
        limit: Duration::from_secs(*seconds),
    };
    let port = wanted.port;
    let healthy = service::await_health(wanted).map_err(|why| match sys::signal::pending() {
        Some(signal) => Error::Interrupted(signal),
        None => unhealthy(context, unit, why),
    })?;
    let ours = served_certificate(context)?;
    if service::probe(port, wanted.path, None).certificate != ours {
        let why = format!("port {port} is answered with another certificate than the installed one");
        return Err(unhealthy(context, unit, why));
    }
    let version = healthy.version.map_or_else(String::new, |version| format!(" as version {version}"));
    let millis = healthy.took.as_millis();
    let tested = if wanted.fips { "; its FIPS-CC self-tests passed" } else { "" };
    context.sink.note(format!("{unit} answers on port {port}{version} after {millis} ms{tested}"));
    Ok(())
}

fn await_connection(context: &Context, unit: &str, limits: (u64, bool), version: Option<&str>) -> Result<()> {
    let healthy = connection::wait(context, unit, limits, version);
    let healthy = healthy.map_err(|why| match sys::signal::pending() {
        Some(signal) => Error::Interrupted(signal),
        None => unhealthy(context, unit, why),
    })?;
    context.sink.note(connection::told(context, &healthy));
    Ok(())
}

/// The certificate that the server should show: the installed one, unless the configuration names
/// another.
fn served_certificate(context: &Context) -> Result<Option<Digest>> {
    let text = Zeroizing::new(sys::fs::read_limited(&context.at(&context.site.config_file()), 4 << 20)?);
    let named = config::certificate_file(&String::from_utf8_lossy(&text))?;
    let path = named.unwrap_or_else(|| format!("{}/{}", context.site.tree(), product::CERTIFICATE));
    let chain = sys::fs::read_configured(&context.at(&path), 1 << 20)?;
    Ok(certs::leaf_digest(&String::from_utf8_lossy(&chain)).ok())
}

fn write_receipt(context: &Context, path: &str) -> Result<()> {
    let receipt = context.receipt.ok_or(Error::Lacks("the receipt"))?;
    let release = context.release.ok_or(Error::Lacks("the release"))?;
    let (dir, name) = open_parent(context.root, path)?;
    dir.replace_file(super::finish::MANIFEST, release.record(), 0o600, None)?;
    dir.replace_file(super::finish::SIGNATURES, release.candidate().signatures(), 0o600, None)?;
    Ok(dir.replace_file(&name, &receipt.to_bytes(), 0o600, None)?)
}
