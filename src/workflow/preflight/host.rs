//! What is known of the host: from `/proc`, `/sys`, `/etc`, and from the tools that a check is about.

use std::path::Path;
use std::time::Duration;

use super::Asked;
use crate::host::{self, Login, group_id, nearest};
use crate::preflight::{
    Account, Engine, Fapolicyd, Git, Holder, Inodes, Machine, Names, Os, Place, Proxy, Selinux, Settings,
    SubIds, Use,
};
use crate::product::{self, Role, SERVICE_USER, under};
use crate::prompt;
use crate::sys;
use crate::sys::process::{self, Tool};
use crate::workflow::{Session, install};

/// Settings are small; whoever can write them is root.
const LIMIT: u64 = 1 << 20;
/// How long a tool may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The text of a file of the root; nothing where it cannot be read.
fn text(session: &Session, path: &str) -> Option<String> {
    let bytes = match session.is_live() {
        true => sys::fs::read_limited(Path::new(path), LIMIT),
        false => sys::fs::read_beneath(&session.root, path, LIMIT), // a link there would lead into this host
    };
    bytes.ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The files in a directory of the root whose names end so.
fn files_in(session: &Session, dir: &str, ending: &str) -> Vec<String> {
    let names = sys::fs::list(&under(&session.root, dir)).unwrap_or_default();
    names.into_iter().filter(|name| name.ends_with(ending)).map(|name| format!("{dir}/{name}")).collect()
}

/// os-release(5): /etc/os-release is a link to the other in most systems.
pub(super) fn os(session: &Session) -> Option<Os> {
    let text = ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|path| text(session, path))?;
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned()
    };
    let (id, version) = (field("ID").to_ascii_lowercase(), field("VERSION_ID"));
    let name = Some(field("PRETTY_NAME")).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| format!("{id} {version}"));
    Some(Os { id, version, name })
}

pub(super) fn account(root: &Path) -> Option<Account> {
    if !sys::fs::is_file(&under(root, "/etc/passwd")) {
        return None;
    }
    let gid = group_id(root, SERVICE_USER);
    let Some(login) = Login::look_up(root, SERVICE_USER) else {
        return Some(Account { gid, ..Account::default() });
    };
    let (uid, primary) = (Some(login.uid), Some(login.gid));
    Some(Account { uid, primary, home: login.home, shell: login.shell, local: login.local, gid })
}

pub(super) fn sub_ids(session: &Session, account: Option<&Account>) -> SubIds {
    let number = account.and_then(|account| account.uid).map(|uid| uid.to_string());
    let count = |path: &str| {
        let text = text(session, path).unwrap_or_default();
        let of = |line: &str| {
            let mut fields = line.split(':');
            let who = fields.next()?;
            let ours = who == SERVICE_USER || Some(who) == number.as_deref();
            ours.then(|| fields.nth(1)?.trim().parse::<u64>().ok()).flatten()
        };
        text.lines().filter_map(of).fold(0, u64::saturating_add)
    };
    SubIds { users: count("/etc/subuid"), groups: count("/etc/subgid") }
}

pub(super) fn proxy(session: &Session) -> Proxy {
    let read = |path: &String| text(session, path).map(|text| Proxy::read(&text)).unwrap_or_default();
    let mut profile: Settings = read(&"/etc/profile".to_owned());
    files_in(session, "/etc/profile.d", ".sh").iter().for_each(|file| profile.extend(read(file)));
    Proxy { environment: read(&"/etc/environment".to_owned()), profile }
}

pub(super) fn machine(session: &Session, role: Role, asked: &Asked, account: Option<&Account>) -> Machine {
    let wants = |id: &str| asked.chosen.runs(id);
    let facts = host::facts();
    let (kernel, architecture) = sys::env::kernel();
    let swaps = text(session, "/proc/swaps").unwrap_or_default();
    let tree = session.site.tree();
    Machine {
        cpus: facts.cpus,
        memory_mib: facts.memory_mib,
        architecture,
        kernel,
        systemd: facts.systemd.then(|| if wants("systemd") { systemd_version() } else { 0 }),
        places: places(session, asked),
        tree_is_mounted: sys::mounts::is_point(Path::new(&tree)).unwrap_or(false),
        selinux: selinux(session),
        fapolicyd: fapolicyd(session),
        umask: sys::init::given_umask().unwrap_or(0o022),
        open_files: open_files(facts.systemd && wants("open-files")),
        port: port(session, role, asked),
        synchronised: sys::clock::is_synchronised(),
        names: wants("own-name").then(|| names(&facts.hostname)),
        forwarding: text(session, "/proc/sys/net/ipv4/ip_forward").map(|text| text.trim() != "0"),
        engines: ["container-engine", "subordinate-ids", "disk-containers"]
            .iter()
            .any(|id| wants(id))
            .then(|| engines(wants("container-engine"), account)),
        git: wants("git").then(git),
        swaps: swaps
            .lines()
            .skip(1)
            .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
            .collect(),
    }
}

fn places(session: &Session, asked: &Asked) -> Vec<(Use, Place)> {
    let site = &session.site;
    let mut wanted = vec![
        (Use::Tree, site.tree()),
        (Use::Data, site.data_dir()),
        (Use::State, product::STATE_DIR.to_owned()),
        (Use::Logs, site.log_dir()),
        (Use::Var, "/var".to_owned()),
        (Use::Home, "/home".to_owned()),
        (Use::Docker, "/var/lib/docker".to_owned()),
        (Use::Temporary, "/tmp".to_owned()),
    ];
    if let Some(file) = &asked.file {
        let file = sys::fs::canonical(file).unwrap_or_else(|_| file.clone());
        wanted.push((Use::Payload, file.display().to_string()));
    }
    wanted.into_iter().filter_map(|(is, path)| Some((is, place(path)?))).collect()
}

