//! The borders of the rules. That facts are gathered rightly is shown on machines, by `tests/it/preflight.rs`.

use super::{
    Account, CHECKS, Change, Chosen, Engine, Expected, Facts, Fapolicyd, Holder, Inodes, Kept, Machine,
    Names, Os, Place, Profile, Proxy, Room, Selinux, Status, SubIds, Use, run,
};
use crate::product::Role;

fn place(path: &str, kind: &str, options: &[&str]) -> Place {
    Place {
        path: path.to_owned(),
        store: "1".to_owned(),
        point: "/".to_owned(),
        kind: kind.to_owned(),
        options: options.iter().map(|&option| option.to_owned()).collect(),
        size: 2_000_000_000_000,
        free: 1_000_000_000_000,
        inodes: Inodes { total: 100_000, free: 90_000 },
    }
}

fn room(needed: u64, free: u64) -> Room {
    Room { place: "/srv".to_owned(), needed, free }
}

/// A host on which every check passes that is not skipped.
fn fit() -> Facts {
    let uses = [
        (Use::Tree, "/usr/local/demisto"),
        (Use::Data, "/var/lib/demisto"),
        (Use::State, "/var/lib/demisto-install"),
        (Use::Logs, "/var/log/demisto"),
        (Use::Var, "/var"),
        (Use::Home, "/home"),
        (Use::Docker, "/var/lib/docker"),
        (Use::Temporary, "/tmp"),
    ];
    Facts {
        role: Role::Server,
        profile: Some(Profile::Production),
        expected: Expected::default(),
        os: Some(Os { id: "rhel".into(), version: "8.10".into(), name: "RHEL".into() }),
        account: Some(Account::default()),
        sub_ids: SubIds::default(),
        proxy: Proxy::default(),
        machine: Some(Machine {
            cpus: 16,
            memory_mib: 32_000,
            architecture: "x86_64".into(),
            kernel: "4.18.0-553.el8_10.x86_64".into(),
            systemd: Some(239),
            places: uses.into_iter().map(|(is, path)| (is, place(path, "xfs", &["rw"]))).collect(),
            tree_is_mounted: false,
            selinux: Selinux::Enforcing { containers: true },
            fapolicyd: Fapolicyd::Off,
            umask: 0o022,
            open_files: (524_288, "DefaultLimitNOFILE".into()),
            port: Ok((443, Holder::Nobody)),
            synchronised: Some(true),
            names: Some(Names {
                hostname: "a".into(),
                own: vec!["192.0.2.1".into()],
                localhost: vec!["::1".into()],
            }),
            forwarding: Some(true),
            engines: Some(vec![super::Engine { name: "docker", answer: Some(Ok("26.1".into())) }]),
            engine_type: None,
            git: Some(super::Git::Absent),
            swaps: Vec::new(),
        }),
        names: 10,
        change: Ok(Change {
            offered: "6.14.0".parse().unwrap(),
            installed: Some("6.12.0".parse().unwrap()),
            is_lower: false,
            retained: None,
            refusal: None,
            room: room(1, 2),
            snapshot: Kept::Needs { room: room(1, 2), must: true },
        }),
    }
}

fn status(id: &str, facts: &Facts) -> Status {
    let chosen = Chosen { only: vec![id.to_owned()], skip: Vec::new() };
    let outcomes = run(CHECKS, facts, &chosen);
    assert_eq!(outcomes.len(), 1, "{id}");
    outcomes[0].status
}

/// What a check says of the fit host after a change of it.
fn changed(id: &str, change: impl FnOnce(&mut Facts)) -> Status {
    let mut facts = fit();
    change(&mut facts);
    status(id, &facts)
}

fn on_machine(id: &str, change: impl FnOnce(&mut Machine)) -> Status {
    changed(id, |facts| change(facts.machine.as_mut().unwrap()))
}

