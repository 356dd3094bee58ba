//! The chain: which certificate is the leaf, who issued whom, and whether all of them are there.

use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509StoreContext, X509VerifyResult};

use super::file::File;
use super::rules::{
    ANCHOR_MISSING, CHAIN_DUPLICATE, CHAIN_INCOMPLETE, CHAIN_ORDER, CHAIN_REFUSED, CHAIN_SIGNATURE,
    CHAIN_STRANGER, KEY_IDS, KEY_IDS_ABSENT, NAME_CONSTRAINTS, ROOT_MISSING,
};
use super::{Findings, Input};
use crate::certs::key::Key;
use crate::certs::look::Certificate;

/// A certificate in its file.
#[derive(Debug, Clone)]
pub(super) struct Item<'a> {
    pub(super) file: &'a str,
    /// What it is called in findings.
    pub(super) subject: String,
    pub(super) certificate: &'a Certificate,
    /// Its place among all.
    number: usize,
    /// Whether it was there before.
    again: bool,
}

impl Item<'_> {
    /// Where it is, for findings.
    pub(super) fn at(&self) -> (&str, &str) {
        (self.file, &self.subject)
    }
}

/// The way from the leaf to the last certificate that is there.
#[derive(Debug)]
pub(super) struct Path<'a> {
    pub(super) links: Vec<Item<'a>>,
}

/// What a certificate is called in findings, with its number in the file.
pub(in crate::certs) fn called(number: usize, certificate: &Certificate) -> String {
    format!("certificate {number} ({})", certificate.title())
}

/// All certificates of the files, in their order.
pub(super) fn items(files: &[File]) -> Vec<Item<'_>> {
    let mut items: Vec<Item<'_>> = Vec::new();
    for file in files {
        for (number, certificate) in (1..).zip(&file.chain.certificates) {
            let subject = called(number, certificate);
            let again = items.iter().any(|item| item.certificate.der() == certificate.der());
            items.push(Item { file: &file.name, subject, certificate, number: items.len(), again });
        }
    }
    items
}

/// The leaf is the one that the key belongs to; else one that issued no other, and sooner one that is no
/// authority.
fn leaf<'a, 'b>(items: &'b [Item<'a>], key: Option<&Key>) -> Option<&'b Item<'a>> {
    let has_issued = |item: &Item<'_>| {
        let by = |other: &Item<'_>| names(other.certificate, item.certificate);
        items.iter().any(|other| other.certificate.der() != item.certificate.der() && by(other))
    };
    let mut ends = items.iter().filter(|item| !has_issued(item));
    let of_key = key.and_then(|key| ends.clone().find(|item| key.fits(item.certificate.x509())));
    let first_end = ends.clone().next();
    of_key.or_else(|| ends.find(|item| !item.certificate.is_ca())).or(first_end).or(items.first())
}

/// Whether one has the name that the other's issuer has.
fn names(of: &Certificate, issuer: &Certificate) -> bool {
    let order = of.x509().issuer_name().try_cmp(issuer.x509().subject_name());
    order.is_ok_and(|order| order.is_eq())
}

pub(super) fn path<'a>(items: &[Item<'a>], key: Option<&Key>) -> Path<'a> {
    let mut links: Vec<Item<'a>> = leaf(items, key).cloned().into_iter().collect();
    while let Some(last) = links.last() {
        let is_new = |item: &&Item<'a>| {
            !item.again && links.iter().all(|link| link.certificate.der() != item.certificate.der())
        };
        let next =
            if last.certificate.self_signed { None } else { issuer(last, items.iter().filter(is_new)) };
        let Some(next) = next.cloned() else { break };
        links.push(next);
    }
    Path { links }
}

/// Who issued it: of those with the name sooner one that really signed it, and sooner a root.
fn issuer<'b, 'a: 'b>(item: &Item<'_>, among: impl Iterator<Item = &'b Item<'a>>) -> Option<&'b Item<'a>> {
    let worth = |candidate: &&Item<'_>| {
        let signed = item.certificate.is_signed_by(candidate.certificate);
        (!signed, !candidate.certificate.self_signed, candidate.number)
    };
    among.filter(|candidate| names(item.certificate, candidate.certificate)).min_by_key(worth)
}

pub(super) fn check(input: &Input<'_>, items: &[Item<'_>], path: &Path<'_>, found: &mut Findings) {
    let Some((leaf, last)) = path.links.first().zip(path.links.last()) else { return };
    for item in items.iter().filter(|item| item.again) {
        found.add(&CHAIN_DUPLICATE, item.at(), "it is there twice");
    }
    let is_link = |item: &Item<'_>| path.links.iter().any(|link| link.number == item.number);
    for item in items.iter().filter(|item| !item.again && !is_link(item)) {
        found.add(&CHAIN_STRANGER, item.at(), format!("nothing leads from {} to it", leaf.subject));
    }
    let in_order = path.links.is_sorted_by_key(|link| link.number) && leaf.number == 0;
    if !in_order {
        let subjects: Vec<&str> = path.links.iter().map(|link| link.subject.as_str()).collect();
        let what = format!("the right order is {}", subjects.join(", "));
        found.add(&CHAIN_ORDER, (leaf.file, "the chain"), what);
    }
    for (link, above) in path.links.iter().zip(path.links.iter().skip(1)) {
        linked(link, above, found);
    }
    let anchor = end(input, last, found);
    if !found.has_errors() {
        ask_openssl(path, anchor, found);
    }
}

