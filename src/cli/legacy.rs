//! The options of the vendor's installer and of makeself, answered with what to write instead.
//!
//! A script that was written for the vendor's installer must not half work: the first such option
//! ends the run before anything is looked at.

use std::ffi::OsString;

/// The answer to options that this program does not have: the run ends with exit code 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Legacy {
    /// What was recognised and what it means here; a line for each option.
    pub message: String,
    /// What to run instead.
    pub hint: String,
}

/// One option of the vendor's installer.
struct Old {
    /// Its name without dashes.
    old: &'static str,
    /// What to write instead, if there is something.
    new: Option<&'static str>,
    /// What became of it.
    say: &'static str,
}

const fn old(old: &'static str, new: Option<&'static str>, say: &'static str) -> Old {
    Old { old, new, say }
}

const ROLES: &str = "only a single server with a local database is installed";
const ELASTIC: &str = "Elasticsearch is configured in /etc/demisto.conf, not by the installer";
const REMOTE_DB: &str = "a remote database is not set up by this installer";
const PACKAGES: &str = "no operating system packages are installed or removed";
const ACCOUNT: &str = "the service always runs as user and group demisto";
const NO_SCRIPT: &str = "no script of an older release is run; an upgrade keeps that release whole";
const INTERNAL: &str = "an internal option of the vendor, without a counterpart";

const CONFIG_FILE: Option<&str> = Some("a key in /etc/demisto.conf");
const SNAPSHOT: Option<&str> = Some("demisto-install upgrade --snapshot always");
const ROLLBACK: Option<&str> = Some("demisto-install rollback");
const ANSWERS: Option<&str> = Some("demisto-install install --answers FILE");

/// Options of the vendor's installer, in the order of its help text. `-h` is not among them: it works.
const INSTALLER: [Old; 55] = [
    old(
        "backup",
        SNAPSHOT,
        "an upgrade always keeps the release before it, and with a snapshot the data, too",
    ),
    old("backup-tenants", None, ROLES),
    old("conffile", None, "the configuration file is always /etc/demisto.conf"),
    old("otc", None, "the one-time configuration is always /var/lib/demisto/otc.conf.json"),
    old("data-dir", None, "the data directory is always /var/lib/demisto; mount another file system there"),
    old("temp-folder", CONFIG_FILE, "files are staged beside the installation, never in a temporary folder"),
    old(
        "external-address",
        Some("demisto-install install --external-address NAME"),
        "the certificate is made for that name, too",
    ),
    old("do-not-start-server", Some("demisto-install install --no-start"), "the server stays stopped"),
    old("tools", None, PACKAGES),
    old("git", None, PACKAGES),
    old("distro", None, "the distribution is always detected"),
    old("container-engine", None, "the container engine is always detected"),
    old("C", None, PACKAGES),
    old("demisto-no-gpg-check", Some("demisto-install keys import FILE"), "the signature is always checked"),
    old("add-system-user", None, ACCOUNT),
    old("system-user-name", None, ACCOUNT),
    old("system-group-name", None, ACCOUNT),
    old("multi-tenant", None, ROLES),
    old("ha", None, ROLES),
    old("dr", None, ROLES),
    old("server-only", None, ROLES),
    old("db-only", None, ROLES),
    old("db-address", None, REMOTE_DB),
    old("db-port", None, REMOTE_DB),
    old("db-conn-port", None, REMOTE_DB),
    old("db-secret", None, REMOTE_DB),
    old("db-use-proxy", None, REMOTE_DB),
    old("db-any-certificate", None, REMOTE_DB),
    old("db-node", None, REMOTE_DB),
    old("cluster-address", None, ROLES),
    old("elasticsearch-url", CONFIG_FILE, ELASTIC),
    old("elasticsearch-username", CONFIG_FILE, ELASTIC),
    old("elasticsearch-password", CONFIG_FILE, ELASTIC),
    old("elasticsearch-api-key", CONFIG_FILE, ELASTIC),
    old("elasticsearch-prefix", CONFIG_FILE, ELASTIC),
    old("elasticsearch-master-prefix", CONFIG_FILE, ELASTIC),
    old("elasticsearch-proxy", CONFIG_FILE, ELASTIC),
    old("elasticsearch-insecure", CONFIG_FILE, ELASTIC),
    old("elasticsearch-timeout", CONFIG_FILE, ELASTIC),
    old(
        "overwrite-elastic-config",
        Some("demisto-install upgrade --on-conflict take"),
        "a key that both you and the release changed stays yours unless you say otherwise",
    ),
    old("index-entries", CONFIG_FILE, "indexing is a matter of the configuration"),
    old("restore-entries", CONFIG_FILE, "indexing is a matter of the configuration"),
    old("prev-uninstall-script", ROLLBACK, NO_SCRIPT),
    old("use-prev-uninstall-script", ROLLBACK, NO_SCRIPT),
    old("purge", Some("demisto-install uninstall --purge"), "removing the product is a command of its own"),
    old("purge-mount", None, "mounts are left alone; unmount them yourself"),
    old("host", None, INTERNAL),
    old("hosted", None, INTERNAL),
    old("hosting-secret", None, INTERNAL),
    old("y", ANSWERS, UNATTENDED),
    old("yes", ANSWERS, UNATTENDED),
    old("assumeyes", ANSWERS, UNATTENDED),
    old("assume-yes", ANSWERS, UNATTENDED),
    old("accept-eula", ANSWERS, LICENCE),
    old("accepteula", ANSWERS, LICENCE),
];

