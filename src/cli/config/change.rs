//! What every verb has in common that sets keys.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::cli::approval::Approval;
use crate::cli::common::{self, Common, KeyArgs, Place};
use crate::cli::exit::Exit;
use crate::cli::install::HEALTH_SECONDS;
use crate::config::Setting;
use crate::event::EventSink;
use crate::product::EngineName;
use crate::workflow::Session;
use crate::workflow::change::Restart;
use crate::workflow::settings::{self, Wish};

/// Whose configuration it is.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Which {
    /// The configuration of an engine (d1.conf)
    #[arg(long)]
    engine: bool,
    /// The engine's name; the one without a name unless given
    #[arg(long, value_name = "NAME", requires = "engine")]
    name: Option<EngineName>,
}

impl Which {
    pub(super) fn session<'a>(&self, common: &Common, sink: &'a dyn EventSink) -> Result<Session<'a>> {
        common.session_in(&KeyArgs::default(), sink, Place::of(self.engine, self.name.as_ref()))
    }
}

/// How a change is made.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct How {
    #[command(flatten)]
    pub(super) which: Which,
    /// Start the product anew, wait until it is well, and undo all if it is not
    #[arg(long)]
    restart: bool,
    /// How long it may take to answer or connect, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = HEALTH_SECONDS, requires = "restart")]
    health_timeout: u64,
    /// Also when the product would not obey
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) approval: Approval,
}

impl How {
    /// Plans, asks, does it, and tells.
    pub(super) fn change(
        &self,
        common: &Common,
        session: &Session,
        (settings, reason, what): (Vec<Setting>, &str, String),
    ) -> Result<ExitCode> {
        let wish = Wish {
            settings,
            reason: reason.to_owned(),
            what,
            force: self.force,
            restart: if self.restart { Restart::Always } else { Restart::Never },
            seconds: self.health_timeout,
        };
        let nothing = || {
            let value = json!({ "changed": false, "restarted": false });
            common.result("it is set so already; nothing to do\n", &value);
            Ok(Exit::Done.into())
        };
        let Some(plan) = settings::plan(session, &wish)? else { return nothing() };
        if !self.approval.decide(common, &plan, ("Do it?", false))? {
            return Ok(Exit::Done.into());
        }
        common::tell_notes(self.approval.is_unattended(), session.sink, &plan);
        if !settings::run(session, &wish, plan.digest())? {
            return nothing();
        }
        let path = session.site.config_file();
        // the change is made: what cannot be asked any more is left out
        let wants = if plan.starts() { settings::wants_certificate(session).ok().flatten() } else { None };
        let when = match (plan.starts(), session.site.is_server()) {
            (false, _) => "the product reads it at its next start",
            (true, true) if wants == Some(true) => {
                "the server was started anew, and answers clients with a certificate only: this program has none, \
                 and being turned away counts as an answer"
            }
            (true, true) => "the server was started anew, and answers",
            (true, false) => "the engine was started anew",
        };
        let value = json!({
            "changed": true, "restarted": plan.starts(), "config": path, "set": wish.settings,
            "wants_certificate": wants,
        });
        common.result(&format!("{path} is changed; {when}\n"), &value);
        Ok(Exit::Done.into())
    }
}
