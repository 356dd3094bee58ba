//! Every field against what rpm says.

use std::fmt::Write as _;

use demisto_install::archive::Method;
use demisto_install::rpmfile::{Dependency, Error, File, Kind, Package, Scriptlet, When, carrier};

use crate::support::package::build;

use super::{Path, contents, envelope, file, package, query, sample};

const FIELDS: &str = "%{NAME}|%|EPOCH?{%{EPOCH}}:{}||%{VERSION}|%{RELEASE}|%{ARCH}|%{OS}|%{SUMMARY}|%|VENDOR?{%{VENDOR}}|\
    |%{LICENSE}|%{BUILDTIME}|%|PAYLOADCOMPRESSOR?{%{PAYLOADCOMPRESSOR}}:{none}|\n";

const FILES: &str = "[%{FILENAMES}|%{FILEMODES:octal}|%{FILEUSERNAME}|%{FILEGROUPNAME}|%{FILEMTIMES}|%{FILEFLAGS}|\
    %{FILEVERIFYFLAGS}|%{LONGFILESIZES}|%{FILEDIGESTS}|%{FILELINKTOS}|%{FILENLINKS}|%{FILECAPS}\n]";

fn fields(package: &Package) -> String {
    let epoch = package.epoch.map(|epoch| epoch.to_string()).unwrap_or_default();
    format!(
        "{}|{epoch}|{}|{}|{}|{}|{}|{}|{}|{}|{}\n",
        package.name,
        package.version,
        package.release,
        package.arch,
        package.os,
        package.summary,
        package.vendor,
        package.license,
        package.build_time,
        package.payload.method
    )
}

/// A line of `FILES`; what rpm says about ghosts is not kept, so those come without size and digest.
fn line(files: &[File], file: &File) -> String {
    let (kind, size, digest, target) = match &file.kind {
        Kind::File { size, sha256 } => (0o100_000, size.to_string(), sha256.to_string(), ""),
        Kind::Ghost => (0o100_000, "*".to_owned(), "*".to_owned(), ""),
        Kind::Dir => (0o040_000, "*".to_owned(), String::new(), ""),
        Kind::Symlink { target } => (0o120_000, target.len().to_string(), String::new(), target.as_str()),
    };
    let links =
        file.hard_link.map_or(1, |set| files.iter().filter(|file| file.hard_link == Some(set)).count());
    format!(
        "{}|{:o}|{}|{}|{}|{}|{}|{size}|{digest}|{target}|{links}|{}",
        file.path,
        kind | file.mode,
        file.user,
        file.group,
        file.mtime,
        file.flags.bits(),
        file.verify_flags,
        file.capabilities.as_deref().unwrap_or_default()
    )
}

/// Holds a package against what rpm says of it.
fn compare(path: &Path) -> Package {
    let bytes = std::fs::read(path).unwrap();
    let package = package(&bytes);
    assert_eq!(fields(&package), query(path, &["--qf", FIELDS]));
    let said = query(path, &["--qf", FILES]);
    let said: Vec<&str> = said.lines().filter(|line| *line != "(contains no files)").collect();
    assert_eq!(said.len(), package.files.len());
    for (file, said) in package.files.iter().zip(said) {
        let mut said: Vec<&str> = said.split('|').collect();
        if matches!(file.kind, Kind::Ghost | Kind::Dir) {
            said[7] = "*";
        }
        if file.kind == Kind::Ghost {
            said[8] = "*";
        }
        if said[11] == "(none)" {
            said[11] = "";
        }
        assert_eq!(line(&package.files, file), said.join("|"));
    }
    for (name, all) in [
        ("REQUIRE", &package.requires),
        ("PROVIDE", &package.provides),
        ("CONFLICT", &package.conflicts),
        ("OBSOLETE", &package.obsoletes),
    ] {
        let format = format!("[%{{{name}NAME}}|%{{{name}FLAGS}}|%{{{name}VERSION}}\n]");
        let mut shown = String::new();
        for Dependency { name, flags, version } in all {
            let _ = writeln!(shown, "{name}|{flags}|{version}");
        }
        let said = query(path, &["--qf", &format]).replace("(none)|(none)|(none)\n", "");
        assert_eq!(shown, said, "{name}");
    }
    package
}

#[test]
fn every_field_is_as_rpm_says() {
    let dir = tempfile::tempdir().unwrap();
    let methods = [Method::Gzip, Method::Xz, Method::Zstd, Method::Bzip2, Method::None];
    let mut first = None;
    for (payload, method) in sample::PAYLOADS.into_iter().zip(methods) {
        let path = sample::everything(dir.path(), payload);
        let package = compare(&path);
        assert_eq!((package.payload.method, package.payload.large, package.format), (method, false, 4));
        let found = contents(&std::fs::read(&path).unwrap());
        let first = first.get_or_insert_with(|| found.clone());
        assert_eq!(*first, found, "{payload}");
    }
}

