//! `config get`, `set`, `unset` and `diff`.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use super::change::{How, Which};
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::config::table::{Key, Scope, Unknown, table};
use crate::config::{self, Setting};
use crate::product::Role;
use crate::report;
use crate::workflow::Session;
use crate::workflow::settings::{self, Error};

/// Arguments of `config get`
#[derive(Debug, clap::Args)]
pub(super) struct Get {
    /// The key, dotted, in any case: Server.HttpsPort
    key: String,
    /// Give the default where the key is not set
    #[arg(long)]
    default: bool,
    #[command(flatten)]
    which: Which,
}

/// Arguments of `config set`
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The key says what its value is: `config set security.certificate.verifyrevocation=true` writes a \
    bare\ntrue, `config set Server.HttpsPort=8443` a quoted \"8443\". Secrets are not set here: `otc set-keypass`\n\
    gives the server the passphrase of its key."
)]
pub(super) struct Set {
    /// What is set, as KEY=VALUE; or one KEY and its VALUE
    #[arg(required = true, value_name = "KEY=VALUE")]
    what: Vec<String>,
    /// The values are JSON: numbers, lists, quoted texts
    #[arg(long)]
    json: bool,
    /// Also keys that are not known
    #[arg(long)]
    unknown: bool,
    #[command(flatten)]
    how: How,
}

/// Arguments of `config unset`
#[derive(Debug, clap::Args)]
pub(super) struct Unset {
    /// The keys, dotted, in any case
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    how: How,
}

/// Arguments of `config diff`
#[derive(Debug, clap::Args)]
pub(super) struct Diff {
    #[command(flatten)]
    which: Which,
}

/// Whether a key is one that the product has, as far as that is published.
fn known(key: &str) -> Result<Option<&'static Key>, Unknown> {
    match table().get(key) {
        Ok(known) => Ok(Some(known)),
        Err(_) if table().family(key).is_some() && table().misspelt(key).is_none() => Ok(None),
        Err(unknown) => Err(unknown),
    }
}

pub(super) fn get(common: &Common, args: &Get) -> Result<ExitCode> {
    let sink = common.sink();
    let session = args.which.session(common, &*sink)?;
    session.require_settled()?;
    let text = settings::text(&session)?;
    let known = known(&args.key);
    let row = known.as_ref().ok().copied().flatten();
    let names: Vec<&str> = row.map_or_else(|| vec![&*args.key], |row| row.names().collect());
    let mut found = None;
    for name in names {
        if found.is_none() {
            found = config::value(&text, name)?.map(|value| (name, value));
        }
    }
    if found.is_none() {
        known?;
    }
    let default = row.and_then(|row| row.default_of(session.site.role()));
    let (name, value) = found.map_or((&*args.key, None), |(name, value)| (name, Some(value)));
    let masked = value.as_ref().and_then(|value| config::masked_value(name, value));
    let hidden = masked.is_some();
    let shown = masked.or(value);
    let is_set = shown.is_some();
    let line = match (&shown, default) {
        (Some(value), _) => value.to_string(),
        (None, Some(default)) if args.default => default.to_string(),
        (None, Some(default)) => format!("not set; the default is {default}"),
        (None, None) => "not set; what counts then is not known".to_owned(),
    };
    let value =
        json!({ "key": args.key, "set": is_set, "value": shown, "hidden": hidden, "default": default });
    common.result(&format!("{line}\n"), &value);
    Ok(Exit::Done.into())
}

pub(super) fn set(common: &Common, args: &Set) -> Result<ExitCode> {
    let sink = common.sink();
    let session = args.how.which.session(common, &*sink)?;
    let settings = args.settings(&session)?;
    args.how.approval.begin(&session)?;
    let what = format!("set {}", keys(&settings));
    args.how.change(common, &session, (settings, "you asked for it; the rest of the file is kept", what))
}

pub(super) fn unset(common: &Common, args: &Unset) -> Result<ExitCode> {
    let sink = common.sink();
    let session = args.how.which.session(common, &*sink)?;
    args.how.approval.begin(&session)?;
    let settings: Vec<Setting> = args.keys.iter().map(|key| Setting::unset(key)).collect();
    let what = format!("unset {}", keys(&settings));
    args.how.change(common, &session, (settings, "the product's default counts then", what))
}

fn keys(settings: &[Setting]) -> String {
    settings.iter().map(|set| set.key.as_str()).collect::<Vec<_>>().join(", ")
}

impl Set {
    /// What is asked for, with everything that is wrong told at once.
    fn settings(&self, session: &Session) -> Result<Vec<Setting>> {
        let mut wrong = Vec::new();
        let mut settings: Vec<Setting> = Vec::new();
        for (key, text) in self.pairs()? {
            let row = match known(key) {
                Ok(row) => row,
                Err(_) if self.unknown => None,
                Err(unknown) => return Err(Error::Unknown(unknown).into()),
            };
            if let Some(row) = row.filter(|row| !row.role.includes(session.site.role()) && !self.how.force) {
                let role = if row.role == Scope::Engine { Role::Engine } else { Role::Server };
                settings::require_role(session, role, &row.key)?;
            }
            if settings.iter().any(|set| set.key.eq_ignore_ascii_case(key)) {
                wrong.push(format!("{key} is given twice"));
            }
            if row.is_some_and(|row| row.secret) {
                return Err(Error::Secret { key: key.to_owned() }.into());
            }
            match self.value(row, text) {
                Ok(value) => settings.push(Setting::to(key, value)),
                Err(why) => wrong.push(format!("{key}: {why}")),
            }
        }
        if wrong.is_empty() { Ok(settings) } else { Err(Error::Values(wrong).into()) }
    }

    fn pairs(&self) -> Result<Vec<(&str, &str)>> {
        if let [key, value] = &*self.what
            && !key.contains('=')
        {
            return Ok(vec![(key, value)]);
        }
        self.what
            .iter()
            .map(|word| match word.split_once('=') {
                Some((key, value)) if !key.is_empty() => Ok((key, value)),
                _ => Err(Error::Values(vec![format!("{word:?} is not of the form KEY=VALUE")]).into()),
            })
            .collect()
    }

    fn value(&self, row: Option<&Key>, text: &str) -> Result<Value, String> {
        if self.json {
            return serde_json::from_str(text).map_err(|e| format!("{text} is no JSON ({e}); quote texts"));
        }
        config::typed(row, text)
    }
}

pub(super) fn diff(common: &Common, args: &Diff) -> Result<ExitCode> {
    let sink = common.sink();
    let session = args.which.session(common, &*sink)?;
    session.require_settled()?;
    let (path, lines) = settings::diff(&session)?;
    let plain = report::config_diff(&lines, false);
    let value = json!({ "config": path, "differs": !lines.is_empty(), "diff": plain });
    if common.is_json() || common.quiet {
        common.result("", &value);
    } else if lines.is_empty() {
        common.result(&format!("{path} is as the release brought it\n"), &value);
    } else {
        let shown = report::config_diff(&lines, common.color.stdout());
        crate::sys::fs::print(&format!("{path}, compared with the defaults of the release:\n{shown}"));
    }
    Ok(Exit::Done.into())
}
