//! What is done for a package besides laying it out: scripts that it brings, when they are asked for, and
//! rpm's database, where rpm manages the host.

use super::{Plan, Step};
use crate::rpmfile::{Package, Scriptlet, When};

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packaging {
    /// The package that rpm's database shall hold afterwards.
    pub register: Option<String>,
    /// The package that it holds now because of this program, and shall not afterwards.
    pub unregister: Option<String>,
    /// Scripts that run before anything is changed.
    pub before: Vec<Script>,
    /// Scripts that run when all files are in their places, before the service starts.
    pub after: Vec<Script>,
    /// What to know about it.
    pub notes: Vec<String>,
}

/// A script that a package brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// rpm's word for the time at which it runs, such as `%post`.
    pub when: &'static str,
    /// The interpreter and its arguments.
    pub interpreter: Vec<String>,
    /// The script.
    pub body: String,
    /// What it is told: how many packages of its name there are afterwards.
    pub argument: u8,
}

impl Packaging {
    pub(super) fn begin(&self, plan: &mut Plan) {
        plan.notes.extend(self.notes.iter().cloned());
        run(&self.before, plan);
    }

    pub(super) fn placed(&self, plan: &mut Plan) {
        run(&self.after, plan);
    }

    /// After the last record: the database follows what is installed.
    pub(super) fn records(&self, plan: &mut Plan) {
        if let Some(name) = self.unregister.clone().filter(|name| Some(name) != self.register.as_ref()) {
            plan.push(Step::UnregisterPackage { name }, "it is not what is installed any more");
        }
        if let Some(name) = self.register.clone() {
            plan.push(Step::RegisterPackage { name }, "so that `rpm -q` and `rpm -V` tell the truth");
        }
    }
}

fn run(scripts: &[Script], plan: &mut Plan) {
    for Script { when, interpreter, body, argument } in scripts.iter().cloned() {
        let step = Step::RunScript { when: when.to_owned(), interpreter, body, argument };
        plan.push(step, "--run-scriptlets; what a script does is not undone");
    }
}

/// The package's script for a time; `Err` with the reason when this program cannot run it as rpm does.
///
/// # Errors
/// When it needs rpm itself, or what it needs is not told plainly.
pub fn script(package: &Package, when: When, argument: u8) -> Result<Option<Script>, String> {
    let word = word(when);
    let Some(scriptlet) = package.scriptlets.iter().find(|scriptlet| scriptlet.when == when) else {
        return Ok(None);
    };
    let Scriptlet { interpreter, body, flags, .. } = scriptlet;
    if *flags & 3 != 0 {
        return Err(format!("{word} is expanded by rpm before it runs"));
    }
    match interpreter.first() {
        Some(program) if program.starts_with('/') => {
            let (interpreter, body) = (interpreter.clone(), body.clone());
            Ok(Some(Script { when: word, interpreter, body, argument }))
        }
        other => {
            Err(format!("{word} is run by {}, which is part of rpm", other.map_or("nothing", String::as_str)))
        }
    }
}

/// rpm's word for the time at which a script runs.
#[must_use]
pub fn word(when: When) -> &'static str {
    match when {
        When::PreTrans => "%pretrans",
        When::Pre => "%pre",
        When::Post => "%post",
        When::PreUn => "%preun",
        When::PostUn => "%postun",
        When::PostTrans => "%posttrans",
        When::PreUnTrans => "%preuntrans",
        When::PostUnTrans => "%postuntrans",
        When::Verify => "%verifyscript",
        When::Trigger => "trigger",
        When::FileTrigger => "file trigger",
        When::TransFileTrigger => "transaction file trigger",
    }
}