const UNATTENDED: &str = "it would install with a default password, which does not exist here";
const LICENCE: &str = "the licence is accepted with \"accept_eula\": true in the answers file";
/// The way that works without anybody to ask.
const UNATTENDED_HINT: &str = "give the answers with --answers FILE and the password with \
     --admin-password-file FILE, --admin-password-stdin, or the systemd credential \
     demisto-install.admin-password; to upgrade an installed server, use `demisto-install upgrade --yes`";

const INSPECT: Option<&str> = Some("demisto-install inspect FILE");
const NO_UNPACKING: &str = "nothing is unpacked before its signature is checked";

/// Options that makeself takes before `--`. `--help` and `--quiet` are not among them: they work.
const MAKESELF: [Old; 27] = [
    old("info", INSPECT, "what is inside is shown by a command of its own"),
    old("lsm", INSPECT, "what is inside is shown by a command of its own"),
    old("list", INSPECT, "what is inside is shown by a command of its own"),
    old("dumpconf", INSPECT, "what is inside is shown by a command of its own"),
    old("check", Some("demisto-install verify FILE"), "a checksum proves nothing; signatures are verified"),
    old("verify-sig", Some("demisto-install verify FILE"), "signatures are verified in every run"),
    old("confirm", None, "a guided run always asks before it changes anything"),
    old("accept", ANSWERS, LICENCE),
    old("noexec", INSPECT, NO_UNPACKING),
    old("noexec-cleanup", INSPECT, NO_UNPACKING),
    old("keep", INSPECT, NO_UNPACKING),
    old("target", INSPECT, NO_UNPACKING),
    old("tar", INSPECT, NO_UNPACKING),
    old("cat", INSPECT, NO_UNPACKING),
    old("noprogress", Some("--quiet"), "progress is left out by --quiet"),
    old("nox11", None, "no terminal window is ever opened"),
    old("xwin", None, "no terminal window is ever opened"),
    old("nochown", None, "owners are what the signed manifest says"),
    old("chown", None, "owners are what the signed manifest says"),
    old("preserve", None, "owners are what the signed manifest says"),
    old("nodiskspace", None, "free space is always checked"),
    old("nooverwrite", None, "a run never unpacks over existing files"),
    old("cleanup", None, "nothing is left to clean up"),
    old("cleanup-args", None, "no script inside the file is run"),
    old("phase2", None, "no script inside the file is run"),
    old("ssl-pass-src", None, "the payload is signed, not encrypted"),
    old("nocheck", None, "signatures are verified in every run"),
];

