//! One release key vouches for the next.
//!
//! A host pins the certificates that signed what is installed. A later release is signed by one of
//! them, or by one to which a chain of statements leads, each signed by the key before.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Judgement, Signer, judge, signatures};
use crate::product;
use crate::trust::{Policy, TrustStore};
use crate::types::Fingerprint;

/// Format of a statement that this program writes and reads.
pub const ROTATION_FORMAT: u32 = 1;
/// Most statements in one manifest.
pub const ROTATIONS_LIMIT: usize = 8;
/// Longest signature of a statement, in bytes of its armoured text.
const SIGNATURE_LIMIT: usize = 16 << 10;

/// The owner of one certificate says that another takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// [`ROTATION_FORMAT`].
    pub format: u32,
    /// Short name of the product for which it holds.
    pub product: String,
    /// The certificate that vouches.
    pub from: Fingerprint,
    /// The certificate that takes its place.
    pub to: Fingerprint,
    /// Armoured detached signature of `from` over [`Rotation::text`].
    pub signature: String,
}

impl Rotation {
    /// The text that is signed. Its first line is that of no other thing that is ever signed.
    #[must_use]
    pub fn text(product: &str, from: &Fingerprint, to: &Fingerprint) -> String {
        format!(
            "demisto-install key rotation {ROTATION_FORMAT}\nproduct: {product}\nfrom: {from}\nto: {to}\n"
        )
    }

    /// Reads a statement; whether it is true is a matter of [`Rotation::judge`].
    ///
    /// # Errors
    /// With the rule that it breaks.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let rotation: Self = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        rotation.check().map_err(str::to_owned)?;
        Ok(rotation)
    }

    /// Whether it is well-formed. This says nothing about whether its signature is good.
    ///
    /// # Errors
    /// With the rule that it breaks.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.format != ROTATION_FORMAT {
            return Err("it has a format that this program does not know");
        }
        if !product::is_word(&self.product) {
            return Err("its product must be letters, digits, - and _");
        }
        if self.from == self.to {
            return Err("the key vouches for itself");
        }
        self.packets().map(drop)
    }

    /// Judges the signature by the rules for every signature, with `from` as the only trusted
    /// certificate. `None` when `store` does not hold it.
    #[must_use]
    pub fn judge(&self, store: &TrustStore, policy: &Policy, at: Timestamp) -> Option<Judgement> {
        let store = store.only(&self.from)?;
        let policy = Policy { threshold: 1, ..policy.clone() };
        let text = Self::text(&self.product, &self.from, &self.to);
        Some(match self.check().and_then(|()| self.packets()) {
            Ok(packets) => judge::judge(text.as_bytes(), &packets, &store, &policy, at),
            Err(why) => Judgement::refusal(1, why),
        })
    }

    /// The signature without its armour: exactly one packet, and nothing around it.
    fn packets(&self) -> Result<Vec<u8>, &'static str> {
        const DAMAGED: &str = "its signature is not one armoured OpenPGP signature";
        if self.signature.len() > SIGNATURE_LIMIT {
            return Err(DAMAGED);
        }
        let packets = signatures::dearmor(self.signature.as_bytes()).ok_or(DAMAGED)?;
        match signatures::parse(&packets) {
            Ok(found) if found.len() == 1 => Ok(packets),
            _ => Err(DAMAGED),
        }
    }
}

/// The certificates that a host has pinned, and how it judges.
#[derive(Debug, Clone, Copy)]
pub struct Pins<'a> {
    /// Who signed what is installed: the signers in the receipt.
    pub signers: &'a [Signer],
    /// Whom the host trusts. A statement only moves the pin: the new key must be in here by itself.
    pub store: &'a TrustStore,
    /// The host's policy.
    pub policy: &'a Policy,
    /// The time by which statements are judged.
    pub at: Timestamp,
}

/// A release that is offered to a host: all of it from a verified manifest.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The product's short name.
    pub product: &'a str,
    /// Whose signatures on it were accepted.
    pub signers: &'a [Signer],
    /// The statements in it.
    pub rotations: &'a [Rotation],
}

/// Why a release may replace the installed one, as far as its signers go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "pin")]
pub enum Pin {
    /// A pinned certificate signed it.
    Same,
    /// A pinned certificate vouches, maybe over others in between, for one that signed it.
    Vouched {
        /// The pinned certificate.
        from: Fingerprint,
        /// The one that signed the release.
        to: Fingerprint,
    },
}

