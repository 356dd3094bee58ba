//! The package's scriptlets, for `/bin/sh`. None of them may fail: rpm would leave the package half
//! installed, or refuse to remove it.

use ::rpm::Scriptlet;

use super::TMPFILES_FILE;

/// The account, as sysusers.d(5) spells it.
pub(super) const SYSUSERS: &str = include_str!("../../../assets/sysusers.conf");

/// Before the files: those of the service need their owner. rpm from 4.19 on has made it already.
/// systemd-sysusers reads its standard input from version 238 on; RHEL 7 has an older one.
pub(super) fn pre() -> Scriptlet {
    shell(format!(
        r#"if ! id -u demisto >/dev/null 2>&1; then
    systemd-sysusers - >/dev/null 2>&1 <<'END' || :
{SYSUSERS}END
fi
if ! id -u demisto >/dev/null 2>&1; then
    useradd --system --user-group --no-create-home --home-dir /var/lib/demisto \
        --shell /usr/sbin/nologin --comment 'Cortex XSOAR service' demisto || :
fi
exit 0
"#
    ))
}

/// After the files. The service is neither enabled nor started: it is not set up yet.
pub(super) fn post() -> Scriptlet {
    shell(format!(
        r#"if command -v systemd-tmpfiles >/dev/null 2>&1; then
    systemd-tmpfiles --create {TMPFILES_FILE} >/dev/null 2>&1 || :
fi
{RELOAD}"#
    ))
}

/// Before the files go; not when another version takes their place.
pub(super) fn preun(units: &[&str]) -> Scriptlet {
    if units.is_empty() {
        return shell("exit 0\n".to_owned());
    }
    let units = units.join(" ");
    shell(format!(
        r#"if [ "$1" = 0 ] && command -v systemctl >/dev/null 2>&1; then
    if [ -d /run/systemd/system ]; then
        systemctl stop {units} || :
    fi
    systemctl --no-reload disable {units} >/dev/null 2>&1 || :
fi
exit 0
"#
    ))
}

/// After the files are gone or replaced.
pub(super) fn postun() -> Scriptlet {
    shell(RELOAD.to_owned())
}

fn shell(script: String) -> Scriptlet {
    Scriptlet::new(script).prog(vec!["/bin/sh"])
}

const RELOAD: &str = r#"if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then
    systemctl daemon-reload || :
fi
exit 0
"#;
