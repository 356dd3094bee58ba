use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::record;
use crate::apply::{self, Recovered};
use crate::event::EventSink;
use crate::journal::Journal;
use crate::plan::Plan;
use crate::product::{self, EngineName, Role, Site, under};
use crate::receipt::{self, Receipt};
use crate::release::{Judge, Release};
use crate::source::Candidate;
use crate::sys;
use crate::sys::dir::{Dir, Kind};
use crate::sys::lock::{Attempt, Lock};
use crate::trust::{self, Policy, TrustStore};
use crate::types::Digest;

/// A request that cannot be met, for reasons that no room below knows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another run is at work.
    #[error("another run of demisto-install is at work ({})", .0.display())]
    Busy(PathBuf),
    /// Not root.
    #[error("changing this host needs root")]
    NotRoot,
    /// The root does not exist.
    #[error("{} is not a directory", .0.display())]
    NoRoot(PathBuf),
    /// Nothing of an unverified payload is decompressed.
    #[error("the file is not verified, so nothing of its payload is decompressed")]
    NotVerified,
    /// An earlier run was cut off, so what is there is neither old nor new.
    #[error("an earlier run was cut off and has not been recovered")]
    Unfinished,
    /// On the running system files belong to those who use them.
    #[error("--no-owner is for trying it in a directory, together with --root DIR")]
    OwnersNeeded,
    /// Not fit for a certificate.
    #[error("{0:?} is neither a host name nor an address")]
    Name(String),
    /// Certificates were to be written in their order, and there is none.
    #[error("none of the files holds a certificate")]
    NoCertificate,
    /// The snapshot that a rollback needs cannot be used.
    #[error("the snapshot {}, which belongs to the retained release, cannot be used", path.display())]
    NoWayBack {
        /// Its directory.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Box<crate::snapshot::Error>,
    },
    /// Scripts of a package were asked for in another root, where they would change this host.
    #[error("the scripts of a package run on the running system only")]
    ScriptsElsewhere,
    /// A script of a package cannot be run.
    #[error("a script of the package cannot be run: {0}")]
    Script(String),
    /// rpm's database was asked for where there is none.
    #[error("there is no rpm here whose database could be told")]
    NoRpm,
    /// Nobody can be asked whether the plan is right.
    #[error("cannot ask whether to go on: this is not a terminal")]
    Unconfirmed,
    /// Another release is retained than the one that is wanted.
    #[error("{wanted} is not retained; {retained} is")]
    NotRetained {
        /// The wanted release.
        wanted: String,
        /// The retained one.
        retained: String,
    },
    /// A link in another root would lead out of it.
    #[error("{} is a symbolic link, which would lead out of the root", .0.display())]
    RootLink(PathBuf),
    /// What is in the state directory decides what is undone and removed: nobody else may write it.
    #[error("{} belongs to somebody else", .0.display())]
    ForeignState(PathBuf),
    /// The host changed between planning and applying, or the plan is not the approved one.
    #[error("the plan is {found}, not the approved {approved}")]
    PlanDiffers {
        /// The digest that was approved.
        approved: String,
        /// The digest that the plan has.
        found: String,
    },
    /// Something that is installed is not as it was installed.
    #[error("{count} installed files are not as they were installed")]
    Drift {
        /// How many.
        count: usize,
    },
    /// A repair was given another release than the installed one.
    #[error("{} holds {offered}, but {installed} is installed", file.display())]
    OtherRelease {
        /// The file.
        file: PathBuf,
        /// The release that it holds, with the beginning of its manifest's digest.
        offered: String,
        /// The installed one.
        installed: String,
    },
    /// What is to be put right is nowhere to be had.
    #[error("nothing here holds the content of {count} files of the release: {names}")]
    NoContent {
        /// How many.
        count: usize,
        /// Some of them.
        names: String,
    },
    /// Something that the release does not own has the name of something that it does.
    #[error("{} has the name of something that the release brought, and may be somebody's", .0.display())]
    InTheWay(PathBuf),
    /// An earlier run was cut off, and its recovery failed.
    #[error("an earlier run was cut off and could not be recovered")]
    Unrecovered(#[source] Box<apply::Error>),
    /// The product has written no log, or not there.
    #[error("there is no log {}", .0.display())]
    NoLog(PathBuf),
    /// What an engine should be given cannot be used.
    #[error("{} cannot be used: {}", file.display(), if problems.len() == 1 { problems.join("") } else { format!("{} things are wrong", problems.len()) })]
    EngineConfig {
        /// The file.
        file: PathBuf,
        /// All that is wrong with it.
        problems: Vec<String>,
    },
    /// A server or engine that this program has no record of.
    #[error("another installer put what is in {} there, and this program has no record of it", tree.display())]
    NoRecord {
        /// Its tree.
        tree: PathBuf,
        /// The verb that takes it over.
        verb: String,
    },
    /// There is no such engine.
    #[error("no engine {name} is installed here")]
    NoEngine {
        /// Its name, in words.
        name: String,
    },
    /// An engine is installed already and has something else than was given.
    #[error(
        "this release of the engine is installed already, with another configuration or certificate than was given"
    )]
    OtherGift,
    /// An engine was to be given nothing.
    #[error("nothing is given that the engine could be configured with")]
    NothingGiven,
    /// An engine still has the release's default configuration.
    #[error("{} is the release's default, which leads to no server", .0.display())]
    NotConfigured(PathBuf),
    /// A service did not become ready.
    #[error("not ready: {0}")]
    NotReady(String),
}

