//! What to do about certificates, keys and what goes with them.

use super::{Diagnosis, diagnosis};
use crate::certs::{self, key};
use crate::cli::exit::Exit;
use crate::workflow::cert::{install, make, mutual};
use crate::workflow::{ca, otc};

const CONVERT: &str = "`demisto-install cert convert FILE --out-dir DIR` writes what the product reads";

pub(super) fn of_certs(error: &certs::Error) -> Diagnosis {
    match error {
        certs::Error::Key(error) => of_key(error),
        certs::Error::Form(_) | certs::Error::ChainForm(_) => diagnosis(Exit::Usage, CONVERT),
        certs::Error::NoLeaf => diagnosis(
            Exit::Usage,
            "give the leaf's key, too: --key FILE; or give only certificates of one chain",
        ),
        certs::Error::Exchanged => diagnosis(Exit::Usage, "give them the other way round"),
        certs::Error::Mismatch => {
            diagnosis(Exit::Usage, "find the key that the request for this certificate was made with")
        }
        _ => diagnosis(Exit::Usage, ""),
    }
}

pub(super) fn of_otc(error: &otc::Error) -> Diagnosis {
    use otc::Error as E;
    match error {
        E::NoServer => {
            diagnosis(Exit::Usage, "an engine is configured with `demisto-install engine configure`")
        }
        E::NotEncrypted(_) => {
            diagnosis(Exit::Usage, "nothing has to be done: the server opens it without one")
        }
        E::NoDirectory(_) => {
            diagnosis(Exit::Blocked, "mount it, or correct Server.OneTimeConfPath in /etc/demisto.conf")
        }
        E::NoService => diagnosis(Exit::Usage, "leave --restart out"),
        E::Exists(_) => diagnosis(Exit::Usage, "nothing was changed; give another file, or move it away"),
        E::ApiKey => {
            diagnosis(Exit::Usage, "--out FILE makes a good one, of 128 random bits, and writes it to FILE")
        }
    }
}

pub(super) fn of_mutual(_: &mutual::NoServer) -> Diagnosis {
    diagnosis(
        Exit::Usage,
        "run it on the server; what an engine shows there is given by `engine configure --client-cert FILE --client-key FILE`",
    )
}

pub(super) fn of_ca(error: &ca::Error) -> Diagnosis {
    use ca::Error as E;
    match error {
        E::NoStore(_) => diagnosis(Exit::Blocked, "install the package ca-certificates there"),
        E::Unfit { problems, .. } => {
            let hint =
                "nothing was changed; leave it out of the file, or get a better one from the authority";
            let mut found = diagnosis(Exit::Refused, hint);
            if problems.len() > 1 {
                found.hints.splice(0..0, problems.iter().cloned());
            }
            found
        }
        E::Packaged(_) => diagnosis(
            Exit::Refused,
            "on Debian `dpkg-reconfigure ca-certificates` deselects it; on RHEL a copy in /etc/pki/ca-trust/source/blocklist",
        ),
        E::Shared { .. } => diagnosis(Exit::Usage, "give the file's name: all that it holds goes"),
        E::Ambiguous { files, .. } => diagnosis(
            Exit::Usage,
            format!("give the whole path or fingerprint, as `ca list` shows it: {}", files.join(", ")),
        ),
        E::Unknown { near, .. } if near.is_empty() => {
            diagnosis(Exit::Usage, "none was added here; `demisto-install ca list`")
        }
        E::Unknown { near, .. } => diagnosis(
            Exit::Usage,
            format!("`demisto-install ca list` shows those that there are: {}", near.join(", ")),
        ),
    }
}

