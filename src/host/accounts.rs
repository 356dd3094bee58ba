use std::path::Path;

use users::os::unix::UserExt as _;
use users::{get_group_by_gid, get_group_by_name, get_user_by_name, get_user_by_uid};

use crate::product::under;
use crate::sys::{self, dir::Ids};

/// The service's account and group, as the root's own account database has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accounts {
    /// User id.
    pub uid: Option<u32>,
    /// Group id.
    pub gid: Option<u32>,
}

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
const LIMIT: u64 = 64 << 20;

impl Accounts {
    /// Looks `name` up: on the running system through NSS, in another root in its own files.
    ///
    /// # Errors
    /// When the other root's files exist but cannot be read, or a number is root's.
    pub fn look_up(root: &Path, name: &str) -> sys::Result<Self> {
        if root == Path::new("/") {
            let uid = get_user_by_name(name).map(|user| user.uid());
            return Self { uid, gid: get_group_by_name(name).map(|group| group.gid()) }.harmless(root);
        }
        Self { uid: field(root, PASSWD, name)?, gid: field(root, GROUP, name)? }.harmless(root)
    }

    /// Refuses root's numbers: a service that runs with them would be root under another name.
    fn harmless(self, root: &Path) -> sys::Result<Self> {
        for (id, file) in [(self.uid, PASSWD), (self.gid, GROUP)] {
            if id == Some(0) {
                return Err(sys::Error::rule("use the account", &under(root, file), "it has root's number"));
            }
        }
        Ok(self)
    }

    /// Both, if both exist.
    #[must_use]
    pub fn ids(&self) -> Option<Ids> {
        self.uid.zip(self.gid).map(|(uid, gid)| Ids { uid, gid })
    }
}

/// A user as the account database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// User id.
    pub uid: u32,
    /// The id of the user's first group.
    pub gid: u32,
    /// Its home.
    pub home: String,
    /// Its login shell.
    pub shell: String,
    /// Whether it is in the root's own file, and not in a directory service only.
    pub local: bool,
}

impl Login {
    /// Looks `name` up: on the running system through NSS, in another root in its own file.
    #[must_use]
    pub fn look_up(root: &Path, name: &str) -> Option<Self> {
        let local = line(root, PASSWD, name);
        if root == Path::new("/") {
            let user = get_user_by_name(name)?;
            return Some(Self {
                uid: user.uid(),
                gid: user.primary_group_id(),
                home: user.home_dir().to_string_lossy().into_owned(),
                shell: user.shell().to_string_lossy().into_owned(),
                local: local.is_some(),
            });
        }
        let line = local?;
        let mut fields = line.split(':').skip(2);
        let mut number = || fields.next()?.parse().ok();
        let (uid, gid) = (number()?, number()?);
        let mut text = || fields.next().unwrap_or_default().to_owned();
        text(); // the person's name
        Some(Self { uid, gid, home: text(), shell: text(), local: true })
    }
}

/// The number of a group, as [`Login::look_up`] finds it.
#[must_use]
pub fn group_id(root: &Path, name: &str) -> Option<u32> {
    if root == Path::new("/") {
        return get_group_by_name(name).map(|group| group.gid());
    }
    line(root, GROUP, name)?.split(':').nth(2)?.parse().ok()
}

/// Who has a user's number.
#[must_use]
pub fn user_of(root: &Path, uid: u32) -> Option<String> {
    if root == Path::new("/") {
        return get_user_by_uid(uid).map(|user| user.name().to_string_lossy().into_owned());
    }
    name_of(root, PASSWD, uid)
}

/// Which group has a number.
#[must_use]
pub fn group_of(root: &Path, gid: u32) -> Option<String> {
    if root == Path::new("/") {
        return get_group_by_gid(gid).map(|group| group.name().to_string_lossy().into_owned());
    }
    name_of(root, GROUP, gid)
}

/// `name`'s line of one of the files.
fn line(root: &Path, file: &str, name: &str) -> Option<String> {
    let bytes = sys::fs::read_beneath(root, file, LIMIT).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    text.lines().find(|line| line.split(':').next() == Some(name)).map(str::to_owned)
}

/// The names of an owner with a colon between them, as the root's own account database has them; numbers
/// where it has none.
#[must_use]
pub fn owner(root: &Path, ids: Ids) -> String {
    let (user, group) = (user_of(root, ids.uid), group_of(root, ids.gid));
    let word = |name: Option<String>, id: u32| name.unwrap_or_else(|| id.to_string());
    format!("{}:{}", word(user, ids.uid), word(group, ids.gid))
}

fn name_of(root: &Path, file: &str, id: u32) -> Option<String> {
    let bytes = sys::fs::read_beneath(root, file, LIMIT).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let is_it = |line: &&str| line.split(':').nth(2).is_some_and(|field| field.parse() == Ok(id));
    Some(text.lines().find(is_it)?.split(':').next()?.to_owned())
}

/// The third field of `name`'s line (passwd(5), group(5)).
fn field(root: &Path, file: &str, name: &str) -> sys::Result<Option<u32>> {
    let bytes = match sys::fs::read_beneath(root, file, LIMIT) {
        Err(e) if e.is_not_found() => return Ok(None),
        other => other?,
    };
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().find(|line| line.split(':').next() == Some(name));
    Ok(line.and_then(|line| line.split(':').nth(2)).and_then(|id| id.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_root_has_its_own_accounts() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Accounts::look_up(root.path(), "demisto").unwrap(), Accounts::default());
        sys::fs::create_dir_all(&root.path().join("etc"), 0o755).unwrap();
        let write = |name: &str, text: &str| {
            sys::fs::write_atomic(&root.path().join("etc").join(name), text.as_bytes(), 0o644).unwrap();
        };
        write("passwd", "root:x:0:0::/root:/bin/sh\ndemisto:x:993:992::/var/lib/demisto:/usr/sbin/nologin\n");
        write("group", "demistox:x:1:\ndemisto:x:992:\n");
        let found = Accounts::look_up(root.path(), "demisto").unwrap();
        assert_eq!(found.ids(), Some(Ids { uid: 993, gid: 992 }));
        let login = Login::look_up(root.path(), "demisto").unwrap();
        assert_eq!((login.uid, login.gid, login.home.as_str()), (993, 992, "/var/lib/demisto"));
        assert_eq!((login.shell.as_str(), login.local), ("/usr/sbin/nologin", true));
        assert_eq!(group_id(root.path(), "demisto"), Some(992));
        assert_eq!(Login::look_up(Path::new("/"), "root").unwrap().uid, 0);
        assert_eq!(owner(root.path(), Ids { uid: 993, gid: 992 }), "demisto:demisto");
        assert_eq!(owner(root.path(), Ids { uid: 0, gid: 7 }), "root:7");
        write("group", "demisto:x:0:\n");
        assert!(Accounts::look_up(root.path(), "demisto").is_err());
        write("group", "demisto:x:992:\n");
        write("passwd", "demisto:x:0:992::/:/bin/sh\n");
        assert!(Accounts::look_up(root.path(), "demisto").is_err());
    }
}
