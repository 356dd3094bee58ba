//! The authorities that the vendor's page on access to Cortex XDR wants in a host's store, step 3.

use jiff::Timestamp;

use super::Facts;
use crate::preflight::Verdict;
use crate::types::Digest;

/// An authority that has to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The check that looks for it.
    pub id: &'static str,
    /// What the page calls it.
    pub name: &'static str,
    /// A part of its subject that no other authority has.
    pub subject: &'static str,
    /// SHA-1 of its DER form, lower-case hexadecimal; shown, never compared.
    pub sha1: &'static str,
    /// SHA-256 of its DER form, lower-case hexadecimal.
    pub sha256: &'static str,
    /// Until when it is valid, in seconds since 1970.
    pub not_after: i64,
}

/// Go Daddy's authority of 2009.
pub const GO_DADDY_G2: Anchor = Anchor {
    id: "anchor-go-daddy-g2",
    name: "GoDaddy Root Certificate Authority - G2",
    subject: "CN=Go Daddy Root Certificate Authority - G2",
    sha1: "47beabc922eae80e78783462a79f45c254fde68b",
    sha256: "45140b3247eb9cc8c5b4f0d7b53091f73292089e6e5a63e2749dd3aca9198eda",
    not_after: 2_145_916_799,
};
/// Go Daddy's authority of 2004. Mozilla's set, and the packages made of it since April 2025, have it no more.
pub const GO_DADDY_CLASS_2: Anchor = Anchor {
    id: "anchor-go-daddy-class-2",
    name: "GoDaddy Class 2 Root Certification Authority Certificate",
    subject: "OU=Go Daddy Class 2 Certification Authority",
    sha1: "2796bae63f1801e277261ba0d77770028f20eee4",
    sha256: "c3846bf24b9e93ca64274c0ec67c1ecc5e024ffcacd2d74019350e81fe546ae4",
    not_after: 2_035_213_580,
};
/// GlobalSign Root CA - R2, which Google had bought. It expired in 2021.
pub const GLOBALSIGN_R2: Anchor = Anchor {
    id: "anchor-globalsign-r2",
    name: "GlobalSign (Google)",
    subject: "OU=GlobalSign Root CA - R2",
    sha1: "75e0abb6138512271c04f85fddde38e4b7242efe",
    sha256: "ca42dd41745fd0b81eb902362cf9d8bf719da1bd1b1efc946f5b4c99f42c1b9e",
    not_after: 1_639_555_200,
};

/// All of them.
pub const ANCHORS: [Anchor; 3] = [GO_DADDY_G2, GO_DADDY_CLASS_2, GLOBALSIGN_R2];

/// The one that has this SHA-256.
#[must_use]
pub fn by_digest(digest: &Digest) -> Option<&'static Anchor> {
    let digest = digest.to_string();
    ANCHORS.iter().find(|anchor| anchor.sha256 == digest)
}

/// The one that a certificate names as its issuer.
#[must_use]
pub fn by_issuer(issuer: &str) -> Option<&'static Anchor> {
    ANCHORS.iter().find(|anchor| issuer.contains(anchor.subject))
}

/// A certificate that the host trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// SHA-256 of its DER form.
    pub sha256: Digest,
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
}

/// A file that may hold what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaFile {
    /// Its path, as it was given.
    pub path: String,
    /// The whole command that has this host trust what is in it.
    pub command: String,
    /// Its certificates: SHA-256 and subject.
    pub certificates: Vec<(Digest, String)>,
}

/// Most certificates of a file that are named.
const NAMED: usize = 4;

pub(super) fn judge(anchor: &Anchor, facts: &Facts) -> Verdict {
    let prints = format!("SHA-1 {}, SHA-256 {}", anchor.sha1, anchor.sha256);
    let Some(store) = &facts.store else {
        return Verdict::fail("no trust store of this host can be read");
    };
    if let Some(held) = store.iter().find(|held| held.sha256.to_string() == anchor.sha256) {
        return match facts.now {
            now if now > held.not_after => {
                Verdict::warn(format!("in the store, but it expired at {} ({prints})", held.not_after))
                    .mended_by(EXPIRED)
            }
            now if now < held.not_before => {
                Verdict::fail(format!("in the store, but it is valid from {} on ({prints})", held.not_before))
                    .mended_by("look at the clock of this host")
            }
            _ => Verdict::pass(format!("in the store, valid until {} ({prints})", held.not_after)),
        };
    }
    if facts.now.as_second() > anchor.not_after {
        let when = Timestamp::from_second(anchor.not_after).unwrap_or_default();
        return Verdict::warn(format!("not in the store; it expired at {when} ({prints})"))
            .mended_by(EXPIRED);
    }
    missing(anchor, facts.ca_file.as_ref(), &prints)
}

/// No store is mended by a certificate that counts no more.
const EXPIRED: &str = "nothing that it vouches for counts any more, so adding it would help nobody: look with --fqdn whether \
     the servers' certificates lead to another authority, and ask the vendor which one takes its place";

fn missing(anchor: &Anchor, file: Option<&CaFile>, prints: &str) -> Verdict {
    let absent = format!("not in the store ({prints})");
    let Some(file) = file else { return Verdict::fail(absent).mended_by(get(anchor)) };
    let is_it = |(digest, _): &&(Digest, String)| digest.to_string() == anchor.sha256;
    if file.certificates.iter().any(|one| is_it(&one)) {
        let others = file.certificates.iter().filter(|one| by_digest(&one.0).is_none()).count();
        let besides = match others {
            0 => String::new(),
            _ => format!("; beware, it also holds {others} that the vendor does not ask for"),
        };
        return Verdict::fail(format!("{absent}; {} holds it{besides}", file.path)).mended_by(&file.command);
    }
    let mut held: Vec<String> = file
        .certificates
        .iter()
        .take(NAMED)
        .map(|(digest, subject)| format!("{subject} with SHA-256 {digest}"))
        .collect();
    let more = file.certificates.len().saturating_sub(NAMED);
    if more > 0 {
        held.push(format!("{more} more"));
    }
    let seen = format!("{absent}, and it is not in {}, which holds {}", file.path, held.join("; "));
    Verdict::fail(seen).mended_by(get(anchor))
}

fn get(anchor: &Anchor) -> String {
    format!(
        "get the certificate of {} from its authority, compare its SHA-256 with {}, then `demisto-install ca add FILE`",
        anchor.name, anchor.sha256
    )
}
