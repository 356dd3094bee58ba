//! Where the passphrase of a private key comes from: a private file, standard input, or a question. Never
//! an argument or an environment variable: other users can read those.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::ask;
use crate::certs::key::{MAX_PASSPHRASE, check_passphrase};
use crate::prompt;
use crate::sys::{fs, tty};
use crate::types::Secret;

/// A passphrase and the line break after it.
const LIMIT: u64 = MAX_PASSPHRASE as u64 + 2;

/// The passphrase of a key that is there
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct OpenArgs {
    /// Read the key's passphrase from FILE, which belongs to root or you and which nobody else can read
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_stdin")]
    passphrase_file: Option<PathBuf>,
    /// Read the key's passphrase from standard input (one line)
    #[arg(long)]
    passphrase_stdin: bool,
}

/// The passphrase of a key that is made
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct NewArgs {
    /// Encrypt the key with a passphrase, which is asked for
    #[arg(long, conflicts_with_all = ["passphrase_file", "passphrase_stdin"])]
    passphrase: bool,
    #[command(flatten)]
    from: OpenArgs,
}

impl OpenArgs {
    /// The passphrase that was given; asked for when `needed` and somebody can be asked.
    pub(super) fn get(&self, question: &str, needed: bool) -> Result<Option<Secret>> {
        self.get_opening(question, needed, |_| true)
    }

    /// As [`get`](Self::get); asked for again when what was typed does not open the key.
    pub(super) fn get_opening(
        &self,
        question: &str,
        needed: bool,
        opens: impl Fn(&Secret) -> bool,
    ) -> Result<Option<Secret>> {
        if let Some(given) = self.given()? {
            return Ok(Some(given));
        }
        if !needed || !tty::is_interactive() {
            return Ok(None);
        }
        Ok(Some(ask::secret_opening(question, opens)?))
    }

    fn given(&self) -> Result<Option<Secret>> {
        if let Some(path) = &self.passphrase_file {
            return from_file(path).map(Some);
        }
        if !self.passphrase_stdin {
            return Ok(None);
        }
        if tty::stdin_is_terminal() {
            bail!("--passphrase-stdin reads from a pipe or file, but standard input is a terminal");
        }
        Ok(Some(prompt::parse_password(fs::read_stdin(LIMIT)?)?))
    }
}

impl NewArgs {
    /// The passphrase for the new key, if it is to have one.
    pub(super) fn get(&self) -> Result<Option<Secret>> {
        if self.passphrase {
            return ask_new("Passphrase for the new key").map(Some);
        }
        let given = self.from.given()?;
        if let Some(given) = &given {
            check_passphrase(given)?;
        }
        Ok(given)
    }
}

/// The passphrase in a file.
pub(super) fn from_file(path: &Path) -> Result<Secret> {
    Ok(prompt::parse_password(fs::read_secret(path, LIMIT)?)?)
}

/// A passphrase for something new, from a file.
pub(super) fn new_from_file(path: &Path) -> Result<Secret> {
    let given = from_file(path)?;
    check_passphrase(&given)?;
    Ok(given)
}

/// Asks twice for a passphrase for something new.
pub(super) fn ask_new(question: &str) -> Result<Secret> {
    let check = |secret: &Secret| check_passphrase(secret).map_err(|e| format!("error: {e}\n"));
    Ok(ask::new_secret((question, "Verify passphrase", "passphrases"), check)?.0)
}
