//! The one place that knows every error: which exit code it has and what to try next.

mod auditing;
mod certificates;
mod planning;
mod probing;
mod settings;

use std::process::ExitCode;

use serde_json::json;

use super::ask;
use super::common::Common;
use super::exit::Exit;
use super::password;
use super::reason::reason;
use crate::pack::signer;
use crate::sys::{self, fs::print_error};
use crate::types::printable_line;
use crate::verify::Judgement;
use crate::workflow::{keys, wrapper};
use auditing::{of_page, of_requirement};
use certificates::{of_ca, of_certs, of_key, of_make, of_mutual, of_otc, of_pair};
use planning::of_plan;
use probing::{of_access, of_no_certificate, of_probe, of_proxy};
use settings::{of_preset, of_settings};

use crate::{
    apply, bundle, config, journal, makeself, manifest, pack, prompt, receipt, release, retained, snapshot,
    source, trust, unpack, verify, workflow,
};

/// What an error means to the caller.
struct Diagnosis {
    exit: Exit,
    hints: Vec<String>,
}

fn diagnosis(exit: Exit, hint: impl Into<String>) -> Diagnosis {
    let hint = hint.into();
    Diagnosis { exit, hints: if hint.is_empty() { Vec::new() } else { vec![hint] } }
}

/// Tells the user about an error; gives the exit code.
pub(super) fn report(error: &anyhow::Error, common: &Common) -> ExitCode {
    let found = diagnose(error);
    let mut lines: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if lines.last() != Some(&text) {
            lines.push(text);
        }
    }
    if common.is_json() {
        let mut value =
            json!({ "exit": found.exit.code(), "message": lines.join(": "), "hints": found.hints });
        if let (Some(value), Some(reason)) = (value.as_object_mut(), reason(error)) {
            value.insert("reason".to_owned(), reason.into());
        }
        common.json_line("error", &value);
    }
    let mut text = String::new();
    for (number, cause) in lines.iter().enumerate() {
        let label = if number == 0 { "error" } else { "caused by" };
        text.push_str(&format!("{label}: {}\n", printable_line(cause.trim_end())));
    }
    if let Some(apply::Error::Unhealthy { log, .. }) =
        error.downcast_ref::<apply::Error>().map(apply::Error::root_cause)
    {
        text.push_str("the service's last log lines:\n");
        log.iter().for_each(|line| text.push_str(&format!("    {}\n", printable_line(line))));
    }
    for hint in &found.hints {
        text.push_str(&format!("hint: {}\n", printable_line(hint)));
    }
    print_error(&text);
    found.exit.into()
}

const ROOM: &str = "make room on that file system and run it again";

/// The outermost error that has a meaning decides.
fn diagnose(error: &anyhow::Error) -> Diagnosis {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, StorageFull};

    let mut found = match error.chain().find_map(of) {
        Some(found) if found.exit != Exit::Failed => found,
        _ if is(error, StorageFull) || is(error, QuotaExceeded) => diagnosis(Exit::Failed, ROOM),
        other => other.unwrap_or_else(|| diagnosis(Exit::Failed, "")),
    };
    if !sys::env::is_root() && is(error, PermissionDenied) {
        found.hints.push("only root may look there or change it: try it with sudo".to_owned());
    }
    found
}

/// Whether the operating system refused for this reason.
fn is(error: &anyhow::Error, kind: std::io::ErrorKind) -> bool {
    error.chain().any(|cause| cause.downcast_ref().is_some_and(|e: &std::io::Error| e.kind() == kind))
}

