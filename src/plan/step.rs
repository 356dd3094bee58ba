use serde::{Deserialize, Serialize};

use crate::config::{OnConflict, Setting};
use crate::product::{Owner, PairPaths, SnapshotReason, TrustLayout};
use crate::retained::Retained;
use crate::types::{Digest, Mode, human_bytes};

/// One step of a plan, as large as what is undone together. Paths are absolute as the installed
/// system sees them. No variant holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each variant says in `describe` what it does with its fields")]
pub enum Step {
    StageFiles {
        path: String,
        paths: Vec<String>,
    },
    ReplaceEntries {
        from: String,
        to: String,
        trash: String,
        paths: Vec<String>,
    },
    CreateGroup {
        name: String,
    },
    CreateUser {
        name: String,
        group: String,
        home: String,
    },
    CreateDir {
        path: String,
        owner: Owner,
        mode: Mode,
    },
    StageTree {
        path: String,
        files: u64,
        bytes: u64,
        /// Files that are expected to be taken from the installed tree.
        #[serde(default)]
        reused: u64,
    },
    MakeCertificate {
        dir: String,
        names: Vec<String>,
        days: u32,
    },
    TakeCertificate {
        dir: String,
        chain: String,
    },
    WriteFile {
        path: String,
        owner: Owner,
        mode: Mode,
        text: String,
        /// Time of the last change that it gets, in seconds since 1970; none keeps the present.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        modified: Option<i64>,
    },
    /// Content that is no part of the plan, since it may be secret, of which this is the digest. The
    /// service's own.
    TakeFile {
        path: String,
        from: String,
        sha256: Digest,
        mode: Mode,
    },
    SetConfigPort {
        path: String,
        port: u16,
        was: Digest,
    },
    TakeDir {
        path: String,
        owner: Owner,
        mode: Mode,
    },
    WriteOneTimeConfig {
        path: String,
        user: String,
        keypass: bool,
    },
    /// Adds to the one-time configuration: these users and API keys, and the passphrase; or takes the
    /// passphrase out. The secrets are no part of the plan.
    SetOneTime {
        path: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        keypass: bool,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        drop_keypass: bool,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        users: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        apikeys: Vec<String>,
    },
    /// Overwrites and removes the one-time configuration.
    ClearOneTime {
        path: String,
    },
    /// `was` is the file that the plan saw; none when there was none.
    SetConfig {
        path: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        was: Option<Digest>,
        set: Vec<Setting>,
    },
    /// Writes what the host trusts from its directories of authorities. Undone by doing it again: it stands
    /// before the steps that change them, and after.
    UpdateTrustStore {
        layout: TrustLayout,
        /// Whether links to authorities that are gone are removed.
        fresh: bool,
        /// Certificates that have to be trusted then.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        trusts: Vec<Digest>,
    },
    SwitchTree {
        from: String,
        to: String,
        #[serde(default)]
        old: Old,
    },
    CarryOver {
        from: String,
        to: String,
    },
    KeepState {
        path: String,
        retained: Box<Retained>,
    },
    /// `path` becomes a directory with copies of both files and a record of where they were.
    KeepPair {
        path: String,
        pair: PairPaths,
    },
    MergeConfig {
        path: String,
        was: Digest,
        becomes: Digest,
        on_conflict: OnConflict,
        added: Vec<String>,
        updated: Vec<String>,
        conflicts: Vec<String>,
    },
    PutBack {
        path: String,
        copy: String,
    },
    RestoreLabels {
        paths: Vec<String>,
    },
    EnableUnit {
        unit: String,
    },
    StartUnit {
        unit: String,
    },
    AwaitHealth {
        unit: String,
        port: u16,
        path: String,
        seconds: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<VersionCheck>,
        /// Whether the log of that start has to say that the FIPS-CC self-tests passed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fips: bool,
    },
    /// How an engine is waited for: it listens to nobody.
    AwaitConnection {
        unit: String,
        seconds: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fips: bool,
    },
    WriteReceipt {
        path: String,
    },
    /// Done after the commit, from the record of what is installed then.
    RegisterPackage {
        name: String,
    },
    /// Done after the commit.
    UnregisterPackage {
        name: String,
    },
    RunScript {
        when: String,
        interpreter: Vec<String>,
        body: String,
        argument: u8,
    },
    StopUnit {
        unit: String,
    },
    DisableUnit {
        unit: String,
    },
    RemoveFile {
        path: String,
    },
    RemoveOwned {
        dir: String,
        trash: String,
    },
    RemoveTree {
        path: String,
        trash: String,
    },
    RemoveDir {
        path: String,
    },
    RemoveUser {
        name: String,
    },
    RemoveGroup {
        name: String,
    },
    /// `dir` is where this program sees it: a snapshot may lie outside of the root.
    TakeSnapshot {
        dir: String,
        id: String,
        reason: SnapshotReason,
        release: String,
        data_schema: u64,
    },
    /// Done after the commit. `dir` as in `TakeSnapshot`.
    DropSnapshot {
        dir: String,
        id: String,
    },
    /// `snapshot` is the directory of one snapshot; `aside` is where the data before it were moved.
    RestoreData {
        snapshot: String,
        path: String,
        aside: String,
    },
}