#[test]
fn a_fit_host_fails_nothing_and_warns_of_nothing() {
    for outcome in run(CHECKS, &fit(), &Chosen::default()) {
        assert!(matches!(outcome.status, Status::Pass | Status::Skipped), "{outcome:?}");
    }
}

#[test]
fn requirements_of_the_vendor_fail_only_where_somebody_says_what_for() {
    for id in ["cpu-cores", "memory", "disk", "disk-var", "disk-tmp", "os", "container-engine"] {
        let poor = |facts: &mut Facts| {
            let machine = facts.machine.as_mut().unwrap();
            (machine.cpus, machine.memory_mib, machine.engines) = (1, 1, Some(Vec::new()));
            machine.places.iter_mut().for_each(|(_, place)| place.size = 1);
            facts.os = Some(Os { id: "other".into(), ..Os::default() });
        };
        assert_eq!(changed(id, poor), Status::Fail, "{id}");
        let unsaid = |facts: &mut Facts| {
            poor(facts);
            facts.profile = None;
        };
        assert_eq!(changed(id, unsaid), Status::Warn, "{id}");
    }
}

#[test]
fn kernels_and_systems_have_their_borders() {
    for (kernel, wanted) in [
        ("5.1.21", Status::Pass),
        ("5.2.0", Status::Warn),
        ("5.3.14-200.fc30", Status::Warn),
        ("5.3.15", Status::Pass),
        ("5.4.1", Status::Warn),
        ("5.4.2", Status::Pass),
        ("5.5.0-rc1", Status::Pass),
        ("5.14.0-427.el9", Status::Pass),
    ] {
        assert_eq!(on_machine("kernel", |machine| machine.kernel = kernel.into()), wanted, "{kernel}");
    }
    for (id, version, wanted) in [
        ("ubuntu", "18.04", Status::Pass),
        ("ubuntu", "16.04", Status::Fail),
        ("ubuntu", "24.10", Status::Fail),
        ("rhel", "7.9", Status::Fail),
        ("rhel", "10.0", Status::Pass),
        ("rocky", "9.4", Status::Fail),
        ("rocky", "9.6", Status::Pass),
        ("ol", "8.8", Status::Fail),
        ("ol", "8.9", Status::Pass),
        ("ol", "7.9", Status::Pass),
        ("amzn", "2", Status::Pass),
        ("amzn", "2018.03", Status::Fail),
        ("amzn", "2023", Status::Pass),
        ("debian", "12", Status::Fail),
    ] {
        let os = Os { id: id.into(), version: version.into(), name: String::new() };
        assert_eq!(changed("os", |facts| facts.os = Some(os)), wanted, "{id} {version}");
    }
    assert_eq!(on_machine("systemd", |machine| machine.systemd = Some(218)), Status::Fail);
}

#[test]
fn file_systems_are_judged_by_what_they_are_for() {
    let on = |id: &str, is: Use, kind: &str, options: &[&str]| {
        on_machine(id, |machine| {
            machine.places.retain(|(other, _)| *other != is);
            machine.places.push((is, place("/x", kind, options)));
        })
    };
    for (id, is, kind, options, wanted) in [
        ("mount-tree", Use::Tree, "ext4", &["rw", "nosuid"][..], Status::Warn),
        ("mount-tree", Use::Tree, "nfs4", &["rw"], Status::Fail),
        ("mount-tree", Use::Tree, "fuse.sshfs", &["rw"], Status::Fail),
        ("mount-tree", Use::Tree, "vfat", &["rw"], Status::Fail),
        ("mount-tree", Use::Tree, "tmpfs", &["rw"], Status::Warn),
        ("mount-data", Use::Data, "nfs4", &["rw"], Status::Warn),
        ("mount-data", Use::Data, "xfs", &["rw", "noexec"], Status::Warn),
        ("mount-data", Use::Data, "xfs", &["ro"], Status::Fail),
        ("mount-state", Use::State, "nfs", &["rw"], Status::Fail),
        ("mount-logs", Use::Logs, "tmpfs", &["rw"], Status::Warn),
        ("mount-tmp", Use::Temporary, "tmpfs", &["rw", "noexec"], Status::Warn),
        ("mount-tmp", Use::Temporary, "tmpfs", &["rw"], Status::Pass),
    ] {
        assert_eq!(on(id, is, kind, options), wanted, "{id} {kind} {options:?}");
    }
    assert_eq!(on_machine("mount-tree", |machine| machine.tree_is_mounted = true), Status::Fail);
    let names = |total, free| {
        on_machine("inodes", |machine| {
            machine.places.iter_mut().for_each(|(_, place)| place.inodes = Inodes { total, free });
        })
    };
    assert_eq!(names(0, 0), Status::Pass);
    assert_eq!(names(100_000, 109), Status::Fail);
    assert_eq!(names(100_000, 110), Status::Warn);
}