/// The commands: what belongs to one of them is read by its own rules.
const VERBS: [&str; 22] = [
    "install",
    "upgrade",
    "rollback",
    "plan",
    "preflight",
    "verify",
    "inspect",
    "status",
    "audit",
    "log",
    "wait-ready",
    "repair",
    "uninstall",
    "recover",
    "engine",
    "cert",
    "ca",
    "config",
    "otc",
    "snapshot",
    "keys",
    "pack",
];

/// Looks for options of the vendor's installer in the arguments, with or without the program's name
/// before them. `None` when they are to be read as usual.
#[must_use]
pub fn check(args: &[OsString]) -> Option<Legacy> {
    let words: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let verb = words.iter().find_map(|word| VERBS.iter().find(|verb| *verb == word)).copied();
    let mut found: Vec<(String, &Old)> = Vec::new();
    let mut after_dashes = false;
    for word in &words {
        if word == "--" {
            after_dashes = true;
        } else if let Some(hit) = recognise(word, verb, after_dashes) {
            let (shown, _) = word.split_once('=').unwrap_or((word, "")); // a value may be a secret
            if !found.iter().any(|(seen, _)| seen == shown) {
                found.push((shown.to_owned(), hit));
            }
        }
    }
    if found.is_empty() { None } else { Some(answer(&found)) }
}

fn recognise(word: &str, verb: Option<&str>, after_dashes: bool) -> Option<&'static Old> {
    let dashes = word.bytes().take_while(|b| *b == b'-').count();
    let name = word.get(dashes..)?.split('=').next().unwrap_or_default();
    if !(1..=2).contains(&dashes) || name.is_empty() {
        return None;
    }
    let installs = matches!(verb, None | Some("install"));
    // Go takes one dash or two. Two are ours as well, so there only names that we do not have count.
    let installer = || INSTALLER.iter().find(|o| o.old == name);
    let makeself = || MAKESELF.iter().find(|o| o.old == name);
    match (dashes, name) {
        (_, "y" | "yes" | "assumeyes" | "assume-yes" | "C" | "accept-eula" | "accepteula") if !installs => {
            None
        }
        (2, "external-address") if matches!(verb, Some("install" | "plan")) => None,
        // behind the dashes of another command stands a file's name
        _ if after_dashes && !matches!(verb, None | Some("install" | "upgrade" | "uninstall")) => None,
        (1, _) => installer(),
        _ if after_dashes && verb.is_none() => installer().or_else(makeself),
        _ if verb.is_none() => makeself().or_else(installer),
        (_, "purge") if verb == Some("uninstall") => None,
        _ if matches!(verb, Some("install" | "upgrade" | "uninstall")) => installer(),
        _ => None,
    }
}

