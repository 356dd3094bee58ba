//! Signs through gpg, which may ask for a PIN on the terminal.

use std::fs::File;
use std::time::Duration;

use sequoia_openpgp as openpgp;

use openpgp::Cert;
use openpgp::packet::Signature;

use super::Error;
use crate::sys::process::{Output, Tool};
use crate::{trust, verify};

/// How long gpg may take: a person looks for a smart card.
const PATIENCE: Duration = Duration::from_secs(900);
/// What gpg and its pinentry need of our environment.
const ENVIRONMENT: [&str; 7] =
    ["HOME", "GNUPGHOME", "GPG_TTY", "TERM", "XDG_RUNTIME_DIR", "DISPLAY", "WAYLAND_DISPLAY"];

/// A key that gpg keeps.
#[derive(Debug)]
pub(super) struct Gpg {
    key_id: String,
}

/// What is to be signed.
pub(super) enum Input {
    Bytes(Vec<u8>),
    File(File),
}

impl Gpg {
    /// The key with this id and its certificate.
    pub(super) fn open(key_id: &str) -> Result<(Cert, Self), Error> {
        let digits = key_id.strip_prefix("0x").unwrap_or(key_id);
        let digits = digits.strip_suffix('!').unwrap_or(digits);
        if !matches!(digits.len(), 16 | 40 | 64) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Error::KeyId(trust::clean(key_id.as_bytes())));
        }
        let exported = tool()?.args(["--export", "--", key_id]).run()?;
        let none = || Error::GpgKey { key_id: key_id.to_owned(), found: 0 };
        if exported.stdout.is_empty() {
            return Err(none());
        }
        let certs = trust::read_certificates(&exported.stdout, "gpg's keyring")?;
        let found = certs.len();
        let mut certs = certs.into_iter();
        match (certs.next(), found) {
            (Some(cert), 1) => Ok((cert, Self { key_id: key_id.to_owned() })),
            _ => Err(Error::GpgKey { key_id: key_id.to_owned(), found }),
        }
    }

    /// One binary signature over `input`.
    pub(super) fn sign(&mut self, input: Input) -> Result<Signature, Error> {
        let tool = tool()?
            .args(["--detach-sign", "--digest-algo", "SHA256", "--no-armor", "--no-textmode"])
            .args(["-u", &self.key_id, "-o", "-"])
            .foreground()
            .timeout(PATIENCE);
        let output = match input {
            Input::Bytes(bytes) => tool.stdin(bytes),
            Input::File(file) => tool.stdin_file(file),
        }
        .run()?;
        if !output.status.success() {
            return Err(Error::Gpg { why: said(&output) });
        }
        let wrong = |why| Error::Signing { why };
        let mut made = verify::parse_signatures(&output.stdout)
            .map_err(|_| wrong("gpg returned something else than a signature"))?;
        match (made.pop(), made.is_empty()) {
            (Some(signature), true) => Ok(signature),
            _ => Err(wrong("gpg returned more than one signature")),
        }
    }
}

fn tool() -> Result<Tool, Error> {
    let tool = Tool::system("gpg")?.args(["--batch", "--quiet"]);
    Ok(ENVIRONMENT.iter().fold(tool, |tool, name| tool.pass_env(name)))
}

/// The last lines of gpg's complaint.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<String> =
        text.lines().filter(|line| !line.is_empty()).map(|line| trust::clean(line.as_bytes())).collect();
    let tail = lines.iter().rev().take(3).rev();
    tail.map(String::as_str).collect::<Vec<_>>().join("; ")
}