/// What becomes of a tree in whose place another one is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Old {
    /// There must be none, or an empty directory.
    #[default]
    None,
    /// It is removed after the commit.
    Removed,
    /// It is kept under the other's former name.
    Kept,
}

/// The version that a server has to report about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionCheck {
    /// The member of the JSON object that it answers.
    pub key: String,
    /// The version that it should be.
    pub wanted: String,
}

impl Step {
    /// One line for people: what is done to what.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::CreateGroup { name } => format!("create the group {name}"),
            Self::CreateUser { name, group, home } => {
                format!("create the user {name} (group {group}, home {home}, no login)")
            }
            Self::CreateDir { path, owner, mode } => format!("create the directory {path} ({owner}, {mode})"),
            Self::StageTree { path, files, bytes, reused: 0 } => {
                format!("lay out {files} files, {}, in {path}", human_bytes(*bytes))
            }
            Self::StageTree { path, files, bytes, reused } => format!(
                "lay out {files} files in {path}: {reused} from the installed release, {} new",
                human_bytes(*bytes)
            ),
            Self::MakeCertificate { names, days, .. } => {
                format!("make a self-signed certificate for {} ({days} days)", names.join(", "))
            }
            Self::TakeCertificate { chain, .. } => format!("take the certificate {chain} and its key"),
            Self::WriteFile { path, owner, mode, .. } => format!("write {path} ({owner}, {mode})"),
            Self::TakeFile { path, from, mode, .. } => {
                format!("take {from} as {path} ({}, {mode})", Owner::Demisto)
            }
            Self::TakeDir { path, owner, mode } => {
                format!("set owner and mode of {path} to {owner}, {mode} (not of what it holds)")
            }
            Self::SwitchTree { from, to, .. } => format!("switch {from} to {to}"),
            Self::CarryOver { from, to } => format!("copy what belongs to this host from {from} to {to}"),
            Self::KeepState { retained, .. } => {
                format!("keep what belongs to {} for a rollback", retained.name())
            }
            Self::KeepPair { pair, .. } => format!("keep copies of {} and {}", pair.chain, pair.key),
            Self::PutBack { path, copy } => format!("put the copy {copy} in the place of {path}"),
            Self::RestoreLabels { paths } => format!("restore SELinux labels of {}", paths.join(", ")),
            Self::EnableUnit { unit } => format!("enable {unit}"),
            Self::StartUnit { unit } => format!("start {unit}"),
            Self::AwaitHealth { unit, port, seconds, version, fips, .. } => {
                let with = version.as_ref().map_or_else(String::new, |v| format!(" as version {}", v.wanted));
                let and = if *fips { " and its FIPS-CC self-tests have passed" } else { "" };
                format!("wait until {unit} answers on port {port}{with}{and} (at most {seconds} s)")
            }
            Self::AwaitConnection { unit, seconds, version, fips } => {
                let with =
                    version.as_ref().map_or_else(String::new, |version| format!(" as version {version}"));
                let and = if *fips { " and its FIPS-CC self-tests have passed" } else { "" };
                format!("wait until {unit} is connected to a server{with}{and} (at most {seconds} s)")
            }
            Self::WriteReceipt { path } => format!("write the receipt {path}"),
            Self::RegisterPackage { name } => format!("enter {name} into rpm's database"),
            Self::UnregisterPackage { name } => format!("take {name} out of rpm's database"),
            Self::RunScript { when, interpreter, argument, .. } => {
                format!("run the package's {when} with {} (argument {argument})", interpreter.join(" "))
            }
            Self::StopUnit { unit } => format!("stop {unit}"),
            Self::DisableUnit { unit } => format!("disable {unit}"),
            Self::RemoveFile { path } => format!("remove {path}"),
            Self::RemoveOwned { dir, .. } => format!("remove from {dir} what the release brought"),
            Self::RemoveTree { path, .. } => format!("remove {path} and all in it"),
            Self::RemoveDir { path } => format!("remove {path} if it is empty"),
            Self::RemoveUser { name } => format!("remove the user {name}"),
            Self::RemoveGroup { name } => format!("remove the group {name}"),
            Self::SetConfigPort { .. }
            | Self::SetConfig { .. }
            | Self::MergeConfig { .. }
            | Self::WriteOneTimeConfig { .. }
            | Self::SetOneTime { .. }
            | Self::ClearOneTime { .. }
            | Self::UpdateTrustStore { .. } => self.describe_setting(),
            Self::StageFiles { path, paths } => {
                format!("lay out {} of the release in {path}", counted(paths))
            }
            Self::ReplaceEntries { to, paths, .. } => {
                format!("put them into {to} in place of what is there: {}", first(paths))
            }
            Self::TakeSnapshot { dir, id, .. } => {
                format!("take a snapshot of the data and read it back: {dir}/{id}")
            }
            Self::DropSnapshot { dir, id } => format!("remove the snapshot {dir}/{id} when all is done"),
            Self::RestoreData { snapshot, path, .. } => {
                format!("lay out {path} from the snapshot {snapshot}")
            }
        }
    }

    /// What its line leaves out, because it would be too long.
    #[must_use]
    pub fn details(&self) -> Vec<String> {
        match self {
            Self::SetConfig { set, .. } if self.is_long() => set.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    }

    fn is_long(&self) -> bool {
        matches!(self, Self::SetConfig { set, .. } if set.len() > SHOWN_SETTINGS)
    }

    /// As [`describe`](Self::describe), for the steps that set something.
    fn describe_setting(&self) -> String {
        match self {
            Self::SetConfigPort { path, port, .. } => format!("set the HTTPS port in {path} to {port}"),
            Self::WriteOneTimeConfig { path, user, keypass } => {
                let with = if *keypass { " and the passphrase of the certificate's key" } else { "" };
                format!("write {path} with the administrator {user}{with} (demisto:demisto, 0400)")
            }
            Self::SetOneTime { path, drop_keypass: true, .. } => {
                format!("take the waiting passphrase out of {path}")
            }
            Self::SetOneTime { path, keypass, users, apikeys, .. } => {
                let what = one_time(*keypass, users, apikeys);
                format!("write {what} into {path} (demisto:demisto, 0400)")
            }
            Self::ClearOneTime { path } => format!("overwrite and remove {path}"),
            Self::SetConfig { path, set, .. } if self.is_long() => {
                format!("set {} keys in {path}", set.len())
            }
            Self::SetConfig { path, set, .. } => {
                let set: Vec<String> = set.iter().map(ToString::to_string).collect();
                format!("in {path}: {}", set.join(", "))
            }
            Self::UpdateTrustStore { layout, fresh, .. } => {
                let with = if *fresh { ", leaving out those that are gone" } else { "" };
                format!("write {} from the authorities of this host{with}", layout.bundle())
            }
            Self::MergeConfig { path, added, updated, conflicts, .. } => {
                merge(path, added, updated, conflicts)
            }
            _ => String::new(),
        }
    }
}