fn of(error: &(dyn std::error::Error + 'static)) -> Option<Diagnosis> {
    None.or_else(|| error.downcast_ref().map(of_workflow))
        .or_else(|| error.downcast_ref().map(of_unfit))
        .or_else(|| error.downcast_ref().map(of_wrapper))
        .or_else(|| error.downcast_ref().map(of_unpack))
        .or_else(|| error.downcast_ref().map(of_apply))
        .or_else(|| error.downcast_ref().map(of_snapshot))
        .or_else(|| error.downcast_ref().map(of_plan))
        .or_else(|| error.downcast_ref().map(of_ask))
        .or_else(|| error.downcast_ref().map(of_release))
        .or_else(|| error.downcast_ref().map(of_source))
        .or_else(|| error.downcast_ref().map(of_bundle))
        .or_else(|| error.downcast_ref().map(|e: &prompt::Error| of_prompt(e)))
        .or_else(|| error.downcast_ref().map(|e: &verify::Error| refused_by(e)))
        .or_else(|| error.downcast_ref().map(of_pin))
        .or_else(|| error.downcast_ref().map(|_: &trust::Error| untrusted()))
        .or_else(|| error.downcast_ref().map(of_journal))
        .or_else(|| error.downcast_ref().map(of_retained))
        .or_else(|| error.downcast_ref().map(of_certs))
        .or_else(|| error.downcast_ref().map(of_pair))
        .or_else(|| error.downcast_ref().map(of_key))
        .or_else(|| error.downcast_ref().map(of_otc))
        .or_else(|| error.downcast_ref().map(of_mutual))
        .or_else(|| error.downcast_ref().map(of_ca))
        .or_else(|| error.downcast_ref().map(of_probe))
        .or_else(|| error.downcast_ref().map(of_no_certificate))
        .or_else(|| error.downcast_ref().map(of_access))
        .or_else(|| error.downcast_ref().map(of_proxy))
        .or_else(|| error.downcast_ref().map(of_make))
        .or_else(|| error.downcast_ref().map(of_config))
        .or_else(|| error.downcast_ref().map(of_settings))
        .or_else(|| error.downcast_ref().map(of_preset))
        .or_else(|| error.downcast_ref().map(of_unknown_key))
        .or_else(|| error.downcast_ref().map(|e: &receipt::Error| of_receipt(e, Exit::Failed)))
        .or_else(|| error.downcast_ref().map(of_pack))
        .or_else(|| error.downcast_ref().map(|_: &password::Error| diagnosis(Exit::Usage, PASSWORD)))
        .or_else(|| error.downcast_ref().map(of_requirement))
        .or_else(|| error.downcast_ref().map(of_page))
        .or_else(|| error.downcast_ref().map(of_keys))
}

fn of_unfit(error: &workflow::preflight::Unfit) -> Diagnosis {
    let helps =
        error.0.iter().filter_map(|outcome| Some(format!("{}: {}", outcome.id, outcome.fix.as_ref()?)));
    let mut hints: Vec<String> = helps.collect();
    hints
        .push("`demisto-install preflight` shows all checks; --skip-check ID goes on without one".to_owned());
    Diagnosis { exit: Exit::Blocked, hints }
}

const PASSWORD: &str = "the file must belong to you or root, and nobody else may read it: chmod 600 FILE";
const CONFIG: &str = "correct /etc/demisto.conf, or move it away to start from the defaults";
const NEWER: &str = "use the version of demisto-install that wrote it, or a newer one";
const RECEIPT: &str =
    "the service is not affected; put /var/lib/demisto-install/receipt.json back from a backup";

fn of_unknown_key(error: &config::table::Unknown) -> Diagnosis {
    match &error.meant {
        Some(meant) => diagnosis(Exit::Usage, format!("did you mean {meant}?")),
        None => diagnosis(Exit::Usage, "`demisto-install config keys` lists those that are"),
    }
}

fn of_config(error: &config::Error) -> Diagnosis {
    match error {
        config::Error::Conflicts(_) => diagnosis(
            Exit::Blocked,
            "`--diff` shows the file; --on-conflict keep leaves yours, --on-conflict take takes the release's",
        ),
        _ => diagnosis(Exit::Blocked, CONFIG),
    }
}

/// What to do for a key that has run out, or is about to. The vendor's public key is valid for six months
/// (Administrator Guide, "Install a Signed Engine").
pub(super) const RENEW: &str = "get the vendor's current public key from the download page of the release, or open a \
                                Support ticket; compare its fingerprint by a second way; then `demisto-install keys \
                                import KEY.asc`";

fn refused(judgement: Option<&Judgement>) -> Diagnosis {
    let mut found =
        diagnosis(Exit::Refused, "`demisto-install verify FILE` shows the verdict on every signature");
    found.hints.extend(judgement.map_or_else(Vec::new, hints));
    found
}

fn refused_by(error: &verify::Error) -> Diagnosis {
    match error {
        verify::Error::Refused(judgement) => refused(Some(judgement)),
        _ => refused(None),
    }
}

/// What to do about signatures that do not suffice.
pub(super) fn hints(judgement: &Judgement) -> Vec<String> {
    use verify::VerdictCode as Code;

    if judgement.accepted {
        return Vec::new();
    }
    let has = |wanted: &[Code]| judgement.verdicts.iter().any(|v| !v.accepted && wanted.contains(&v.code));
    let mut hints: Vec<String> = Vec::new();
    if judgement.reason == verify::NO_KEY {
        hints.push("a release key is trusted after `demisto-install keys import KEY.asc`".to_owned());
    }
    if judgement.reason == verify::NOT_SIGNED {
        hints.push(
            "ask the vendor for the signed edition; nothing that is not signed is installed".to_owned(),
        );
    }
    if has(&[Code::BadSignature]) {
        hints.push("download the file again; if that does not help, keep it and tell the vendor".to_owned());
    }
    if has(&[Code::Expired, Code::GoodExpiredSince, Code::RetiredByIssuer]) {
        hints.push(format!("the key, as this host knows it, was not valid then: {RENEW}"));
    }
    if has(&[Code::Revoked]) {
        hints.push("ask the vendor for a release that is signed by a key that was not revoked".to_owned());
    }
    if has(&[Code::UnknownSigner]) {
        hints.push(format!("if the vendor has changed its key since yours was imported: {RENEW}"));
        hints.push(
            "an upgrade also wants the former key's word for the new one: ask for a release that carries it"
                .to_owned(),
        );
    }
    hints
}

fn of_pin(error: &verify::PinError) -> Diagnosis {
    use verify::PinError as E;
    let hint = match error {
        E::NotTrusted { .. } => "import the old release key as well: `demisto-install keys import OLD.asc`",
        E::Refused { .. } => "`demisto-install keys list` shows how this host sees the old key",
        _ => "ask the vendor for a release in which the old release key vouches for the new one",
    };
    diagnosis(Exit::Refused, hint)
}

fn untrusted() -> Diagnosis {
    diagnosis(Exit::Refused, "`demisto-install keys list` shows whom this host trusts")
}

fn of_receipt(error: &receipt::Error, exit: Exit) -> Diagnosis {
    match error {
        receipt::Error::Newer { .. } => diagnosis(exit, NEWER),
        receipt::Error::Damaged(_) => diagnosis(exit, RECEIPT),
        _ => diagnosis(exit, ""),
    }
}

fn of_retained(error: &retained::Error) -> Diagnosis {
    match error {
        retained::Error::Newer { .. } => diagnosis(Exit::Blocked, NEWER),
        retained::Error::Damaged(_) => {
            diagnosis(Exit::Blocked, "there is no way back by `rollback`; an upgrade makes a new one")
        }
        retained::Error::Sys(_) => diagnosis(Exit::Failed, ""),
    }
}

fn of_journal(error: &journal::Error) -> Diagnosis {
    match error {
        journal::Error::Newer { .. } => diagnosis(Exit::NotRestored, NEWER),
        journal::Error::Sys(error) if is_denied(error) => diagnosis(Exit::Usage, ""),
        _ => damaged_journal(),
    }
}

/// Whether the operating system refused for want of rights. A rule of ours has no number.
fn is_denied(error: &sys::Error) -> bool {
    error.source.kind() == std::io::ErrorKind::PermissionDenied && error.source.raw_os_error().is_some()
}

fn damaged_journal() -> Diagnosis {
    diagnosis(
        Exit::NotRestored,
        "the service is not affected; keep /var/lib/demisto-install/journal for support before removing it",
    )
}

fn of_workflow(error: &workflow::Error) -> Diagnosis {
    use workflow::Error as E;
    match error {
        E::Busy(_) => diagnosis(Exit::Busy, "wait for it to end and try again"),
        E::NotRoot => diagnosis(Exit::Usage, "run it with sudo, or try it in a directory: --root DIR"),
        E::NoRoot(_) => diagnosis(Exit::Usage, "create the directory, or correct --root"),
        E::NotVerified => refused(None),
        E::Unfinished => diagnosis(Exit::NotRestored, "run `demisto-install recover`"),
        E::OwnersNeeded | E::Name(_) | E::NoCertificate => diagnosis(Exit::Usage, ""),
        E::ScriptsElsewhere | E::Script(_) => diagnosis(Exit::Usage, "leave --run-scriptlets out"),
        E::NoRpm => diagnosis(Exit::Usage, "leave --register-rpm out"),
        E::Unconfirmed => diagnosis(Exit::Usage, "give --yes, or the --plan-digest that --dry-run shows"),
        E::NoWayBack { .. } => diagnosis(
            Exit::Blocked,
            "mount or repair its disk; `rollback --data keep` goes back without the data, if the release can read them",
        ),
        E::NotRetained { .. } => diagnosis(Exit::Blocked, "`demisto-install status` shows what is installed"),
        E::RootLink(_) => {
            diagnosis(Exit::Blocked, "make it a directory, or install inside the image with chroot")
        }
        E::ForeignState(_) => diagnosis(
            Exit::Blocked,
            "nothing was changed; look at what is in it, then remove it or chown it to whoever runs this",
        ),
        E::PlanDiffers { .. } => diagnosis(
            Exit::Blocked,
            "look at the plan again (`plan`, or the verb with --dry-run) and approve its digest",
        ),
        E::OtherRelease { .. } => diagnosis(
            Exit::Refused,
            "nothing was changed; give the file that was installed: repair --from FILE",
        ),
        E::NoContent { .. } => diagnosis(
            Exit::Blocked,
            "nothing was changed; give the file that was installed: demisto-install repair --from FILE",
        ),
        E::InTheWay(_) => {
            diagnosis(Exit::Blocked, "nothing was changed; look at it, move it away, and run it again")
        }
        E::Drift { .. } => diagnosis(
            Exit::Blocked,
            "`demisto-install verify --installed` names them; `demisto-install repair` puts them right",
        ),
        E::Unrecovered(cause) => match &**cause {
            apply::Error::Journal(
                inner @ (journal::Error::Damaged { .. } | journal::Error::Newer { .. }),
            ) => of_journal(inner),
            apply::Error::Receipt(inner) => of_receipt(inner, Exit::NotRestored),
            _ => diagnosis(Exit::NotRestored, "run `demisto-install recover` when the cause is gone"),
        },
        E::NoLog(_) => diagnosis(
            Exit::Failed,
            "the service writes it at its start; --role and --name tell whose, --log FILE reads another file",
        ),
        E::EngineConfig { .. }
        | E::NoEngine { .. }
        | E::NoRecord { .. }
        | E::OtherGift
        | E::NothingGiven
        | E::NotConfigured(_) => of_engine(error),
        E::NotReady(_) => {
            diagnosis(Exit::Failed, "`demisto-install status` and /var/log/demisto/server.log tell more")
        }
    }
}

fn of_engine(error: &workflow::Error) -> Diagnosis {
    use workflow::Error as E;
    match error {
        E::EngineConfig { problems, .. } => {
            let hint =
                "nothing was changed; download it again from the server (Settings, Engines), or correct it";
            let mut found = diagnosis(Exit::Usage, hint);
            if problems.len() > 1 {
                found.hints.splice(0..0, problems.iter().cloned());
            }
            found
        }
        E::NoEngine { .. } => {
            diagnosis(Exit::Blocked, "`demisto-install engine status` shows those that there are")
        }
        E::NoRecord { verb, .. } => diagnosis(
            Exit::Blocked,
            format!("`demisto-install {verb}` takes it over, and keeps data and configuration"),
        ),
        E::OtherGift => diagnosis(
            Exit::Blocked,
            "`demisto-install engine configure` takes the same options and gives it another",
        ),
        E::NothingGiven => diagnosis(
            Exit::Usage,
            "give --conf FILE, --client-cert FILE with --client-key FILE, or --cert FILE with --cert-key FILE",
        ),
        E::NotConfigured(_) => {
            diagnosis(Exit::Usage, "give the one that the server made: engine configure --conf FILE")
        }
        _ => diagnosis(Exit::Failed, ""),
    }
}

fn of_apply(error: &apply::Error) -> Diagnosis {
    use apply::Error as E;
    match error {
        E::NotRestored { .. } => {
            diagnosis(Exit::NotRestored, "run `demisto-install recover` when the cause is gone")
        }
        other => match other.root_cause() {
            E::Interrupted(signal) => diagnosis(Exit::Signal(*signal), ""),
            E::Release(inner) => of_release(inner),
            E::Snapshot(inner) => of_snapshot(inner),
            E::Journal(inner @ (journal::Error::Damaged { .. } | journal::Error::Newer { .. })) => {
                of_journal(inner)
            }
            E::Receipt(inner) => of_receipt(inner, Exit::Failed),
            E::OneTime { .. } => diagnosis(
                Exit::Blocked,
                "nothing was changed; `demisto-install otc show` looks at it, `demisto-install otc clear` removes it",
            ),
            E::OneTimePlace { .. } => diagnosis(
                Exit::Blocked,
                "nothing was changed; correct Server.OneTimeConfPath in /etc/demisto.conf, or give the service that directory",
            ),
            E::Unhealthy { .. } => diagnosis(
                Exit::Failed,
                "the whole log of the run is in /tmp/demisto_install.log; if there was something installed before, in /var/log/demisto/install.log, too",
            ),
            _ => diagnosis(Exit::Failed, "run it again when the cause is gone; nothing has to be cleaned up"),
        },
    }
}

fn of_snapshot(error: &snapshot::Error) -> Diagnosis {
    use snapshot::Error as E;
    match error {
        E::Place { .. } => diagnosis(
            Exit::Blocked,
            "give a directory on a disk that only root can write: --dir DIR of `snapshot`, --snapshot-dir DIR of the others",
        ),
        E::Mounted(_) => diagnosis(Exit::Blocked, "unmount it; what it holds needs a backup of its own"),
        E::NoData(_) => diagnosis(Exit::Blocked, "`demisto-install status` shows what is installed"),
        E::Id(_) | E::Unknown { .. } => {
            diagnosis(Exit::Usage, "`demisto-install snapshot list` shows what there is")
        }
        E::Damaged { .. } => diagnosis(
            Exit::Refused,
            "the data are untouched; `demisto-install snapshot list` shows others, `rollback --data keep` goes back without one; docs/snapshots.md tells how to read what is left",
        ),
        E::Newer { .. } => diagnosis(Exit::Refused, "use a newer demisto-install"),
        E::Interrupted(signal) => diagnosis(Exit::Signal(*signal), ""),
        E::Sys(error) if is_denied(error) => diagnosis(Exit::Usage, ""),
        _ => diagnosis(Exit::Failed, ""),
    }
}

const UNATTENDED: &str = "without a terminal use --answers FILE and --admin-password-file FILE, \
                          --admin-password-stdin or a systemd credential";

fn of_ask(error: &ask::Error) -> Diagnosis {
    use ask::Error as E;
    match error {
        E::NotATerminal => diagnosis(Exit::Usage, UNATTENDED),
        E::Unasked(option) => {
            diagnosis(Exit::Usage, format!("without a terminal give it in a private file: {option} FILE"))
        }
        E::Interrupted { signal } => diagnosis(Exit::Signal(*signal), ""),
        E::PortInUse { .. } => diagnosis(Exit::Blocked, "choose another port, or stop what uses this one"),
        E::Answer(inner) => of_prompt(inner),
        E::Declined => {
            diagnosis(Exit::Usage, "nothing was changed; in an answers file: \"accept_eula\": true")
        }
        E::FirstOnly { .. } => diagnosis(
            Exit::Usage,
            "leave them out: an upgrade keeps the certificate, and starts the service if it ran before",
        ),
        E::NotConfirmed => diagnosis(Exit::Usage, ""),
        _ => diagnosis(Exit::Usage, "nothing was changed; run it again"),
    }
}

fn of_prompt(error: &prompt::Error) -> Diagnosis {
    match error {
        prompt::Error::Missing { keys } if *keys == ["accept_eula"] => diagnosis(
            Exit::Usage,
            "accept the licence agreement with \"accept_eula\": true in --answers FILE",
        ),
        prompt::Error::Missing { .. } => diagnosis(Exit::Usage, UNATTENDED),
        prompt::Error::Password { asked, .. } => diagnosis(Exit::Usage, prompt::password::rule(*asked)),
        _ => diagnosis(Exit::Usage, ""),
    }
}

fn of_release(error: &release::Error) -> Diagnosis {
    use release::Error as E;
    match error {
        E::Refused(inner) => refused_by(inner),
        E::Manifest(manifest::Error::Format(_) | manifest::Error::Critical(_)) => {
            diagnosis(Exit::Refused, "use a newer demisto-install")
        }
        E::Manifest(_) => diagnosis(
            Exit::Refused,
            "nothing was installed; `demisto-install inspect FILE` shows what it holds; the vendor can correct it",
        ),
        E::Shape | E::Damaged { .. } | E::NoFile(_) => damaged_file(),
        E::NoPayloadDigest | E::NoHeaderSignature => {
            diagnosis(Exit::Refused, "ask the vendor for a package that was signed with a current rpm")
        }
        E::Package(_) | E::Digests => damaged_file(),
        E::Interrupted(signal) => diagnosis(Exit::Signal(*signal), ""),
        E::Source(inner) => of_source(inner),
        E::Sys(_) => diagnosis(Exit::Failed, ""),
    }
}

fn damaged_file() -> Diagnosis {
    diagnosis(
        Exit::Refused,
        "nothing was installed; get the file again and compare it with the vendor's signature",
    )
}

fn of_source(error: &source::Error) -> Diagnosis {
    match error {
        source::Error::NotAFile(_) => diagnosis(Exit::Usage, ""),
        source::Error::Bundle { source, .. } => of_bundle(source),
        source::Error::Package { .. } => damaged_file(),
        source::Error::Sys(e) if e.is_not_found() => diagnosis(Exit::Usage, ""),
        source::Error::Sys(_) => diagnosis(Exit::Failed, ""),
    }
}

fn of_wrapper(error: &wrapper::Error) -> Diagnosis {
    use wrapper::Error as E;
    match error {
        E::Outer { source, .. } => refused_by(source),
        E::NoSpace { .. } => diagnosis(Exit::Blocked, ROOM),
        E::Nothing { .. } | E::Several { .. } => diagnosis(
            Exit::Refused,
            "`demisto-install inspect` lists what is inside; ask the vendor for a signed RPM package or installer",
        ),
        E::Header { source: makeself::Error::Read(_), .. } => diagnosis(Exit::Failed, ""),
        _ => diagnosis(
            Exit::Refused,
            "nothing in it was run; get the file again, or ask the vendor for another",
        ),
    }
}

fn of_unpack(error: &unpack::Error) -> Diagnosis {
    match error {
        unpack::Error::Interrupted(signal) => diagnosis(Exit::Signal(*signal), ""),
        unpack::Error::NotConfined(_) => diagnosis(
            Exit::Failed,
            "the system, or the container that this runs in, must allow seccomp filters",
        ),
        unpack::Error::Sys(_) => diagnosis(Exit::Failed, ""),
        _ => damaged_file(),
    }
}

fn of_bundle(error: &bundle::Error) -> Diagnosis {
    match error {
        bundle::Error::NoTrailer => {
            diagnosis(Exit::Refused, "name a file that carries a release: demisto-install VERB FILE")
        }
        _ => damaged_file(),
    }
}

fn of_pack(error: &pack::Error) -> Diagnosis {
    match error {
        pack::Error::Description { .. } | pack::Error::Tree { .. } | pack::Error::Types(_) => {
            diagnosis(Exit::Usage, "docs/packing.md describes tree and description")
        }
        pack::Error::Interrupted(signal) => diagnosis(Exit::Signal(*signal), ""),
        pack::Error::Rotation { .. } => {
            diagnosis(Exit::Refused, "`demisto-install keys vouch` makes such a statement")
        }
        pack::Error::Trust(_) => diagnosis(Exit::Usage, ""),
        pack::Error::NotAProgram(_)
        | pack::Error::Output(_)
        | pack::Error::Level
        | pack::Error::Misfit { .. }
        | pack::Error::Name(_) => diagnosis(Exit::Usage, ""),
        pack::Error::Signing(signer::Error::PassphraseMissing) => {
            diagnosis(Exit::Usage, "give --passphrase-file")
        }
        pack::Error::Signing(signer::Error::System(_)) => {
            diagnosis(Exit::Usage, "a secret key or passphrase file belongs to you alone: chmod 600 FILE")
        }
        pack::Error::Signing(signer::Error::Unfit { .. }) => {
            diagnosis(Exit::Refused, "`demisto-install keys lint KEY.asc` tells all that is wrong with it")
        }
        pack::Error::Signing(_) => diagnosis(Exit::Failed, ""),
        _ => diagnosis(Exit::Failed, ""),
    }
}

fn of_keys(error: &keys::Error) -> Diagnosis {
    use keys::Error as E;
    match error {
        E::ConsentNeeded { .. } => {
            diagnosis(Exit::Usage, "give --fingerprint, from a source other than the key file")
        }
        E::FingerprintMismatch { .. } => {
            diagnosis(Exit::Refused, "compare it with what the vendor published")
        }
        E::Unfit { .. } => {
            diagnosis(Exit::Refused, "`demisto-install keys lint FILE` tells all that is wrong with it")
        }
        E::NotTrusted(_) | E::NoRpmKeys { .. } => {
            diagnosis(Exit::Failed, "`demisto-install keys list` shows the trusted keys")
        }
        E::Trust(_) => untrusted(),
        _ => diagnosis(Exit::Failed, ""),
    }
}