/// Why a release may not replace the installed one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// Nobody vouches for a signer of the release.
    #[error("the installed release was signed by {}; this one by {}, for which no earlier key vouches", join(.pinned), join(.offered))]
    UnknownSigner {
        /// The pinned certificates.
        pinned: Vec<Fingerprint>,
        /// Those that signed the release.
        offered: Vec<Fingerprint>,
    },
    /// Somebody vouches who is not pinned.
    #[error("{from} vouches for the new release key {to}, but the installed release was signed by {}", join(.pinned))]
    NotPinned {
        /// Who vouches.
        from: Fingerprint,
        /// For whom.
        to: Fingerprint,
        /// The pinned certificates.
        pinned: Vec<Fingerprint>,
    },
    /// The statement is about another product.
    #[error("{from} vouches for the key {to} for the product {stated:?}, and this is {product:?}")]
    OtherProduct {
        /// Who vouches.
        from: Fingerprint,
        /// For whom.
        to: Fingerprint,
        /// The product in the statement.
        stated: String,
        /// The product of the release.
        product: String,
    },
    /// The old certificate is not there, so its statement cannot be judged.
    #[error("{from} vouches for the new release key {to}, but {from} is not trusted here any more")]
    NotTrusted {
        /// Who vouches.
        from: Fingerprint,
        /// For whom.
        to: Fingerprint,
    },
    /// The signature under the statement does not count.
    #[error("the statement by which {from} vouches for the new release key {to} is refused: {}", .judgement.reason)]
    Refused {
        /// Who is said to vouch.
        from: Fingerprint,
        /// For whom.
        to: Fingerprint,
        /// What is wrong with the signature.
        judgement: Box<Judgement>,
    },
}

fn join(fingerprints: &[Fingerprint]) -> String {
    let texts: Vec<&str> = fingerprints.iter().map(Fingerprint::as_str).collect();
    if texts.is_empty() { "nobody".to_owned() } else { texts.join(", ") }
}

