//! Where the administrator's password comes from when nobody is asked: a file, standard input or a
//! systemd credential. Never an argument or an environment variable: other users can read those.

use std::path::PathBuf;

use anyhow::bail;

use crate::prompt::password::MAX_BYTES;
use crate::sys::{env, fs, tty};
use crate::types::Secret;

/// The name of the systemd credential.
const CREDENTIAL: &str = "demisto-install.admin-password";
/// A password and the line break after it.
const LIMIT: u64 = MAX_BYTES as u64 + 2;

/// The admin password's source
#[derive(Debug, Clone, Default, clap::Args)]
pub struct PasswordArgs {
    /// Read the admin password from FILE, which belongs to root or you and which nobody else can read
    #[arg(long, value_name = "FILE", conflicts_with = "admin_password_stdin")]
    pub admin_password_file: Option<PathBuf>,
    /// Read the admin password from standard input (one line)
    #[arg(long)]
    pub admin_password_stdin: bool,
}

/// A source of the password that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot take the admin password from {source_name}")]
pub struct Error {
    source_name: &'static str,
    #[source]
    source: crate::sys::Error,
}

fn unusable(source_name: &'static str) -> impl FnOnce(crate::sys::Error) -> Error {
    move |source| Error { source_name, source }
}

/// Reads the password from the source that was named, else from the systemd credential
/// `demisto-install.admin-password` if there is one. Whether it is good is not looked at here.
///
/// # Errors
/// When the source cannot be read, is not private, or is no text.
pub fn from_sources(args: &PasswordArgs) -> anyhow::Result<Option<Secret>> {
    let bytes = if let Some(path) = &args.admin_password_file {
        fs::read_secret(path, LIMIT).map_err(unusable("the file"))?
    } else if args.admin_password_stdin {
        if tty::stdin_is_terminal() {
            bail!("--admin-password-stdin reads from a pipe or file, but standard input is a terminal");
        }
        fs::read_stdin(LIMIT).map_err(unusable("standard input"))?
    } else if let Some(path) = credential() {
        // systemd may grant its reader access by a group bit, so only writers are ruled out.
        fs::read_trusted(&path, LIMIT).map_err(unusable("the systemd credential"))?
    } else {
        return Ok(None);
    };
    Ok(Some(crate::prompt::parse_password(bytes)?))
}

fn credential() -> Option<PathBuf> {
    let dir = PathBuf::from(env::var_os("CREDENTIALS_DIRECTORY")?);
    let path = dir.join(CREDENTIAL);
    (dir.is_absolute() && fs::exists(&path)).then_some(path)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// Installs
    #[derive(Debug, clap::Parser)]
    struct Install {
        #[command(flatten)]
        password: PasswordArgs,
    }

    #[test]
    fn there_is_one_source_at_most() {
        let parse = |args: &[&str]| Install::try_parse_from([&["install"], args].concat());
        assert!(parse(&["--admin-password-file", "f", "--admin-password-stdin"]).is_err());
        assert!(parse(&["--admin-password-file"]).is_err());
        assert!(parse(&["--admin-password", "x"]).is_err(), "no secret on the command line");
        let args = parse(&["--admin-password-file", "f"]).unwrap().password;
        assert_eq!((args.admin_password_file, args.admin_password_stdin), (Some("f".into()), false));
    }

    #[test]
    fn the_arguments_do_not_rename_the_command() {
        let about = <Install as clap::CommandFactory>::command().get_about().map(ToString::to_string);
        assert_eq!(about.as_deref(), Some("Installs"));
    }
}
