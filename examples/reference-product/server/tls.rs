//! The TLS side: the configured certificate, or an internal one until there is one.

use anyhow::Context as _;
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

use crate::common::log::Log;
use crate::common::pem;
use crate::settings::Settings;
use crate::store::Store;

const CERTIFICATE: &str = "internal-cert.pem";
const KEY: &str = "internal-cert.key";

/// Makes what answers TLS handshakes (TLS 1.2 and later).
pub(crate) fn acceptor(settings: &Settings, store: &Store, log: &Log) -> anyhow::Result<SslAcceptor> {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    // One file without the other is a mistake to report, not a reason to fall back.
    if !settings.certificates.exists() && !settings.key.exists() {
        log.warning(format!(
            "{} is missing: using the internal certificate, which nobody trusts",
            settings.certificates.display()
        ));
        if !store.path(CERTIFICATE).exists() {
            let (certificate, key) = internal().context("cannot make the internal certificate")?;
            store.write(KEY, &key.private_key_to_pem_pkcs8()?)?;
            store.write(CERTIFICATE, &certificate.to_pem()?)?;
        }
        pem::install(&mut builder, &store.path(CERTIFICATE), &store.path(KEY), None, "server")?;
    } else {
        let kept = store.passphrase()?;
        let passphrase = kept.as_deref().or(settings.passphrase.as_deref());
        pem::install(&mut builder, &settings.certificates, &settings.key, passphrase, "server")?;
    }
    Ok(builder.build())
}

/// A self-signed certificate for this host, so that a fresh server can be reached at all.
fn internal() -> anyhow::Result<(X509, PKey<Private>)> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
    let host = nix::unistd::gethostname()?.to_string_lossy().into_owned();
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", "Reference product, internal certificate")?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;

    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let serial = serial.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(&key)?;
    let (start, end) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(397)?);
    builder.set_not_before(&start)?;
    builder.set_not_after(&end)?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
    let names = SubjectAlternativeName::new()
        .dns("localhost")
        .dns(&host)
        .ip("127.0.0.1")
        .build(&builder.x509v3_context(None, None))?;
    builder.append_extension(names)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok((builder.build(), key))
}