#[test]
fn a_release_is_judged_by_its_way_and_its_room() {
    for (from, to, wanted) in [
        ("6.12.0", "6.14.0", Status::Pass),
        ("6.11.9", "6.14.0", Status::Warn),
        ("6.14.0", "6.14.0", Status::Pass),
        ("6.14.0", "8.0.0", Status::Warn),
    ] {
        let way = |facts: &mut Facts| {
            let change = facts.change.as_mut().unwrap();
            (change.installed, change.offered) = (Some(from.parse().unwrap()), to.parse().unwrap());
        };
        assert_eq!(changed("version-path", way), wanted, "{from} {to}");
    }
    let refused = |facts: &mut Facts| facts.change.as_mut().unwrap().refusal = Some("x".into());
    assert_eq!(changed("version-path", refused), Status::Fail);
    let lower = |retained: Option<&str>| {
        let mut facts = fit();
        let change = facts.change.as_mut().unwrap();
        (change.is_lower, change.retained) = (true, retained.map(str::to_owned));
        let chosen = Chosen { only: vec!["version-path".into()], skip: Vec::new() };
        let outcome = run(CHECKS, &facts, &chosen).remove(0);
        assert_eq!(outcome.status, Status::Fail);
        outcome.fix.unwrap()
    };
    assert!(lower(None).contains("--allow-downgrade") && !lower(None).contains("rollback"));
    assert!(lower(Some("6.12.0-1")).contains("rollback` brings 6.12.0-1 back"));
    let kept =
        |snapshot| changed("space-snapshot", |facts| facts.change.as_mut().unwrap().snapshot = snapshot);
    assert_eq!(kept(Kept::Needs { room: room(3, 2), must: true }), Status::Fail);
    assert_eq!(kept(Kept::Needs { room: room(3, 2), must: false }), Status::Warn);
    let impossible = |must| Kept::Impossible { why: "x".into(), must };
    assert_eq!(kept(impossible(true)), Status::Fail);
    assert_eq!(kept(impossible(false)), Status::Warn);
    assert_eq!(kept(Kept::Unneeded("x".into())), Status::Skipped);
}

#[test]
fn accounts_are_judged_by_number_and_rights() {
    let good = Account {
        uid: Some(997),
        primary: Some(996),
        home: "/home/demisto".into(),
        shell: "/bin/false".into(),
        local: true,
        gid: Some(996),
    };
    let account = |account: Account| changed("account", |facts| facts.account = Some(account));
    assert_eq!(account(good.clone()), Status::Pass);
    assert_eq!(account(Account { shell: "/bin/bash".into(), ..good.clone() }), Status::Warn);
    assert_eq!(account(Account { home: "/srv".into(), ..good.clone() }), Status::Warn);
    assert_eq!(account(Account { local: false, ..good.clone() }), Status::Warn);
    assert_eq!(account(Account { gid: Some(5), ..good.clone() }), Status::Warn);
    assert_eq!(account(Account { primary: Some(0), ..good.clone() }), Status::Fail);
    let expected = |account: &Account, expected: Expected| {
        changed("account-ids", |facts| {
            facts.account = Some(account.clone());
            facts.expected = expected;
        })
    };
    let uid = |uid| Expected { uid: Some(uid), ..Expected::default() };
    assert_eq!(expected(&good, uid(997)), Status::Pass);
    assert_eq!(expected(&good, uid(998)), Status::Fail);
    assert_eq!(expected(&Account::default(), uid(998)), Status::Fail, "the system would choose a number");
    assert_eq!(expected(&Account::default(), Expected::default()), Status::Skipped);
    for (umask, wanted) in
        [(0o022, Status::Pass), (0o002, Status::Pass), (0o027, Status::Warn), (0o077, Status::Warn)]
    {
        assert_eq!(on_machine("umask", |machine| machine.umask = umask), wanted, "{umask:o}");
    }
}

