//! What is known of the host: from `/proc`, `/sys`, `/etc`, and from the tools that a check is about.

use std::path::Path;
use std::time::Duration;

use super::Asked;
use crate::config;
use crate::host::{self, Login, group_id, nearest};
use crate::manifest::Manifest;
use crate::preflight::{
    Account, Engine, Fapolicyd, Git, Holder, Inodes, Machine, Names, Os, Place, Proxy, Selinux, Settings,
    SubIds, Use,
};
use crate::product::{self, Role, SERVICE_USER, under};
use crate::prompt;
use crate::service;
use crate::sys;
use crate::sys::dir::Ids;
use crate::sys::process::{self, Tool};
use crate::types::error_chain;
use crate::workflow::{Session, install};

/// Settings are small; whoever can write them is root.
const LIMIT: u64 = 1 << 20;
/// How long a tool may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where a program that writes finds room: on a disk, as file systems in memory do not take every kind of image.
const ELSEWHERE: &str = "/var/tmp";

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
pub(in crate::workflow) fn os(session: &Session) -> Option<Os> {
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

/// The machine, for what `asked` is about; with what is known of the service's account and of an offered release.
pub(super) fn machine(
    session: &Session,
    role: Role,
    asked: &Asked,
    (account, offered): (Option<&Account>, Option<&Manifest>),
) -> Machine {
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
        places: places(session, asked, account),
        tree_is_mounted: sys::mounts::is_point(Path::new(&tree)).unwrap_or(false),
        selinux: selinux(session),
        fapolicyd: fapolicyd(session),
        umask: sys::init::given_umask().unwrap_or(0o022),
        open_files: open_files(session, facts.systemd && wants("open-files"), offered),
        port: port(session, role, asked),
        synchronised: sys::clock::is_synchronised(),
        names: wants("own-name").then(|| names(&facts.hostname)),
        forwarding: text(session, "/proc/sys/net/ipv4/ip_forward").map(|text| text.trim() != "0"),
        engines: ["container-engine", "subordinate-ids", "disk-containers"]
            .iter()
            .any(|id| wants(id))
            .then(|| engines(account)),
        engine_type: text(session, &session.site.config_file())
            .and_then(|text| config::text(&text, "container.engine.type")),
        git: wants("git").then(git),
        swaps: swaps
            .lines()
            .skip(1)
            .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
            .collect(),
    }
}

/// The account's home, or the one that it will be given.
fn home(account: Option<&Account>) -> String {
    let home = account.filter(|account| account.uid.is_some()).map(|account| account.home.clone());
    home.unwrap_or_else(|| product::DATA_DIR.to_owned())
}

