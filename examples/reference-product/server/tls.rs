//! The TLS side: the configured certificate, or an internal one until there is one, and what is
//! asked of the certificates of clients.

use std::net::TcpStream;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    HandshakeError, SslAcceptor, SslContextBuilder, SslMethod, SslOptions, SslSessionCacheMode, SslStream,
    SslVerifyMode,
};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

use crate::common::log::Log;
use crate::common::pem;
use crate::settings::{Clients, Settings};
use crate::store::Store;

const CERTIFICATE: &str = "internal-cert.pem";
const KEY: &str = "internal-cert.key";

/// Makes what answers TLS handshakes (TLS 1.2 and later).
pub(crate) fn acceptor(
    root: &Path,
    settings: &Settings,
    store: &Store,
    log: &Log,
) -> anyhow::Result<SslAcceptor> {
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
    check_clients(&mut builder, root, settings.clients)?;
    Ok(builder.build())
}

/// Obeys `server.certificate.clientauthpolicy` in every handshake, whatever is asked for after it.
fn check_clients(context: &mut SslContextBuilder, root: &Path, clients: Clients) -> anyhow::Result<()> {
    let mut mode = SslVerifyMode::NONE;
    mode.set(SslVerifyMode::PEER, clients.ask);
    mode.set(SslVerifyMode::FAIL_IF_NO_PEER_CERT, clients.require);
    if clients.verify {
        pem::trust_host(context, root)?;
        context.set_verify(mode);
    } else {
        context.set_verify_callback(mode, |_, _| true);
    }
    // A session that is taken up again would not be asked; this server has no need of any.
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_options(SslOptions::NO_TICKET);
    context.set_session_id_context(b"reference server")?;
    Ok(())
}

/// Why a client was turned away, in the product's words where it has some.
pub(crate) fn refusal(error: HandshakeError<TcpStream>) -> anyhow::Error {
    let HandshakeError::Failure(failed) = &error else { return anyhow!("{error}") };
    let result = failed.ssl().verify_result();
    let words = match result.as_raw() {
        0 => return anyhow!("{error}"),
        10 => "certificate has expired or is not yet valid",
        18..=21 => "certificate signed by unknown authority",
        26 => "certificate specifies an incompatible key usage",
        _ => result.error_string(),
    };
    anyhow!("client {words}")
}

/// The name in a client's certificate.
pub(crate) fn client(stream: &SslStream<TcpStream>) -> Option<String> {
    let certificate = stream.ssl().peer_certificate()?;
    let name = certificate.subject_name().entries().map(|entry| {
        let key = entry.object().nid().short_name().unwrap_or("?");
        let value = entry.data().to_string().unwrap_or_else(|_| "?".to_owned());
        format!("{key}={value}")
    });
    Some(name.collect::<Vec<_>>().join(","))
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