fn answer(found: &[(String, &Old)]) -> Legacy {
    let line = |(shown, old): &(String, &Old)| format!("{shown} is not an option here: {}", old.say);
    let message = found.iter().map(line).collect::<Vec<_>>().join("\n");
    let unattended = found.iter().any(|(_, old)| old.say == UNATTENDED || old.say == LICENCE);
    let mut ways: Vec<String> = if unattended { vec![UNATTENDED_HINT.to_owned()] } else { Vec::new() };
    for new in found.iter().map(|(_, old)| old.new).filter(|new| !unattended || *new != ANSWERS).flatten() {
        let way = format!("use `{new}`");
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    if ways.is_empty() {
        ways.push("leave it out; `demisto-install --help` lists what there is".to_owned());
    }
    let hint = ways.join("; ");
    Legacy { message, hint }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};
    use proptest::prelude::*;

    use super::super::Cli;
    use super::*;

    fn asked(line: &str) -> Option<Legacy> {
        check(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_whole_table_is_recognised_in_every_spelling() {
        for old in &INSTALLER {
            for line in [
                format!("-{}", old.old),
                format!("-{}=s3cr3t", old.old),
                format!("--{}=s3cr3t", old.old),
                format!("-- -{} s3cr3t", old.old),
                format!("./demisto.sh -- --{}", old.old),
                format!("install -{}", old.old),
            ] {
                let legacy = asked(&line).unwrap_or_else(|| panic!("{line}"));
                assert!(legacy.message.contains(&format!("-{} ", old.old)), "{legacy:?}");
                assert!(legacy.message.contains(old.say) && !legacy.hint.is_empty());
                assert!(!legacy.message.contains("s3cr3t"), "a value may be a secret: {legacy:?}");
            }
        }
        for old in &MAKESELF {
            for line in [format!("--{}", old.old), format!("--{} x -- -y", old.old)] {
                let legacy = asked(&line).unwrap_or_else(|| panic!("{line}"));
                assert!(legacy.message.contains(old.say), "{legacy:?}");
            }
        }
    }

    #[test]
    fn yes_is_refused_with_the_way_that_works() {
        for line in [
            "-y",
            "--yes",
            "demisto-install -y",
            "install -y",
            "install --yes",
            "-- -y",
            "--quiet --accept -- -y",
        ] {
            let legacy = asked(line).unwrap_or_else(|| panic!("{line}"));
            for way in [
                "--answers FILE",
                "--admin-password-file FILE",
                "--admin-password-stdin",
                "systemd credential",
            ] {
                assert!(legacy.hint.contains(way), "{line}: {legacy:?}");
            }
        }
    }

    #[test]
    fn what_works_here_is_left_alone() {
        for line in [
            "",
            "demisto-install",
            "-h",
            "--help",
            "--quiet",
            "--version",
            "-V",
            "install --answers a.json",
            "install --admin-password-file p --output json --color never --root /x",
            "keys import --yes key.asc",
            "keys import -y key.asc",
            "verify demisto.sh",
            "verify -- -y",
            "uninstall --purge",
            "uninstall --yes",
            "status --check",
            "keys check --list",
            "inspect --list f",
            "snapshot list --target x",
            "plan --quiet",
            "upgrade --yes",
            "upgrade --snapshot always --on-conflict take",
            "-",
            "--",
            "-- x",
            "---y",
            "rollback --yes",
            "snapshot restore --yes",
        ] {
            assert_eq!(asked(line), None, "{line}");
        }
    }

    #[test]
    fn every_old_option_of_a_line_is_answered_at_once() {
        let legacy =
            asked("-- -multi-tenant -data-dir /xsoar -elasticsearch-password=hunter2 -dr -dr").unwrap();
        assert_eq!(legacy.message.lines().count(), 4, "{legacy:?}");
        assert!(!legacy.message.contains("hunter2"));
        assert_eq!(legacy.hint, "use `a key in /etc/demisto.conf`");
        assert!(asked("uninstall -purge").unwrap().hint.contains("uninstall --purge"));
    }

    #[test]
    fn what_belongs_to_an_upgrade_is_answered_with_it() {
        for (line, way) in [
            ("-backup", "upgrade --snapshot always"),
            ("upgrade -backup", "upgrade --snapshot always"),
            ("-- -overwrite-elastic-config", "upgrade --on-conflict take"),
            ("uninstall -use-prev-uninstall-script", "demisto-install rollback"),
            ("install -y", "demisto-install upgrade --yes"),
        ] {
            let legacy = asked(line).unwrap_or_else(|| panic!("{line}"));
            assert!(legacy.hint.contains(way), "{line}: {legacy:?}");
        }
    }

    #[test]
    fn every_way_that_is_named_exists() {
        let ways = INSTALLER.iter().chain(&MAKESELF).filter_map(|old| old.new);
        let lines: Vec<&str> = ways.filter(|way| way.starts_with("demisto-install ")).collect();
        assert!(lines.len() > 10, "{lines:?}");
        for line in lines {
            let parsed = Cli::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn the_verbs_are_those_of_the_program() {
        let command = Cli::command();
        let known: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(VERBS.as_slice(), known);
    }

    #[test]
    fn the_tables_have_no_doubles() {
        for table in [INSTALLER.as_slice(), MAKESELF.as_slice()] {
            let mut names: Vec<&str> = table.iter().map(|o| o.old).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }

    proptest! {
        #[test]
        fn no_arguments_make_it_panic(args in proptest::collection::vec("-{0,3}[a-z=-]{0,12}", 0..6)) {
            let _ = check(&args.into_iter().map(OsString::from).collect::<Vec<_>>());
        }
    }
}
