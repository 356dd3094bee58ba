use std::io;
use std::path::{Path, PathBuf};

/// A call to the operating system that failed: what was tried, on what, and the reason it gave.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct Error {
    /// What was tried, such as `write`.
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// The reason.
    #[source]
    pub source: io::Error,
}

/// Why something that is no file is not read.
pub(super) const NO_FILE: &str = "it is not a regular file";

/// A result of this room.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `action` on `path`.
    pub fn new(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self { action, path: path.to_owned(), source: source.into() }
    }

    /// An error that the operating system did not give but a rule of ours.
    #[must_use]
    pub fn rule(action: &'static str, path: &Path, why: &str) -> Self {
        Self::new(action, path, io::Error::new(io::ErrorKind::PermissionDenied, why.to_owned()))
    }

    /// Whether the thing does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// Whether something is there, but a device, pipe or socket, which is not opened.
    #[must_use]
    pub fn is_no_file(&self) -> bool {
        self.source.get_ref().is_some_and(|why| why.to_string() == NO_FILE)
    }

    /// Whether a file cannot get a second name, or share its blocks, there.
    #[must_use]
    pub fn is_no_link(&self) -> bool {
        use nix::errno::Errno as E;
        let known = [E::EXDEV, E::EPERM, E::EMLINK, E::EOPNOTSUPP, E::ENOTTY].map(|errno| errno as i32);
        self.source.raw_os_error().is_some_and(|errno| known.contains(&errno)) || self.is_unsupported()
    }

    /// Whether something else has the name now than was seen there: whoever else may write in the
    /// directory has put it there, or filled it, meanwhile.
    #[must_use]
    pub fn is_displaced(&self) -> bool {
        use nix::errno::Errno as E;
        let known = [E::ENOTDIR, E::EISDIR, E::ELOOP, E::ENOTEMPTY].map(|errno| errno as i32);
        self.source.raw_os_error().is_some_and(|errno| known.contains(&errno))
    }

    /// Whether the file system or the kernel cannot do it at all.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        use nix::errno::Errno as E;
        let known = [E::EINVAL, E::ENOSYS, E::EOPNOTSUPP].map(|errno| errno as i32);
        self.source.raw_os_error().is_some_and(|errno| known.contains(&errno))
    }
}

/// Adds action and path to the errors of system calls.
pub(super) trait Context<T> {
    /// Names what was tried on what.
    fn context(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|e| Error::new(action, path, e))
    }
}