fn place(path: String) -> Option<Place> {
    let existing = nearest(Path::new(&path));
    let existing = sys::fs::canonical(&existing).ok()?;
    let (mount, space) = (sys::mounts::of(&existing).ok()?, sys::fs::space(&existing).ok()?);
    Some(Place {
        path,
        device: sys::fs::stat(&existing).ok()??.dev,
        point: mount.point.display().to_string(),
        kind: mount.kind,
        options: mount.options,
        size: space.size,
        free: space.free,
        inodes: Inodes { total: space.names, free: space.free_names },
    })
}

/// Where the rules of the package container-selinux are.
const CONTAINER_RULES: [&str; 4] = [
    "/usr/share/selinux/packages/container.pp.bz2",
    "/usr/share/selinux/packages/container.pp",
    "/var/lib/selinux/targeted/active/modules/200/container",
    "/etc/selinux/targeted/active/modules/200/container",
];

fn selinux(session: &Session) -> Selinux {
    match text(session, "/sys/fs/selinux/enforce").as_deref().map(str::trim) {
        None => Selinux::Off,
        Some("1") => {
            Selinux::Enforcing { containers: CONTAINER_RULES.iter().any(|path| Path::new(path).exists()) }
        }
        Some(_) => Selinux::Permissive,
    }
}

fn fapolicyd(session: &Session) -> Fapolicyd {
    if !process::is_running("fapolicyd") {
        return Fapolicyd::Off;
    }
    let mut files = files_in(session, "/etc/fapolicyd/rules.d", ".rules");
    files.extend(files_in(session, "/etc/fapolicyd/trust.d", ""));
    files.extend(["/etc/fapolicyd/fapolicyd.rules", "/etc/fapolicyd/fapolicyd.trust"].map(str::to_owned));
    let names = |path: &String| {
        let text = text(session, path).unwrap_or_default();
        text.lines().any(|line| !line.trim_start().starts_with('#') && line.contains(product::INSTALL_DIR))
    };
    Fapolicyd::Running { knows: files.iter().any(names) }
}

/// The number after `systemd` in the first line of `systemctl --version`; 0 where it does not say.
fn systemd_version() -> u32 {
    let told = Tool::system("systemctl").and_then(|tool| tool.arg("--version").timeout(PATIENCE).check());
    let told = told.map(|output| output.text()).unwrap_or_default();
    told.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// What services may have open; that is systemd's to say, and where it is not there, whoever starts them.
fn open_files(systemd: bool) -> u64 {
    let told = || {
        let show = ["show", "--property=DefaultLimitNOFILE", "--value"];
        let output = Tool::system("systemctl").ok()?.args(show).timeout(PATIENCE).check().ok()?;
        let text = output.text();
        if text.trim() == "infinity" { Some(u64::MAX) } else { text.trim().parse().ok() }
    };
    systemd.then(told).flatten().unwrap_or_else(sys::env::open_files)
}

/// A server listens on the port of its configuration; an engine only if somebody says so.
fn port(session: &Session, role: Role, asked: &Asked) -> Option<(u16, Holder)> {
    let configured = || match role {
        Role::Server => Some(install::configured_port(session).unwrap_or(prompt::DEFAULT_PORT)),
        Role::Engine => None,
    };
    let port = asked.port.or_else(configured)?;
    let holder = match sys::net::listening_on(port) {
        None => Holder::Nobody,
        Some(Some(holder)) if holder.program().is_some_and(|path| path.starts_with(product::INSTALL_DIR)) => {
            Holder::Product(format!("{} (pid {})", holder.name, holder.pid))
        }
        Some(_) => Holder::Other(install::port_in_use(port).unwrap_or_default()),
    };
    Some((port, holder))
}

fn names(hostname: &str) -> Names {
    let look_up = |name| sys::net::resolve(name).iter().map(ToString::to_string).collect();
    Names { hostname: hostname.to_owned(), own: look_up(hostname), localhost: look_up("localhost") }
}

/// Asks each container engine of the host for its version, as the service's account if that is there.
fn engines(ask: bool, account: Option<&Account>) -> Vec<Engine> {
    let questions: [(&'static str, [&str; 3]); 2] = [
        ("docker", ["version", "--format", "{{.Server.Version}}"]),
        ("podman", ["info", "--format", "{{.Version.Version}}"]),
    ];
    let account = account.filter(|account| ask && account.uid.is_some() && sys::env::is_root());
    let found = questions.into_iter().filter_map(|(name, question)| {
        let path = process::find(name)?;
        let answer = account.map(|account| answer(&path, &question, &account.home));
        Some(Engine { name, answer })
    });
    found.collect()
}

fn answer(path: &Path, question: &[&str], home: &str) -> Result<String, String> {
    let tool = Tool::system("runuser").map_err(|error| error.to_string())?;
    let tool = tool.args(["-u", SERVICE_USER, "--"]).arg(path).args(question).env("HOME", home);
    let output = tool.timeout(PATIENCE).run().map_err(|error| crate::types::error_chain(&error))?;
    let first = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
    };
    let last = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it says nothing").to_owned()
    };
    if output.status.success() { Ok(first(&output.stdout)) } else { Err(last(&output.stderr)) }
}

fn git() -> Git {
    let Some(path) = process::find("git") else { return Git::Absent };
    match Tool::new(path).arg("--version").timeout(PATIENCE).check() {
        Ok(output) => Git::Version(output.text().trim().trim_start_matches("git version ").to_owned()),
        Err(error) => Git::Broken(crate::types::error_chain(&error)),
    }
}
