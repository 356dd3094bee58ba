use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Accounts;
use crate::product::{self, Site, under};
use crate::sys;
use crate::sys::dir::{Dir, Kind};
use crate::types::Mode;

/// State of the installation directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directory {
    /// Not there.
    Absent,
    /// There, and empty.
    Empty,
    /// There, with these names in it.
    Occupied(Vec<String>),
    /// Something else has its name.
    NotADirectory,
    /// Another file system is mounted there, so it cannot be switched in one step.
    MountPoint,
}

/// What the product needs or left, below one root.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The root that was looked at.
    pub root: PathBuf,
    /// The installation that was looked for.
    pub site: Site,
    /// The service's account.
    pub accounts: Accounts,
    /// The installation directory.
    pub install_dir: Directory,
    /// Its mode, if it is there.
    pub install_mode: Option<Mode>,
    /// The configuration file's text, if it was asked for and there is one.
    pub config: Option<String>,
    /// Names of those units that were asked for, whether they exist or not.
    pub units: BTreeSet<String>,
    /// Those of the asked-for paths that exist.
    pub present: BTreeSet<String>,
    /// The service's own directories that exist but belong to somebody else.
    pub foreign_dirs: BTreeSet<String>,
    /// The service's own directories in whose place is something else, such as a link that the service made.
    pub odd_dirs: BTreeSet<String>,
    /// Those of the product's directories on which another file system is mounted.
    pub mounts: BTreeSet<String>,
    /// Where other file systems are mounted below the installation directory.
    pub inner_mounts: Vec<PathBuf>,
    /// The installed certificate chain, if there is one.
    pub certificate: Option<String>,
    /// Free bytes where the release goes.
    pub free_bytes: u64,
    /// Whether the root has an account database.
    pub has_passwd: bool,
}

const CONFIG_LIMIT: u64 = 4 << 20;

/// Looks at `root`; tells which of `paths` (absolute as the installed system sees them) exist.
///
/// # Errors
/// When something exists but cannot be looked at.
pub fn survey(root: &Path, site: &Site, paths: &[String]) -> sys::Result<Survey> {
    let tree = under(root, &site.tree());
    let read = |path: &str, limit| match root == Path::new("/") {
        true => sys::fs::read_limited(Path::new(path), limit),
        false => sys::fs::read_beneath(root, path, limit), // a link there would lead into this host
    };
    let optional = |path: &str, limit| match read(path, limit) {
        Err(e) if e.is_not_found() => Ok(None),
        other => other.map(Some),
    };
    // a removal does not ask for it, and must not stumble over what the service made of it
    let config = site.config_file();
    let config = if paths.contains(&config) { optional(&config, CONFIG_LIMIT)? } else { None };
    let certificate = optional(&format!("{}/{}", site.tree(), product::CERTIFICATE), CONFIG_LIMIT)?;
    let certificate = certificate.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let config = config.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let accounts = Accounts::look_up(root, product::SERVICE_USER)?;
    let mut foreign_dirs = BTreeSet::new();
    let mut mounts = BTreeSet::new();
    let mut odd_dirs = BTreeSet::new();
    let shared = [product::DATA_DIR.to_owned(), product::LOG_DIR.to_owned()];
    for path in shared.into_iter().chain([site.data_dir(), site.log_dir()]) {
        let place = under(root, &path);
        let stat = sys::fs::stat(&place)?;
        if stat.is_some_and(|stat| Some(stat.ids) != accounts.ids()) {
            foreign_dirs.insert(path.clone());
        }
        if stat.is_some_and(|stat| !is_dir(stat.kind, root, &path)) {
            odd_dirs.insert(path.clone());
        }
        if is_mount_point(&place)? {
            mounts.insert(path);
        }
    }
    Ok(Survey {
        root: root.to_owned(),
        site: site.clone(),
        accounts,
        foreign_dirs,
        odd_dirs,
        mounts,
        inner_mounts: sys::mounts::below(&tree)?,
        certificate,
        install_mode: sys::fs::stat(&tree)?.map(|stat| Mode::new(stat.mode)),
        install_dir: install_dir(root, &tree)?,
        config,
        units: paths.iter().filter_map(|path| product::unit_of_path(path)).map(str::to_owned).collect(),
        present: paths.iter().filter(|path| sys::fs::exists(&under(root, path))).cloned().collect(),
        free_bytes: sys::fs::free_bytes(&nearest(&under(root, &site.stage())))?,
        has_passwd: sys::fs::is_file(&under(root, "/etc/passwd")),
    })
}

/// Whether a name stands for a directory: itself, or as a link that only root of the running system can
/// have made.
fn is_dir(kind: Kind, root: &Path, path: &str) -> bool {
    let inside =
        product::GUARDED.iter().any(|top| path.strip_prefix(top).is_some_and(|s| s.starts_with('/')));
    match kind {
        Kind::Dir => true,
        Kind::Symlink => !inside && root == Path::new("/") && under(root, path).is_dir(),
        Kind::File | Kind::Other => false,
    }
}

fn install_dir(root: &Path, path: &Path) -> sys::Result<Directory> {
    // a named engine is staged beside the directory that holds its tree
    if is_mount_point(&under(root, product::INSTALL_DIR))? {
        return Ok(Directory::MountPoint);
    }
    let Some(stat) = sys::fs::stat(path)? else { return Ok(Directory::Absent) };
    if stat.kind != Kind::Dir {
        return Ok(Directory::NotADirectory);
    }
    if is_mount_point(path)? {
        return Ok(Directory::MountPoint);
    }
    let names = Dir::open(path)?.raw_names()?;
    let names: Vec<String> = names.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    Ok(if names.is_empty() { Directory::Empty } else { Directory::Occupied(names) })
}

/// Another file system is seen by its number; a bind mount of the same one only in the table.
fn is_mount_point(path: &Path) -> sys::Result<bool> {
    let Some(parent) = path.parent() else { return Ok(true) };
    let Some((this, above)) = sys::fs::stat(path)?.zip(sys::fs::stat(parent)?) else { return Ok(false) };
    Ok(this.dev != above.dev || sys::mounts::is_point(path)?)
}

/// The nearest directory on the way up that exists.
#[must_use]
pub fn nearest(path: &Path) -> PathBuf {
    path.ancestors().find(|p| sys::fs::exists(p)).unwrap_or(Path::new("/")).to_owned()
}