/// What every workflow needs: the root, whom to trust, the time, and who is told.
pub struct Session<'a> {
    /// The root that is looked at and changed.
    pub root: PathBuf,
    /// The installation that it is about.
    pub site: Site,
    /// Key files for this run.
    pub keys: Vec<PathBuf>,
    /// The time by which signatures are judged.
    pub now: Timestamp,
    /// Who is told.
    pub sink: &'a dyn EventSink,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("root", &self.root).finish_non_exhaustive()
    }
}

/// Compares a plan with the digest that was approved.
///
/// # Errors
/// When it is another plan.
pub fn require_approved(plan: &Plan, approved: Digest) -> Result<(), Error> {
    let found = plan.digest();
    if found == approved {
        return Ok(());
    }
    Err(Error::PlanDiffers { approved: approved.to_string(), found: found.to_string() })
}

/// In another root no directory that is used may be a link: an absolute one leads into this host.
fn refuse_links(root: &Path) -> Result<(), anyhow::Error> {
    let stage = Site::default().stage();
    let used = [
        product::STATE_DIR,
        product::DATA_DIR,
        product::LOG_DIR,
        &stage,
        product::UNIT_DIR,
        product::SETTINGS_DIR,
    ];
    for path in used {
        let mut place = root.to_owned();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            place.push(part);
            if sys::fs::stat(&place)?.is_some_and(|stat| stat.kind == Kind::Symlink) {
                return Err(Error::RootLink(place).into());
            }
        }
    }
    Ok(())
}

/// What is installed without a name: a server, unless a receipt says that it is an engine.
fn unnamed_role(root: &Path) -> Role {
    let receipt = receipt::read(root, &Site::default());
    receipt.ok().flatten().map_or(Role::Server, |receipt| receipt.role)
}

/// Closes a directory to everybody else; refuses one that is not ours.
fn make_private(path: &Path) -> Result<(), anyhow::Error> {
    let dir = Dir::open(path)?;
    let stat = dir.stat_self()?;
    if stat.ids.uid != sys::env::uid() {
        return Err(Error::ForeignState(path.to_owned()).into());
    }
    if stat.mode != 0o700 {
        dir.set_owner_and_mode(None, 0o700)?;
    }
    Ok(())
}

impl<'a> Session<'a> {
    /// A session on `root`, which exists.
    ///
    /// # Errors
    /// When the root does not exist.
    pub fn new(root: &Path, keys: Vec<PathBuf>, sink: &'a dyn EventSink) -> Result<Self, anyhow::Error> {
        let root = sys::fs::canonical(root).map_err(|_| Error::NoRoot(root.to_owned()))?;
        if !root.is_dir() {
            return Err(Error::NoRoot(root).into());
        }
        if root != Path::new("/") {
            refuse_links(&root)?;
        }
        let site = Site::unnamed(unnamed_role(&root));
        Ok(Self { root, site, keys, now: sys::clock::now(), sink })
    }