#[test]
fn every_kind_of_file_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(sample::everything(dir.path(), "w1.gzdio")).unwrap();
    let package = package(&bytes);
    let flags = |path: &str| file(&package, path).flags;
    assert!(flags("/etc/sample.d/kept.conf").is_config() && flags("/etc/sample.d/kept.conf").is_noreplace());
    assert!(
        flags("/etc/sample.d/replaced.conf").is_config()
            && !flags("/etc/sample.d/replaced.conf").is_noreplace()
    );
    assert_eq!(flags("/etc/sample.d/replaced.conf").bits() & 8, 8, "%config(missingok)");
    assert!(flags("/usr/local/demisto/LICENSE").is_license());
    assert_eq!(flags("/usr/local/demisto/doc").bits(), 2, "%doc");
    assert_eq!(file(&package, "/etc/sample.d/ghost").kind, Kind::Ghost);
    assert_eq!(file(&package, "/var/log").kind, Kind::Dir);
    assert!(flags("/var/log").is_ghost() && flags("/var/log/sample.log").is_ghost());
    assert_eq!(file(&package, "/usr/local/demisto/empty").mode, 0o1777);
    assert_eq!(
        file(&package, "/usr/local/demisto/big").capabilities.as_deref(),
        Some("cap_net_bind_service=ep")
    );
    let target = "../local/demisto/server".to_owned();
    assert_eq!(file(&package, "/usr/link").kind, Kind::Symlink { target });

    // The three names of one file: the content comes under the last.
    let at = |path: &str| package.files.iter().position(|file| file.path == path).unwrap();
    let names =
        ["a-first-name", "server", "server-again"].map(|name| at(&format!("/usr/local/demisto/{name}")));
    assert_eq!(names.map(|index| carrier(&package.files, index)), [names[2]; 3]);
    assert_eq!(carrier(&package.files, at("/usr/link")), at("/usr/link"));
    let found = contents(&bytes);
    assert_eq!(found[names[2]].as_deref(), Some(b"program\n".as_slice()));
    assert_eq!((&found[names[0]], &found[names[1]]), (&None, &None));
}

#[test]
fn every_scriptlet_is_as_rpm_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = sample::everything(dir.path(), "w1.gzdio");
    let package = package(&std::fs::read(&path).unwrap());
    let shown: Vec<(When, String, &str)> = package
        .scriptlets
        .iter()
        .map(|Scriptlet { when, interpreter, body, .. }| (*when, interpreter.join(" "), body.as_str()))
        .collect();
    let sh = |when, body| (when, "/bin/sh".to_owned(), body);
    assert_eq!(
        shown,
        [
            (When::PreTrans, "<lua>".to_owned(), "print(\"before all\")"),
            sh(When::Pre, "echo pre \"$1\""),
            (When::Post, "/bin/true".to_owned(), ""),
            (When::PreUn, "/bin/sh -e".to_owned(), "echo preun"),
            sh(When::PostUn, "echo postun"),
            sh(When::PostTrans, "echo posttrans"),
            sh(When::Verify, "echo verify"),
            sh(When::Trigger, "echo trigger one"),
            (When::Trigger, "/bin/true".to_owned(), ""),
            sh(When::FileTrigger, "echo file trigger"),
            (When::TransFileTrigger, "<lua>".to_owned(), "print(\"trans file trigger\")"),
        ]
    );
    let conditions: Vec<Vec<String>> = package
        .scriptlets
        .iter()
        .filter(|scriptlet| !scriptlet.conditions.is_empty())
        .map(|scriptlet| {
            scriptlet.conditions.iter().map(|one| format!("{} {}", one.name, one.version)).collect()
        })
        .collect();
    assert_eq!(
        conditions,
        [vec!["bash 4", "zsh "], vec!["dash "], vec!["/usr/lib/systemd "], vec!["/etc/a ", "/etc/b "]]
    );
    let said = query(&path, &["--scripts", "--triggers", "--filetriggers"]);
    for (_, _, body) in shown {
        assert!(said.contains(body), "{body} in {said}");
    }
}

#[test]
fn a_package_without_files_or_scripts_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let spec = "Name: none\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\nAutoReqProv: no\n%description\n%files\n";
    let path = build(dir.path(), spec, "w1.gzdio");
    let package = compare(&path);
    assert!(package.files.is_empty() && package.scriptlets.is_empty());
    assert!(contents(&std::fs::read(&path).unwrap()).is_empty());
}