pub(super) fn of_key(error: &key::Error) -> Diagnosis {
    use key::Error as E;
    let hint = match error {
        E::Encrypted => "give its passphrase: --passphrase-file FILE",
        E::OpenSshEncrypted => {
            "write a copy of it as PEM, with `ssh-keygen -p -m PEM -f COPY`, and give that one"
        }
        E::OldCipher(_) => {
            "open it with OpenSSL's old algorithms, `openssl pkcs12 -legacy -in FILE -out NEW.pem` or \
             `openssl pkey -provider legacy -provider default -in FILE -out NEW.pem`, and give NEW.pem"
        }
        E::Unsupported(_) | E::UnknownCurve => {
            "`demisto-install cert csr` makes a key that the product takes"
        }
        E::WrongPassphrase => "give the passphrase that was set when the key was made",
        E::TooMuchWork(_) => {
            "have it written anew by whoever made it, with a usual number of rounds, such as 600000"
        }
        E::Several => "split it: one key, and the certificates that belong to it",
        _ => "",
    };
    diagnosis(Exit::Usage, hint)
}

pub(super) fn of_pair(error: &install::Error) -> Diagnosis {
    use install::Error as E;
    match error {
        E::Unfit { findings } => {
            let mut hints: Vec<String> = findings.iter().map(|finding| finding.fix.clone()).collect();
            hints.dedup();
            Diagnosis { exit: Exit::Blocked, hints }
        }
        E::OtherHost => diagnosis(
            Exit::Usage,
            "--no-start on both hosts, then once more without it on both; or --peer HOST:PORT, which is looked at first",
        ),
        E::OtherRuns { .. } => diagnosis(
            Exit::Blocked,
            "stop it first: `systemctl stop demisto` there; then --no-start on both hosts",
        ),
        E::NotSelfMade => {
            diagnosis(Exit::Usage, "--out-dir DIR says where the new key and the request for the CA go")
        }
        E::OtherKept { .. } => diagnosis(Exit::Blocked, ""),
        E::NothingKept(_) => diagnosis(Exit::Blocked, "`cert install` puts another pair in place"),
        E::NoPair { .. } => diagnosis(Exit::Blocked, "`cert install` puts one there"),
        E::Place { .. } => diagnosis(
            Exit::Blocked,
            "choose the place with --to-chain and --to-key: in a directory that only root can change",
        ),
        E::Closed { .. } => diagnosis(
            Exit::Blocked,
            "choose another place, or let the service enter the directory: `chmod o+x`, or its group with g+x",
        ),
        E::NoServer => {
            diagnosis(Exit::Usage, "say which of its pairs: --engine --client, or --engine --listener")
        }
        E::NoKeypass => diagnosis(Exit::Usage, "leave --encrypt-keypass out"),
        E::Unnamed { .. } => diagnosis(
            Exit::Blocked,
            "correct the configuration; or choose the place with --to-chain and --to-key of `cert install`",
        ),
        E::OldPassphrase(_) => diagnosis(
            Exit::Usage,
            "give --old-passphrase-file FILE; or --no-way-back, if nobody knows it any more",
        ),
        E::WrongOldPassphrase(_) => diagnosis(Exit::Usage, ""),
        E::EnginePassphrase { .. } => diagnosis(
            Exit::Usage,
            "an engine has no one-time configuration: give it a d1.conf with the passphrase by `engine configure \
             --conf FILE`, or a key without one (`cert convert --plain`)",
        ),
    }
}

pub(super) fn of_make(error: &make::Error) -> Diagnosis {
    use make::Error as E;
    let hint = match error {
        E::NoNames { known } if known.is_empty() => {
            "give every name by which it is reached: --name NAME".to_owned()
        }
        E::NoNames { known } => format!(
            "give every name by which it is reached: --name NAME, --ip ADDRESS; this host is known as {}",
            known.join(", ")
        ),
        E::Foreign(_) => "where they are right, say so: --san NAME for each".to_owned(),
        E::Wildcard(_) => "give each name by itself: --name a.example.com --name b.example.com".to_owned(),
        E::Name(name) if !name.is_ascii() => "give the name as DNS has it, in ASCII: xn--...".to_owned(),
        E::Exists(_) => "give another directory, or move it away".to_owned(),
        E::NoPlace => "give --out-dir DIR, or --out-key FILE and --out-chain FILE".to_owned(),
        E::SeveralKeys => "give the file with the certificate's own key only".to_owned(),
        E::Name(_) | E::ClientName(_) | E::NoCertificate(_) | E::NoKey(_) => String::new(),
    };
    diagnosis(Exit::Usage, hint)
}
