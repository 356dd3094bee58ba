use std::path::PathBuf;

use crate::{certs, config, journal, receipt, release, retained, snapshot, sys};

/// A plan that could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A step failed; everything is as it was before.
    #[error("the change failed; everything is as it was before")]
    Restored(#[source] Box<Error>),
    /// A step failed, and so did the undoing.
    #[error("the change failed ({cause}), and it could not be undone")]
    NotRestored {
        /// What failed first.
        cause: Box<Error>,
        /// What failed while undoing.
        #[source]
        undo: Box<Error>,
    },
    /// A signal asked the run to end.
    #[error("ended by signal {0}")]
    Interrupted(i32),
    /// The service's account does not exist.
    #[error("the account {0} does not exist")]
    NoAccount(&'static str),
    /// The service does not work.
    #[error("{unit} does not work: {why}")]
    Unhealthy {
        /// The unit.
        unit: String,
        /// What is missing.
        why: String,
        /// The last lines of its log.
        log: Vec<String>,
    },
    /// A script of a package failed before anything was changed.
    #[error("the package's {when} failed: {said}")]
    Script {
        /// When it ran.
        when: String,
        /// What it said.
        said: String,
    },
    /// Something is there that was not when the plan was made.
    #[error("{} is not as it was when the plan was made", .0.display())]
    Appeared(PathBuf),
    /// A step needs something that was not given: a fault of this program.
    #[error("a step lacks {0}")]
    Lacks(&'static str),
    /// What is installed cannot be told.
    #[error(transparent)]
    Receipt(#[from] receipt::Error),
    /// What is retained cannot be told.
    #[error(transparent)]
    Retained(#[from] retained::Error),
    /// The release cannot be read.
    #[error(transparent)]
    Release(#[from] release::Error),
    /// The one-time configuration cannot be used.
    #[error("{} cannot be used: {why}", path.display())]
    OneTime {
        /// The file.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// The place of the one-time configuration is somebody else's.
    #[error("{}, which the configuration names, cannot be used: {why}", path.display())]
    OneTimePlace {
        /// The file.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// The configuration cannot be used.
    #[error("the configuration cannot be used")]
    Config(#[from] config::Error),
    /// The certificate cannot be made.
    #[error(transparent)]
    Certs(#[from] certs::Error),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// A snapshot cannot be taken or put back.
    #[error(transparent)]
    Snapshot(snapshot::Error),
    /// The operating system refused.
    #[error(transparent)]
    Sys(#[from] sys::Error),
}

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;

impl From<snapshot::Error> for Error {
    fn from(error: snapshot::Error) -> Self {
        match error {
            snapshot::Error::Interrupted(signal) => Self::Interrupted(signal),
            snapshot::Error::Sys(error) => Self::Sys(error),
            other => Self::Snapshot(other),
        }
    }
}

impl Error {
    /// The error that began it all.
    #[must_use]
    pub fn root_cause(&self) -> &Self {
        match self {
            Self::Restored(cause) | Self::NotRestored { cause, .. } => cause.root_cause(),
            other => other,
        }
    }
}