#[test]
fn the_container_engine_that_answers_or_is_named_counts() {
    let engine = |name, answer: Option<bool>| Engine {
        name,
        answer: answer.map(|yes| if yes { Ok("5.0".to_owned()) } else { Err("no".to_owned()) }),
    };
    let podman = |engines: &[Engine], named: Option<&str>| {
        let mut facts = fit();
        let machine = facts.machine.as_mut().unwrap();
        (machine.engines, machine.engine_type) = (Some(engines.to_vec()), named.map(str::to_owned));
        let counts = status("subordinate-ids", &facts) == Status::Fail;
        (counts, status("container-engine", &facts))
    };
    let (docker, dead) = (engine("docker", Some(true)), engine("docker", Some(false)));
    let answering = engine("podman", Some(true));
    assert_eq!(podman(std::slice::from_ref(&answering), None), (true, Status::Pass));
    assert_eq!(podman(&[answering.clone(), dead.clone()], None), (true, Status::Pass));
    assert_eq!(podman(&[engine("podman", Some(false)), docker.clone()], None), (false, Status::Pass));
    assert_eq!(podman(&[engine("podman", None), engine("docker", None)], None), (false, Status::Skipped));
    assert_eq!(podman(&[answering.clone(), dead], Some("docker")), (false, Status::Fail));
    assert_eq!(podman(&[answering, docker], Some("podman")), (true, Status::Pass));
    assert_eq!(podman(&[engine("docker", Some(true))], Some("podman")), (true, Status::Fail));
}

/// Volumes of one device or pool do not make it larger.
#[test]
fn what_lies_on_one_device_counts_once() {
    let disk = |stores: &[&str]| {
        on_machine("disk", |machine| {
            machine.places.iter_mut().zip(stores.iter().cycle()).for_each(|((_, place), store)| {
                (place.size, place.store) = (600_000_000_000, (*store).to_owned());
            });
        })
    };
    assert_eq!(disk(&["zfs tank"]), Status::Fail);
    assert_eq!(disk(&["zfs tank", "/dev/sda2"]), Status::Pass);
}

#[test]
fn a_port_whose_holder_is_hidden_or_that_is_unknown_does_not_fail() {
    assert_eq!(on_machine("port", |machine| machine.port = Ok((443, Holder::Hidden))), Status::Warn);
    assert_eq!(on_machine("port", |machine| machine.port = Err("x".into())), Status::Skipped);
    let other = |machine: &mut Machine| machine.port = Ok((443, Holder::Other("x".into())));
    assert_eq!(on_machine("port", other), Status::Fail);
}

/// Nobody says what the host is for when a release is installed: what is told then never stops it.
#[test]
fn advice_never_fails_without_a_profile() {
    let poor = |facts: &mut Facts| {
        facts.profile = None;
        facts.os = None;
        let machine = facts.machine.as_mut().unwrap();
        machine.kernel = "5.3.1".into();
        machine.selinux = Selinux::Enforcing { containers: false };
        machine.fapolicyd = Fapolicyd::Running { knows: false };
        machine.synchronised = Some(false);
    };
    for id in super::ADVISORY {
        assert!(matches!(changed(id, poor), Status::Warn | Status::Skipped), "{id}");
    }
}