fn one_time(keypass: bool, users: &[String], apikeys: &[String]) -> String {
    let passphrase = keypass.then(|| "the passphrase of the server's key".to_owned());
    let users = users.iter().map(|name| format!("the administrator {name}"));
    let keys = apikeys.iter().map(|name| format!("the API key {name}"));
    let what: Vec<String> = passphrase.into_iter().chain(users).chain(keys).collect();
    what.join(", ")
}

fn merge(path: &str, added: &[String], updated: &[String], conflicts: &[String]) -> String {
    let mut parts = Vec::new();
    for (what, keys) in [("add", added), ("update", updated), ("in conflict", conflicts)] {
        if !keys.is_empty() {
            parts.push(format!("{what} {}", keys.join(", ")));
        }
    }
    if parts.is_empty() {
        format!("keep {path} as it is")
    } else {
        format!("merge {path}: {}", parts.join("; "))
    }
}

/// Most settings that stand in a line.
const SHOWN_SETTINGS: usize = 3;

/// Most paths that a line names.
const SHOWN: usize = 8;

fn counted(paths: &[String]) -> String {
    if paths.len() == 1 { "1 entry".to_owned() } else { format!("{} entries", paths.len()) }
}

fn first(paths: &[String]) -> String {
    let shown: Vec<&str> = paths.iter().take(SHOWN).map(String::as_str).collect();
    let rest = paths.len().saturating_sub(SHOWN);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