fn places(session: &Session, asked: &Asked, account: Option<&Account>) -> Vec<(Use, Place)> {
    let site = &session.site;
    let mut wanted = vec![
        (Use::Tree, site.tree()),
        (Use::Data, site.data_dir()),
        (Use::State, product::STATE_DIR.to_owned()),
        (Use::Logs, site.log_dir()),
        (Use::Var, "/var".to_owned()),
        (Use::Home, home(account)),
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
    let device = sys::fs::stat(&existing).ok()??.dev;
    Some(Place {
        path,
        store: store(&mount, device),
        point: mount.point.display().to_string(),
        kind: mount.kind,
        options: mount.options,
        size: space.size,
        free: space.free,
        inodes: Inodes { total: space.names, free: space.free_names },
    })
}

/// Volumes of Btrfs and ZFS have numbers of their own: what tells that they share their bytes is the device, or the
/// pool.
fn store(mount: &sys::mounts::Mount, device: u64) -> String {
    match (mount.kind.as_str(), mount.source.split('/').next()) {
        ("zfs", Some(pool)) => format!("zfs {pool}"),
        ("btrfs", _) => mount.source.clone(),
        _ => device.to_string(),
    }
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

/// What the service may have open: by its installed unit, by that of the offered release, or by what holds for all
/// units; where systemd is not there, whoever starts it says so.
fn open_files(session: &Session, systemd: bool, offered: Option<&Manifest>) -> (u64, String) {
    let ours = || (sys::env::open_files(), "this program's own limit".to_owned());
    if !systemd {
        return ours();
    }
    let unit = session.site.unit();
    let installed = || {
        let properties = service::properties(&unit, &["LimitNOFILE"]).ok()??;
        Some((limit(properties.get("limitnofile")?)?, format!("LimitNOFILE of {unit}")))
    };
    let of_release = || {
        offered?.units.iter().find_map(|unit| {
            let set = |line: &str| limit(line.trim().strip_prefix("LimitNOFILE")?);
            Some((
                unit.text.lines().filter_map(set).next_back()?,
                format!("LimitNOFILE of {} in FILE", unit.name),
            ))
        })
    };
    let all = || {
        let tool = Tool::system("systemctl").ok()?.args(["show", "--property", "DefaultLimitNOFILE"]);
        Some((limit(&tool.timeout(PATIENCE).check().ok()?.text())?, "DefaultLimitNOFILE".to_owned()))
    };
    installed().or_else(of_release).or_else(all).unwrap_or_else(ours)
}

/// A limit as systemd writes it, after `=`: one number, or a soft and a hard one, which is what counts.
fn limit(text: &str) -> Option<u64> {
    let hard = text.trim().rsplit(['=', ':']).next()?;
    if hard == "infinity" { Some(u64::MAX) } else { hard.parse().ok() }
}

/// A server listens on the port of its configuration; an engine only if somebody says so.
fn port(session: &Session, role: Role, asked: &Asked) -> Result<(u16, Holder), String> {
    let port = match (asked.port, role) {
        (Some(port), _) => port,
        (None, Role::Server) => install::port_set(session)
            .map_err(|why| format!("the port is unknown: {why}; give --port"))?
            .unwrap_or(prompt::DEFAULT_PORT),
        (None, Role::Engine) => {
            return Err("an engine listens only if its configuration says so: give --port".to_owned());
        }
    };
    let holder = match sys::net::listening_on(port) {
        None => Holder::Nobody,
        Some(None) if !sys::env::is_root() => Holder::Hidden,
        Some(Some(holder))
            if holder.program_here().is_some_and(|path| path.starts_with(product::INSTALL_DIR)) =>
        {
            Holder::Product(format!("{} (pid {})", holder.name, holder.pid))
        }
        Some(_) => Holder::Other(install::port_in_use(port).unwrap_or_default()),
    };
    Ok((port, holder))
}

fn names(hostname: &str) -> Names {
    let look_up = |name| sys::net::resolve(name).iter().map(ToString::to_string).collect();
    Names { hostname: hostname.to_owned(), own: look_up(hostname), localhost: look_up("localhost") }
}

/// Asks each container engine of the host for its version, as the service's account if that is there.
fn engines(account: Option<&Account>) -> Vec<Engine> {
    let login = account.and_then(|account| Some((account, Ids { uid: account.uid?, gid: account.primary? })));
    let login = login.filter(|_| sys::env::is_root());
    let mut engines: Vec<Engine> = Vec::new();
    for (file, path) in ["podman", "docker"].into_iter().filter_map(|name| Some((name, process::find(name)?)))
    {
        // with podman-docker the file `docker` is Podman, too
        let name = if file == "docker" && !is_podman(&path) { "docker" } else { "podman" };
        if engines.iter().all(|engine| engine.name != name) {
            let answer = login.map(|(account, ids)| match name {
                "docker" => ask(as_service(), &path, &["version", "--format", "{{.Server.Version}}"]),
                _ => podman(&path, &account.home, ids),
            });
            engines.push(Engine { name, answer });
        }
    }
    engines
}

fn is_podman(docker: &Path) -> bool {
    let told = Tool::new(docker).arg("--version").timeout(PATIENCE).run();
    told.is_ok_and(|output| output.text().to_ascii_lowercase().contains("podman"))
}

fn as_service() -> Result<Tool, String> {
    let tool = Tool::system("runuser").map_err(|error| error_chain(&error))?;
    Ok(tool.args(["-u", SERVICE_USER, "--"]))
}

/// Rootless Podman makes its directories in the home of whoever calls it, asks rpm, which does the same, and leaves a
/// process behind. So it gets another home and processes of its own for this question; whether it can write to the
/// account's is another.
fn podman(path: &Path, home: &str, ids: Ids) -> Result<String, String> {
    ask(as_service(), Path::new("/usr/bin/test"), &["-w", home]).map_err(|_| {
        format!("{home}, where it would keep images, is not there, or the account cannot write to it")
    })?;
    let other = sys::fs::Throwaway::new(Path::new(ELSEWHERE), ids).map_err(|error| error_chain(&error))?;
    let other = other.path();
    let tool = Tool::system("unshare").map_err(|error| error_chain(&error))?;
    let tool = tool.args(["--mount", "--pid", "--fork", "--mount-proc", "--"]);
    let runuser = process::find("runuser").ok_or("runuser is not here")?;
    let tool = tool.arg(runuser).args(["-u", SERVICE_USER, "--", "/usr/bin/env"]);
    // runuser sets HOME itself
    let homes = ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "TMPDIR"];
    let tool = tool.args(homes.map(|name| format!("{name}={}", other.display())));
    ask(Ok(tool), path, &["info", "--format", "{{.Version.Version}}"])
}

/// What a program says: the first line of its answer, or the last one of its complaints.
fn ask(tool: Result<Tool, String>, path: &Path, question: &[&str]) -> Result<String, String> {
    let output = tool?.arg(path).args(question).timeout(PATIENCE).run();
    let output = output.map_err(|error| error_chain(&error))?;
    let (stdout, stderr) = (output.text(), String::from_utf8_lossy(&output.stderr).into_owned());
    let lines = |text: &str| {
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
    };
    let (answer, complaint): (Vec<String>, Vec<String>) = (lines(&stdout), lines(&stderr));
    if output.status.success() {
        Ok(answer.into_iter().next().unwrap_or_default())
    } else {
        Err(complaint.into_iter().next_back().unwrap_or_else(|| "it says nothing".to_owned()))
    }
}

fn git() -> Git {
    let Some(path) = process::find("git") else { return Git::Absent };
    match Tool::new(path).arg("--version").timeout(PATIENCE).check() {
        Ok(output) => Git::Version(output.text().trim().trim_start_matches("git version ").to_owned()),
        Err(error) => Git::Broken(error_chain(&error)),
    }
}
