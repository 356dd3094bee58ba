//! Certificates and keys, with the product's limits on key files.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::SslContextBuilder;
use openssl::x509::X509;

use super::{files, under};

/// Where distributions keep the certificates that the host trusts.
const BUNDLES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// Makes a TLS context trust the certificates that the host trusts.
pub(crate) fn trust_host(context: &mut SslContextBuilder, root: &Path) -> anyhow::Result<()> {
    // Named, because an OpenSSL that was built elsewhere looks in other places.
    match BUNDLES.iter().map(|path| under(root, path)).find(|path| path.exists()) {
        Some(bundle) => {
            context.set_ca_file(&bundle).with_context(|| format!("cannot read {}", bundle.display()))
        }
        None => Ok(()),
    }
}

/// Gives a TLS context its certificate chain (the leaf first) and the key.
pub(crate) fn install(
    context: &mut SslContextBuilder,
    certificates: &Path,
    key: &Path,
    passphrase: Option<&str>,
    whose: &str,
) -> anyhow::Result<()> {
    let text = present(certificates)?;
    let chain = X509::stack_from_pem(&text)
        .with_context(|| format!("{} does not hold PEM certificates", certificates.display()))?;
    let mut chain = chain.into_iter();
    let leaf = chain.next().ok_or_else(|| anyhow!("{} holds no certificate", certificates.display()))?;
    let key_path = key;
    let key = private_key(key_path, passphrase)?;
    if !leaf.public_key().context("the certificate holds no usable key")?.public_eq(&key) {
        bail!(
            "invalid signature by the {whose} certificate: {} does not belong to {}",
            key_path.display(),
            certificates.display()
        );
    }
    context.set_certificate(&leaf).context("the certificate is refused")?;
    context.set_private_key(&key).context("the key is refused")?;
    for certificate in chain {
        context.add_extra_chain_cert(certificate).context("a chain certificate is refused")?;
    }
    Ok(())
}

/// Reads a key as the product does: unencrypted, or encrypted in the traditional PEM form.
fn private_key(path: &Path, passphrase: Option<&str>) -> anyhow::Result<PKey<Private>> {
    let text = present(path)?;
    let shown = path.display();
    if holds(&text, "-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        bail!(
            "{shown} is an encrypted PKCS#8 key, which is not supported; convert it to the traditional \
             form (openssl rsa -aes256 -traditional)"
        );
    }
    if holds(&text, "-----BEGIN EC PARAMETERS-----") {
        bail!("{shown} begins with EC parameters; leave them out (openssl ecparam -noout)");
    }
    let encrypted = holds(&text, "Proc-Type: 4,ENCRYPTED");
    if encrypted && passphrase.is_none() {
        bail!("{shown} is encrypted and no passphrase is known; write keypass to otc.conf.json");
    }
    // With a callback OpenSSL never asks at the terminal, whatever the file holds.
    let asked = |buffer: &mut [u8]| -> Result<usize, ErrorStack> {
        let passphrase = passphrase.unwrap_or_default().as_bytes();
        let Some(place) = buffer.get_mut(..passphrase.len()) else { return Ok(0) };
        place.copy_from_slice(passphrase);
        Ok(passphrase.len())
    };
    PKey::private_key_from_pem_callback(&text, asked).map_err(|_| {
        let reason = if encrypted { "the passphrase is wrong or the file is damaged" } else { "no PEM key" };
        anyhow!("cannot read the key {shown}: {reason}")
    })
}

fn present(path: &Path) -> anyhow::Result<Vec<u8>> {
    files::read_if_there(path)?.ok_or_else(|| anyhow!("{} is missing", path.display()))
}

fn holds(text: &[u8], line: &str) -> bool {
    text.windows(line.len()).any(|window| window == line.as_bytes())
}
