//! A package with something of everything, made by the real rpmbuild.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::pgp::need;

use super::run;

/// The compression of the payload as rpmbuild is told, with what the reader should find.
pub(super) const PAYLOADS: [&str; 5] = ["w9.gzdio", "w2.xzdio", "w3.zstdio", "w9.bzdio", "w.ufdio"];

const SPEC: &str = r#"
Name: sample
Version: 6.12.0~rc1
Release: 493375.el8
Epoch: 3
Summary: Something of everything — Größe
Vendor: Example Ltd.
License: MIT
Requires: /bin/sh
Requires: openssl >= 1:1.1
Provides: sampled = 2
Conflicts: other < 1.0-3
Obsoletes: old <= 5
AutoReqProv: no
%description
Text.
%install
mkdir -p %{buildroot}/usr/local/demisto/empty %{buildroot}/etc/sample.d %{buildroot}/var/log
printf 'program\n' >%{buildroot}/usr/local/demisto/server
ln %{buildroot}/usr/local/demisto/server %{buildroot}/usr/local/demisto/server-again
ln %{buildroot}/usr/local/demisto/server %{buildroot}/usr/local/demisto/a-first-name
: >%{buildroot}/usr/local/demisto/nothing
head -c 100001 /dev/zero >%{buildroot}/usr/local/demisto/big
ln -s ../local/demisto/server %{buildroot}/usr/link
ln -s /etc/sample.d %{buildroot}/usr/local/demisto/absolute
printf 'a = 1\n' >%{buildroot}/etc/sample.d/kept.conf
printf 'b = 1\n' >%{buildroot}/etc/sample.d/replaced.conf
printf 'x' >%{buildroot}/etc/sample.d/ghost
printf 'n' >'%{buildroot}/etc/sample.d/Größe mit Leerzeichen'
printf 'l' >%{buildroot}/usr/local/demisto/LICENSE
printf 'd' >%{buildroot}/usr/local/demisto/doc
: >%{buildroot}/var/log/sample.log
%pretrans -p <lua>
print("before all")
%pre
echo pre "$1"
%post -p /bin/true
%preun -p "/bin/sh -e"
echo preun
%postun
echo postun
%posttrans
echo posttrans
%verifyscript
echo verify
%triggerin -- bash >= 4, zsh
echo trigger one
%triggerun -p /bin/true -- dash
%filetriggerin -- /usr/lib/systemd
echo file trigger
%transfiletriggerpostun -P 2000 -p <lua> -- /etc/a /etc/b
print("trans file trigger")
%files
%defattr(-,root,root)
%dir %attr(0750,root,demisto) /usr/local/demisto
%dir %attr(1777,demisto,demisto) /usr/local/demisto/empty
%attr(0755,root,root) %caps(cap_net_bind_service=ep) /usr/local/demisto/big
%attr(0755,root,root) /usr/local/demisto/server
%attr(0755,root,root) /usr/local/demisto/server-again
%attr(0755,root,root) /usr/local/demisto/a-first-name
%attr(0600,demisto,demisto) /usr/local/demisto/nothing
/usr/local/demisto/absolute
/usr/link
%config(noreplace) /etc/sample.d/kept.conf
%config(missingok) %verify(not md5 size mtime) /etc/sample.d/replaced.conf
%ghost %attr(0640,demisto,demisto) /etc/sample.d/ghost
%ghost %dir /var/log
%ghost %config(noreplace) /var/log/sample.log
"/etc/sample.d/Größe mit Leerzeichen"
%license /usr/local/demisto/LICENSE
%doc /usr/local/demisto/doc
"#;

/// Builds `spec` with this payload; returns the package's path.
pub(crate) fn build(dir: &Path, spec: &str, payload: &str) -> PathBuf {
    need("rpmbuild", "rpm");
    let top = dir.join("build");
    let _ = std::fs::remove_dir_all(&top);
    std::fs::create_dir_all(&top).unwrap();
    let path = top.join("package.spec");
    std::fs::write(&path, spec).unwrap();
    let define = |name: &str, value: &str| ["--define".to_owned(), format!("{name} {value}")];
    run(Command::new("/usr/bin/rpmbuild")
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", &top)
        .args(["-bb", "--target", "x86_64-linux"])
        .args(define("_topdir", top.to_str().unwrap()))
        .args(define("_binary_payload", payload))
        .args(define("__os_install_post", "%{nil}"))
        .args(define("debug_package", "%{nil}"))
        .args(define("_build_id_links", "none"))
        .arg(&path));
    let mut made = std::fs::read_dir(top.join("RPMS/x86_64")).unwrap();
    let made = made.next().unwrap().unwrap().path();
    let kept = dir.join(format!("{payload}.rpm"));
    std::fs::rename(&made, &kept).unwrap();
    kept
}

/// The package with something of everything.
pub(super) fn everything(dir: &Path, payload: &str) -> PathBuf {
    build(dir, SPEC, payload)
}

/// A package of one file, whose line of `%files` is `line`; `make` makes it below `%{buildroot}`.
pub(super) fn one(dir: &Path, make: &str, line: &str) -> PathBuf {
    let spec = format!(
        "Name: one\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\nAutoReqProv: no\n%description\n\
         %install\nmkdir -p %{{buildroot}}/opt\ncd %{{buildroot}}\n{make}\n%files\n{line}\n"
    );
    build(dir, &spec, "w1.gzdio")
}
