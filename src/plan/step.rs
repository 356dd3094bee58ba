use serde::{Deserialize, Serialize};

use crate::product::{Owner, SnapshotReason as Reason};
use crate::types::{Digest, Mode, human_bytes};

/// One step of a plan, as large as what is undone together. Paths are absolute as the installed
/// system sees them; only where a snapshot lies is told as this program sees it, since that may be
/// outside of the root. No variant holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each variant says in `describe` what it does with its fields")]
pub enum Step {
    CreateGroup { name: String },
    CreateUser { name: String, group: String, home: String },
    CreateDir { path: String, owner: Owner, mode: Mode },
    StageTree { path: String, files: u64, bytes: u64 },
    MakeCertificate { dir: String, names: Vec<String>, days: u32 },
    TakeCertificate { dir: String, chain: String },
    WriteFile { path: String, owner: Owner, mode: Mode, text: String },
    SetConfigPort { path: String, port: u16, was: Digest },
    TakeDir { path: String, owner: Owner, mode: Mode },
    WriteOneTimeConfig { path: String, user: String, keypass: bool },
    SwitchTree { from: String, to: String },
    RestoreLabels { paths: Vec<String> },
    EnableUnit { unit: String },
    StartUnit { unit: String },
    AwaitHealth { unit: String, port: u16, path: String, seconds: u64 },
    WriteReceipt { path: String },
    StopUnit { unit: String },
    DisableUnit { unit: String },
    RemoveFile { path: String },
    RemoveOwned { dir: String, trash: String },
    RemoveTree { path: String, trash: String },
    RemoveDir { path: String },
    RemoveUser { name: String },
    RemoveGroup { name: String },
    TakeSnapshot { dir: String, id: String, reason: Reason, release: String, data_schema: u64, bytes: u64 },
    RestoreData { snapshot: String, path: String, aside: String },
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
            Self::StageTree { path, files, bytes } => {
                format!("lay out {files} files, {}, in {path}", human_bytes(*bytes))
            }
            Self::MakeCertificate { names, days, .. } => {
                format!("make a self-signed certificate for {} ({days} days)", names.join(", "))
            }
            Self::TakeCertificate { chain, .. } => format!("take the certificate {chain} and its key"),
            Self::WriteFile { path, owner, mode, .. } => format!("write {path} ({owner}, {mode})"),
            Self::SetConfigPort { path, port, .. } => format!("set the HTTPS port in {path} to {port}"),
            Self::TakeDir { path, owner, mode } => {
                format!("set owner and mode of {path} to {owner}, {mode} (not of what it holds)")
            }
            Self::WriteOneTimeConfig { path, user, keypass } => {
                let with = if *keypass { " and the passphrase of the certificate's key" } else { "" };
                format!("write {path} with the administrator {user}{with} (demisto:demisto, 0400)")
            }
            Self::SwitchTree { from, to } => format!("switch {from} to {to}"),
            Self::RestoreLabels { paths } => format!("restore SELinux labels of {}", paths.join(", ")),
            Self::EnableUnit { unit } => format!("enable {unit}"),
            Self::StartUnit { unit } => format!("start {unit}"),
            Self::AwaitHealth { unit, port, seconds, .. } => {
                format!("wait until {unit} answers on port {port} (at most {seconds} s)")
            }
            Self::WriteReceipt { path } => format!("write the receipt {path}"),
            Self::StopUnit { unit } => format!("stop {unit}"),
            Self::DisableUnit { unit } => format!("disable {unit}"),
            Self::RemoveFile { path } => format!("remove {path}"),
            Self::RemoveOwned { dir, .. } => format!("remove from {dir} what the release brought"),
            Self::RemoveTree { path, .. } => format!("remove {path} and all in it"),
            Self::RemoveDir { path } => format!("remove {path} if it is empty"),
            Self::RemoveUser { name } => format!("remove the user {name}"),
            Self::RemoveGroup { name } => format!("remove the group {name}"),
            Self::TakeSnapshot { dir, id, bytes, .. } => {
                format!("take a snapshot of the data, {}, and read it back: {dir}/{id}", human_bytes(*bytes))
            }
            Self::RestoreData { snapshot, path, .. } => {
                format!("lay out {path} from the snapshot {snapshot}")
            }
        }
    }
}