impl Pins<'_> {
    /// Whether the pinned certificates let the release in. The release's own signatures must have
    /// been accepted before.
    ///
    /// # Errors
    /// When they do not: of several statements, with the reason for the first that could have helped.
    pub fn judge(&self, offer: &Offer) -> Result<Pin, PinError> {
        let pinned: Vec<Fingerprint> = self.signers.iter().map(|s| s.fingerprint.clone()).collect();
        let offered: Vec<Fingerprint> = offer.signers.iter().map(|s| s.fingerprint.clone()).collect();
        if offered.iter().any(|signer| pinned.contains(signer)) {
            return Ok(Pin::Same);
        }
        // (a certificate that is vouched for, the pinned one from which the chain to it begins)
        let mut reached: Vec<(Fingerprint, Fingerprint)> =
            pinned.iter().map(|pin| (pin.clone(), pin.clone())).collect();
        let mut refusal = None;
        let mut open: Vec<&Rotation> = offer.rotations.iter().take(ROTATIONS_LIMIT).collect();
        while let Some((rotation, from)) = take_next(&mut open, &reached) {
            match self.follow(rotation, offer.product) {
                Ok(()) if offered.contains(&rotation.to) => {
                    return Ok(Pin::Vouched { from, to: rotation.to.clone() });
                }
                Ok(()) => reached.push((rotation.to.clone(), from)),
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        let stray = open.into_iter().find(|rotation| offered.contains(&rotation.to));
        Err(match (refusal, stray) {
            (Some(refusal), _) => refusal,
            (None, Some(Rotation { from, to, .. })) => {
                PinError::NotPinned { from: from.clone(), to: to.clone(), pinned }
            }
            (None, None) => PinError::UnknownSigner { pinned, offered },
        })
    }

    /// Whether one statement holds, given that its maker may vouch.
    fn follow(&self, rotation: &Rotation, product: &str) -> Result<(), PinError> {
        let (from, to) = (rotation.from.clone(), rotation.to.clone());
        if rotation.product != product {
            let (stated, product) = (rotation.product.clone(), product.to_owned());
            return Err(PinError::OtherProduct { from, to, stated, product });
        }
        match rotation.judge(self.store, self.policy, self.at) {
            None => Err(PinError::NotTrusted { from, to }),
            Some(judgement) if judgement.accepted => Ok(()),
            Some(judgement) => Err(PinError::Refused { from, to, judgement: Box::new(judgement) }),
        }
    }
}

/// Takes out a statement of a certificate that may vouch, with the pin from which that comes.
/// Each is taken once, so that it ends whatever the statements say.
fn take_next<'a>(
    open: &mut Vec<&'a Rotation>,
    reached: &[(Fingerprint, Fingerprint)],
) -> Option<(&'a Rotation, Fingerprint)> {
    let pin_of = |rotation: &Rotation| reached.iter().find(|(key, _)| *key == rotation.from);
    let (number, pin) = open
        .iter()
        .enumerate()
        .find_map(|(number, rotation)| pin_of(rotation).map(|(_, pin)| (number, pin.clone())))?;
    Some((open.remove(number), pin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(digit: char) -> Fingerprint {
        digit.to_string().repeat(40).parse().unwrap()
    }

    fn signer(digit: char) -> Signer {
        Signer { fingerprint: key(digit), user_id: String::new(), signed_at: Timestamp::UNIX_EPOCH }
    }

    fn unsigned(from: char, to: char) -> Rotation {
        let signature = String::new();
        Rotation { format: 1, product: "demisto".to_owned(), from: key(from), to: key(to), signature }
    }

    fn judge(pinned: &[Signer], offered: &[Signer], rotations: &[Rotation]) -> Result<Pin, PinError> {
        let (store, policy) = (TrustStore::empty(), Policy::default());
        let pins = Pins { signers: pinned, store: &store, policy: &policy, at: Timestamp::UNIX_EPOCH };
        pins.judge(&Offer { product: "demisto", signers: offered, rotations })
    }

    #[test]
    fn the_signed_text_never_changes() {
        let text = Rotation::text("demisto", &key('A'), &key('B'));
        let wanted = format!(
            "demisto-install key rotation 1\nproduct: demisto\nfrom: {}\nto: {}\n",
            "A".repeat(40),
            "B".repeat(40)
        );
        assert_eq!(text, wanted);
    }

    #[test]
    fn a_pinned_signer_needs_no_statement() {
        assert_eq!(judge(&[signer('A')], &[signer('B'), signer('A')], &[]).unwrap(), Pin::Same);
    }

    #[test]
    fn nobody_vouches() {
        for rotations in [vec![], vec![unsigned('A', 'C')], vec![unsigned('B', 'A')]] {
            let got = judge(&[signer('A')], &[signer('B')], &rotations);
            // a statement for another key is not trusted here either, but no help in any case
            assert!(
                matches!(got, Err(PinError::UnknownSigner { .. } | PinError::NotTrusted { .. })),
                "{got:?}"
            );
        }
        assert!(matches!(judge(&[], &[signer('B')], &[]), Err(PinError::UnknownSigner { .. })));
        assert!(matches!(judge(&[], &[], &[]), Err(PinError::UnknownSigner { .. })));
        let got = judge(&[signer('A')], &[signer('B')], &[unsigned('C', 'B')]);
        assert!(matches!(got, Err(PinError::NotPinned { .. })), "{got:?}");
    }

    #[test]
    fn circles_end() {
        let circle = [unsigned('A', 'C'), unsigned('C', 'A'), unsigned('C', 'D'), unsigned('D', 'C')];
        assert!(judge(&[signer('A')], &[signer('B')], &circle).is_err());
    }

    #[test]
    fn malformed_statements_are_refused() {
        let good = unsigned('A', 'B');
        let why = |change: &dyn Fn(&mut Rotation)| {
            let mut rotation = good.clone();
            change(&mut rotation);
            Rotation::parse(&serde_json::to_vec(&rotation).unwrap()).unwrap_err()
        };
        assert!(why(&|r| r.format = 2).contains("format"));
        assert!(why(&|r| r.product = "a\nb".to_owned()).contains("product"));
        assert!(why(&|r| r.to = r.from.clone()).contains("itself"));
        for signature in [
            "",
            "x",
            "-----BEGIN PGP SIGNATURE-----",
            "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----",
        ] {
            assert!(why(&|r| r.signature = signature.to_owned()).contains("signature"), "{signature}");
        }
        assert!(Rotation::parse(b"{}").is_err());
    }
}