#[test]
fn what_has_no_place_in_a_release_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (make, line, why) in [
        ("", "%dev(c, 1, 3) /opt/null", "device"),
        ("", "%dev(b, 8, 0) /opt/disk", "device"),
        (": >opt/x", "%attr(4755, root, root) /opt/x", "set-uid"),
        (": >opt/x", "%attr(2755, root, root) /opt/x", "set-uid"),
        ("mkdir opt/x", "%dir %attr(2775, root, root) /opt/x", "set-uid"),
        ("mkfifo opt/x", "/opt/x", "fifo"),
    ] {
        let path = sample::one(dir.path(), make, line);
        let bytes = std::fs::read(path).unwrap();
        let error = Package::parse(envelope(&bytes).header()).unwrap_err();
        assert!(matches!(&error, Error::File { why: said, .. } if said.contains(why)), "{line}: {error}");
    }
}

#[test]
fn a_source_package_and_an_old_digest_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let spec = "Name: s\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\n%description\n%files\n";
    build(dir.path(), spec, "w1.gzdio");
    let top = dir.path().join("build");
    super::run(
        super::Command::new("/usr/bin/rpmbuild")
            .env("HOME", &top)
            .args(["-bs", "--define", &format!("_topdir {}", top.display())])
            .arg(top.join("package.spec")),
    );
    let source = std::fs::read(top.join("SRPMS/s-1-1.src.rpm")).unwrap();
    let error = super::try_envelope(&source).unwrap_err();
    assert!(matches!(error, Error::Unsupported("it is a source package")), "{error}");
    let mut disguised = source;
    disguised[7] = 0;
    let error = Package::parse(envelope(&disguised).header()).unwrap_err();
    assert!(matches!(error, Error::Unsupported("it is a source package")), "{error}");

    let spec = "Name: m\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\n%global _binary_filedigest_algorithm 1\n\
        %description\n%install\nmkdir -p %{buildroot}/opt\n: >%{buildroot}/opt/x\n%files\n/opt/x\n";
    let md5 = std::fs::read(build(dir.path(), spec, "w1.gzdio")).unwrap();
    let error = Package::parse(envelope(&md5).header()).unwrap_err();
    assert!(error.to_string().contains("digest is not SHA-256"), "{error}");
    let lzma = std::fs::read(sample::everything(dir.path(), "w1.lzdio")).unwrap();
    let error = Package::parse(envelope(&lzma).header()).unwrap_err();
    assert!(error.to_string().contains("lzma"), "{error}");
}

/// The reader's list of files and that of the `rpm` crate, for packages that the crate wrote.
#[test]
fn packages_of_another_writer_are_read() {
    use rpm::{BuildConfig, FileOptions, PackageBuilder};
    let dir = tempfile::tempdir().unwrap();
    for (name, config) in [("v4", BuildConfig::v4()), ("v6", BuildConfig::v6())] {
        let mut builder = PackageBuilder::new("engine", "1.2", "MIT", "x86_64", "an engine");
        builder.using_config(config.source_date(1_700_000_000).compression(rpm::CompressionType::Zstd));
        builder
            .release("1")
            .vendor("Example")
            .pre_install_script("echo pre")
            .post_uninstall_script("echo post");
        builder
            .with_file_contents(b"[a]\n".to_vec(), FileOptions::new("/etc/d1.conf").config().noreplace())
            .and_then(|builder| {
                builder.with_file_contents(vec![7; 5001], FileOptions::new("/usr/local/demisto/d1"))
            })
            .and_then(|builder| {
                builder.with_file_contents(b"same".to_vec(), FileOptions::new("/opt/a").hardlink("x"))
            })
            .and_then(|builder| {
                builder.with_file_contents(b"same".to_vec(), FileOptions::new("/opt/b").hardlink("x"))
            })
            .and_then(|builder| builder.with_dir_entry(FileOptions::dir("/usr/local/demisto")))
            .and_then(|builder| builder.with_ghost(FileOptions::ghost("/var/lib/d1.lock")))
            .and_then(|builder| {
                builder.with_symlink(FileOptions::symlink("/usr/bin/d1", "../local/demisto/d1"))
            })
            .unwrap();
        let path = dir.path().join(format!("{name}.rpm"));
        builder.build().unwrap().write_file(&path).unwrap();
        let package = compare(&path);
        let large = name == "v6";
        assert_eq!((package.payload.large, package.format), (large, if large { 6 } else { 4 }));
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(contents(&bytes).iter().flatten().count(), 3);
        let theirs = rpm::PackageMetadata::open(&path).unwrap();
        assert_eq!(package.name, theirs.get_name().unwrap());
        assert_eq!(package.files.len(), theirs.get_file_entries().unwrap().len());
        assert_eq!(envelope(&bytes).header(), theirs.header_bytes().unwrap());
    }
}
