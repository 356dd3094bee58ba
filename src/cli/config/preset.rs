//! `config preset`.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Value, json};

use super::change::How;
use crate::cli::common::Common;
use crate::cli::exit::Exit;
use crate::config::Setting;
use crate::config::preset::{Chosen, Given, Preset, choose, compare};
use crate::workflow::Session;
use crate::workflow::settings;

/// Arguments of `config preset`
#[derive(Debug, clap::Args)]
#[command(after_help = "Whatever is set already and is as good or stricter stays.")]
pub(super) struct Args {
    /// Which
    #[arg(value_enum, value_name = "PRESET")]
    preset: Which,
    /// Show what it sets, with reasons, and what is so already; change nothing
    #[arg(long)]
    show: bool,
    /// The names that clients' certificates may have, with commas between them (evaluated)
    #[arg(long, value_name = "NAME,NAME")]
    san_trust_list: Option<String>,
    /// The server's name and port, as engines know it (strict-engine)
    #[arg(long, value_name = "HOST:PORT")]
    external_host: Option<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    /// The evaluated configuration of a server (Common Criteria)
    Evaluated,
    /// Everyone who connects to the server shows a good certificate
    MutualAuth,
    /// An engine verifies its server, and expects one name
    StrictEngine,
}

impl From<Which> for Preset {
    fn from(which: Which) -> Self {
        match which {
            Which::Evaluated => Self::Evaluated,
            Which::MutualAuth => Self::MutualAuth,
            Which::StrictEngine => Self::StrictEngine,
        }
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result<ExitCode> {
    let preset = Preset::from(args.preset);
    let sink = common.sink();
    let session = args.how.which.session(common, &*sink)?;
    settings::require_role(&session, preset.role(), &format!("the preset {}", preset.name()))?;
    if args.show {
        session.require_settled()?;
        let (text, given) = (settings::text(&session)?, given(&session, args)?);
        return Ok(show(common, preset, &compare(preset, &text, &given)?));
    }
    args.how.approval.begin(&session)?;
    let text = settings::text(&session)?;
    let chosen = choose(preset, &text, &given(&session, args)?)?;
    let set: Vec<Setting> = chosen.into_iter().filter_map(|one| one.set).collect();
    let what = format!("preset {}", preset.name());
    args.how.change(common, &session, (set, "what the preset wants and is not so yet; --show says why", what))
}

fn given(session: &Session, args: &Args) -> Result<Given> {
    let joined = |list: &String| list.split(',').map(str::trim).collect::<Vec<_>>().join(",");
    Ok(Given {
        san_trust_list: args.san_trust_list.as_ref().map(joined),
        external_host: args.external_host.clone(),
        client_pair: settings::has_client_pair(session)?,
    })
}

/// What a setting is: as wanted, about to be set, or for the site to say.
fn state(one: &Chosen) -> (&'static str, Option<Value>) {
    match &one.set {
        Some(set) => ("set", set.value.clone()),
        None if one.entry.is_met(one.now.as_ref()) => ("ok", one.now.clone()),
        None => ("open", None),
    }
}

fn show(common: &Common, preset: Preset, chosen: &[Chosen]) -> ExitCode {
    let mut text = String::new();
    let mut entries = Vec::new();
    for one in chosen {
        let (state, value) = state(one);
        let shown = value.as_ref().map_or_else(|| "for you to say".to_owned(), Value::to_string);
        let now = one.now.as_ref().filter(|_| state != "ok").map(|now| format!(" (now {now})"));
        let _ = writeln!(text, "{state:<4}  {} = {shown}{}", one.entry.key, now.unwrap_or_default());
        let _ = writeln!(text, "      {} [{}]", one.entry.why, one.entry.section);
        entries.push(json!({
            "key": one.entry.key, "state": state, "now": one.now, "value": value,
            "why": one.entry.why, "section": one.entry.section,
        }));
    }
    common.result(&text, &json!({ "preset": preset, "settings": entries }));
    Exit::Done.into()
}