/// Whether the one really issued the other.
fn linked(link: &Item<'_>, above: &Item<'_>, found: &mut Findings) {
    let (certificate, issuer) = (link.certificate, above.certificate);
    let ids = certificate.authority_key_id.as_ref().zip(issuer.subject_key_id.as_ref());
    if !certificate.is_signed_by(issuer) {
        found.add(&CHAIN_SIGNATURE, link.at(), format!("{} did not sign it", above.subject));
    } else if ids.is_some_and(|(authority, subject)| authority != subject) {
        found.add(&KEY_IDS, link.at(), format!("it names another key than that of {}", above.subject));
    } else if ids.is_none() && certificate.version == 3 && issuer.version == 3 {
        found.add(&KEY_IDS_ABSENT, link.at(), format!("it and {} do not both name the key", above.subject));
    }
}

/// What the chain ends with: a root, which the host should know, or an issuer that is not there. Gives the
/// host's certificate of that issuer.
fn end<'a>(input: &Input<'a>, last: &Item<'_>, found: &mut Findings) -> Option<&'a Certificate> {
    let certificate = last.certificate;
    if certificate.self_issued {
        if !certificate.self_signed {
            found.add(&CHAIN_SIGNATURE, last.at(), "its own key did not sign it");
        } else if certificate.is_ca()
            && input
                .anchors
                .is_some_and(|anchors| anchors.iter().all(|anchor| anchor.der() != certificate.der()))
        {
            found.add(&ANCHOR_MISSING, last.at(), "this host does not trust it");
        }
        return None;
    }
    let anchor = anchor(input, certificate);
    let rule = if anchor.is_some() { &ROOT_MISSING } else { &CHAIN_INCOMPLETE };
    found.add(rule, last.at(), format!("its issuer is not there: {}", certificate.issuer));
    anchor
}

/// The host's certificate of who issued it.
fn anchor<'a>(input: &Input<'a>, certificate: &Certificate) -> Option<&'a Certificate> {
    let issued = |anchor: &&Certificate| names(certificate, anchor) && certificate.is_signed_by(anchor);
    input.anchors.unwrap_or_default().iter().find(issued)
}

/// Authorities to be trusted: all of a chain have to be, so each has its issuer beside it or in the host.
pub(super) fn check_authorities(input: &Input<'_>, items: &[Item<'_>], found: &mut Findings) {
    for item in items {
        if item.again {
            found.add(&CHAIN_DUPLICATE, item.at(), "it is there twice");
        } else if item.certificate.self_signed {
            continue;
        } else if let Some(above) = issuer(item, items.iter().filter(|other| other.number != item.number)) {
            linked(item, above, found);
        } else if anchor(input, item.certificate).is_none() {
            let what = format!("its issuer is not there: {}", item.certificate.issuer);
            found.add(&CHAIN_INCOMPLETE, item.at(), what);
        }
    }
}

/// What is left to find, above all constraints of names: OpenSSL builds the same chain. Time is judged before.
fn ask_openssl(path: &Path<'_>, anchor: Option<&Certificate>, found: &mut Findings) {
    const CONSTRAINTS: [i32; 6] = [47, 48, 49, 51, 52, 53]; // X509_V_ERR_PERMITTED_VIOLATION and on
    let (Some(leaf), Some(last)) = (path.links.first(), path.links.last()) else { return };
    let result = verify(path, anchor.unwrap_or(last.certificate));
    let result = match result {
        Ok(result) => result,
        Err(error) => {
            return found.add(&CHAIN_REFUSED, leaf.at(), format!("OpenSSL cannot check it: {error}"));
        }
    };
    if result == X509VerifyResult::OK {
        return;
    }
    let rule = if CONSTRAINTS.contains(&result.as_raw()) { &NAME_CONSTRAINTS } else { &CHAIN_REFUSED };
    found.add(rule, leaf.at(), format!("OpenSSL says: {}", result.error_string()));
}

fn verify(path: &Path<'_>, root: &Certificate) -> Result<X509VerifyResult, openssl::error::ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    store.add_cert(root.x509().clone())?;
    store.set_flags(X509VerifyFlags::NO_CHECK_TIME | X509VerifyFlags::PARTIAL_CHAIN)?;
    let mut others = Stack::new()?;
    for link in path.links.iter().skip(1) {
        others.push(link.certificate.x509().clone())?;
    }
    let Some(leaf) = path.links.first() else { return Ok(X509VerifyResult::OK) };
    let mut context = X509StoreContext::new()?;
    context.init(&store.build(), leaf.certificate.x509(), &others, |context| {
        context.verify_cert()?;
        Ok(context.error())
    })
}