    /// The same session, of which somebody else is told.
    pub(super) fn telling<'b>(&self, sink: &'b dyn EventSink) -> Session<'b> {
        let (root, site, keys) = (self.root.clone(), self.site.clone(), self.keys.clone());
        Session { root, site, keys, now: self.now, sink }
    }

    /// The same session about another installation.
    #[must_use]
    pub fn about(mut self, site: Site) -> Self {
        self.site = site;
        self
    }

    /// Whether a server has the place of the installation without a name; one that another installer
    /// made, too.
    #[must_use]
    pub fn has_server(&self) -> bool {
        let server = Site::default();
        match receipt::read(&self.root, &server) {
            Ok(Some(receipt)) => receipt.role == Role::Server,
            _ => sys::fs::is_file(&under(&self.root, &server.program())),
        }
    }

    /// Names of the engines that are installed with a name, besides this one.
    ///
    /// # Errors
    /// When a receipt exists but cannot be read.
    pub fn other_engines(&self) -> Result<Vec<String>, anyhow::Error> {
        let mut names = Vec::new();
        for site in self.sites()?.iter().filter(|site| **site != self.site) {
            if let Some(name) = site.name()
                && receipt::read(&self.root, site)?.is_some()
            {
                names.push(name.to_string());
            }
        }
        Ok(names)
    }

    /// The root, and which installation of it.
    pub(super) fn place(&self) -> (&Path, &Site) {
        (&self.root, &self.site)
    }

    /// Why this installation cannot be worked on when there is no receipt of it.
    #[must_use]
    pub fn missing(&self) -> anyhow::Error {
        let site = &self.site;
        let name = || site.name().map_or_else(|| "without a name".to_owned(), ToString::to_string);
        if super::upgrade::is_adoptable(self) {
            let name = site.name().map_or_else(String::new, |name| format!(" --name {name}"));
            let verb = if site.is_server() {
                "upgrade FILE".to_owned()
            } else {
                format!("engine upgrade FILE{name}")
            };
            return Error::NoRecord { tree: under(&self.root, &site.tree()), verb }.into();
        }
        match site.is_server() {
            true => crate::plan::Error::NothingInstalled.into(),
            false => Error::NoEngine { name: name() }.into(),
        }
    }

    /// Whether the root is the running system.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// The directory of this program's own state.
    pub(super) fn state_dir(&self) -> PathBuf {
        under(&self.root, product::STATE_DIR)
    }

    /// The installations that may be there: the unnamed one first, then the engines that have a state.
    ///
    /// # Errors
    /// When this user may not look there.
    pub fn sites(&self) -> Result<Vec<Site>, anyhow::Error> {
        let mut sites = vec![Site::unnamed(unnamed_role(&self.root))];
        let engines = match Dir::open(&self.state_dir().join(product::ENGINES)) {
            Err(e) if e.is_not_found() => return Ok(sites),
            other => other?.names()?,
        };
        let mut names: Vec<EngineName> = engines.iter().filter_map(|name| name.parse().ok()).collect();
        names.sort();
        sites.extend(names.into_iter().map(|name| Site::engine(Some(name))));
        Ok(sites)
    }

    /// Refuses to go on unless this user may change the root.
    ///
    /// # Errors
    /// On the running system without root's rights.
    pub fn require_rights(&self) -> Result<(), Error> {
        if self.is_live() && !sys::env::is_root() { Err(Error::NotRoot) } else { Ok(()) }
    }

    /// The keys and the policy that count here.
    ///
    /// # Errors
    /// When a key file or the policy cannot be used.
    pub fn trust(&self) -> Result<(TrustStore, Policy), trust::Error> {
        Ok((TrustStore::load(&self.root, &self.keys)?, Policy::load(&self.root)?))
    }

    /// By what candidates are judged here.
    #[must_use]
    pub fn judge<'b>(&'b self, store: &'b TrustStore, policy: &'b Policy) -> Judge<'b> {
        Judge { store, policy, at: self.now, sink: self.sink }
    }

    /// Opens a candidate as a release whose signatures are accepted.
    ///
    /// # Errors
    /// When it is refused.
    pub fn open(&self, candidate: Candidate) -> Result<Release, anyhow::Error> {
        let (store, policy) = self.trust()?;
        Ok(Release::open(candidate, &self.judge(&store, &policy))?)
    }

    /// What is installed.
    ///
    /// # Errors
    /// When the receipt exists but cannot be read.
    pub fn receipt(&self) -> Result<Option<Receipt>, anyhow::Error> {
        Ok(receipt::read(&self.root, &self.site)?)
    }

    /// Takes the lock, creating the state directory.
    ///
    /// # Errors
    /// When another run holds it.
    pub(super) fn lock(&self) -> Result<Lock, anyhow::Error> {
        self.require_rights()?;
        let state = self.state_dir();
        if let Some(parent) = state.parent() {
            sys::fs::create_dir_all(parent, 0o755)?;
        }
        sys::fs::create_dir_all(&state, 0o700)?;
        make_private(&state)?;
        match Lock::try_take(&self.lock_file())? {
            Attempt::Held(lock) => Ok(lock),
            Attempt::Busy(path) => Err(Error::Busy(path).into()),
        }
    }

    /// Takes the lock, and recovers what an earlier run left.
    ///
    /// # Errors
    /// When another run holds it, or recovery fails.
    pub fn begin_change(&self) -> Result<(Lock, Recovered), anyhow::Error> {
        let lock = self.lock()?;
        sys::fs::create_dir_all(&apply::journal_dir(&self.root, &self.site), 0o700)?;
        // a run begins only when no other is open, so there is one at most
        let (mut recovered, mut sites) = (Recovered::Nothing, Vec::new());
        for site in self.sites()? {
            let result = apply::recover(&self.root, &site, self.sink);
            match result.map_err(|e| Error::Unrecovered(Box::new(e)))? {
                Recovered::Nothing => {}
                other => {
                    recovered = other;
                    sites.push(site);
                }
            }
        }
        record::settle(self, &sites);
        match recovered {
            Recovered::Nothing => {}
            Recovered::Restored => self.sink.note("an earlier run was cut off; what it had done was undone"),
            Recovered::Finished(_) => {
                self.sink.note("an earlier run was cut off after its last step; it is complete now")
            }
        }
        Ok((lock, recovered))
    }

    /// Whether another run is at work right now.
    ///
    /// # Errors
    /// When another run holds the lock.
    pub fn refuse_when_busy(&self) -> Result<(), anyhow::Error> {
        if self.is_busy() { Err(Error::Busy(self.lock_file()).into()) } else { Ok(()) }
    }

    /// Whether another run is at work right now, as far as this user may know.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        // a user who may not look there is told so later, by what needs the rights
        Lock::is_held(&self.lock_file()).unwrap_or(false)
    }

    fn lock_file(&self) -> PathBuf {
        self.state_dir().join("lock")
    }

    /// What a reader needs: no run at work, and none that was cut off. What is there then is neither
    /// old nor new.
    ///
    /// # Errors
    /// When a run is at work or was cut off, or this user may not look there.
    pub fn require_settled(&self) -> Result<(), anyhow::Error> {
        self.refuse_when_busy()?;
        if !self.is_unfinished()? {
            return Ok(());
        }
        self.refuse_when_busy()?; // it may have begun in between
        Err(Error::Unfinished.into())
    }

    /// Whether an earlier run was cut off that changed this installation.
    ///
    /// # Errors
    /// When this user may not look there.
    pub fn is_unfinished(&self) -> Result<bool, anyhow::Error> {
        Ok(Journal::is_open(&apply::journal_dir(&self.root, &self.site))?)
    }

    /// Whether an earlier run has no entry in the evidence record yet.
    #[must_use]
    pub fn is_unrecorded(&self) -> bool {
        record::is_unsettled(self)
    }

    /// Whether an earlier run left something to do: it was cut off, or is not in the evidence record.
    ///
    /// # Errors
    /// When this user may not look there.
    pub fn has_loose_ends(&self) -> Result<bool, anyhow::Error> {
        Ok(self.is_any_unfinished()? || record::has_leftovers(self))
    }

    /// As [`require_approved`], under the lock: that it was refused is recorded.
    ///
    /// # Errors
    /// When it is another plan.
    pub(super) fn require_approved(&self, plan: &Plan, approved: Digest) -> Result<(), Error> {
        require_approved(plan, approved).inspect_err(|_| record::refused(self, plan))
    }

    /// Whether an earlier run was cut off, whichever installation it changed.
    ///
    /// # Errors
    /// When this user may not look there.
    pub fn is_any_unfinished(&self) -> Result<bool, anyhow::Error> {
        for site in self.sites()? {
            if Journal::is_open(&apply::journal_dir(&self.root, &site))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_private() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("state");
        sys::fs::create_dir_all(&path, 0o777).unwrap();
        make_private(&path).unwrap();
        assert_eq!(sys::fs::stat(&path).unwrap().unwrap().mode, 0o700);
        if sys::env::is_root() {
            let other = sys::dir::Ids { uid: 12_345, gid: 12_345 };
            Dir::open(&path).unwrap().set_owner_and_mode(Some(other), 0o700).unwrap();
            let error = make_private(&path).unwrap_err();
            assert!(matches!(error.downcast_ref(), Some(Error::ForeignState(_))), "{error:?}");
        }
    }
}
