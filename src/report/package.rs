//! What a package says of itself.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::plan::word;
use crate::rpmfile::{Dependency, Package, Scriptlet};
use crate::workflow::verify::StoredDigest;

/// Most lines of a script that are shown.
const LINES: usize = 200;

/// Lines about the header, for `inspect`.
pub(super) fn rows(package: &Package) -> Vec<(&'static str, String)> {
    let Package { name, version, release, arch, .. } = package;
    let files = package.files.iter();
    let configs: Vec<&str> =
        files.filter(|file| file.flags.is_config()).map(|file| file.path.as_str()).collect();
    let mut rows = vec![
        ("Package", format!("{name}-{version}-{release}.{arch}, format {}", package.format)),
        ("Vendor", package.vendor.clone()),
        ("Payload", format!("cpio, {}", package.payload.method)),
        ("Requires", names(&package.requires)),
        ("Config", configs.join(", ")),
    ];
    rows.retain(|(_, value)| !value.is_empty());
    rows
}

fn names(dependencies: &[Dependency]) -> String {
    let mut names: Vec<&str> = dependencies.iter().map(|dependency| dependency.name.as_str()).collect();
    names.dedup();
    names.join(", ")
}

/// The scripts that rpm would run as root.
pub(super) fn scriptlets(package: &Package) -> String {
    let mut text = String::new();
    for scriptlet in &package.scriptlets {
        let _ = writeln!(text, "  {} ({}):", word(scriptlet.when), scriptlet.interpreter.join(" "));
        for line in scriptlet.body.lines().take(LINES) {
            let line: String =
                line.chars().map(|c| if crate::types::is_printable_char(c) { c } else { ' ' }).collect();
            let _ = writeln!(text, "    | {line}");
        }
        if scriptlet.body.lines().count() > LINES {
            let _ = writeln!(text, "    | ... (--output json has all)");
        }
    }
    text
}

/// The same for machines.
#[must_use]
pub fn package_json(package: &Package) -> Value {
    let scriptlet = |scriptlet: &Scriptlet| json!({ "when": word(scriptlet.when), "interpreter": scriptlet.interpreter, "body": scriptlet.body });
    let requires: Vec<&str> = package.requires.iter().map(|dependency| dependency.name.as_str()).collect();
    json!({
        "name": package.name,
        "version": package.version,
        "release": package.release,
        "arch": package.arch,
        "vendor": package.vendor,
        "license": package.license,
        "summary": package.summary,
        "format": package.format,
        "compression": package.payload.method.to_string(),
        "requires": requires,
        "scriptlets": package.scriptlets.iter().map(scriptlet).collect::<Vec<_>>(),
    })
}

/// Digests beside the signatures.
pub(super) fn digests(digests: &[StoredDigest], text: &mut String) {
    for digest in digests {
        let found = match digest.matches {
            Some(true) => "is that of the header",
            Some(false) => "is NOT that of the header",
            None => "not compared",
        };
        let _ = writeln!(
            text,
            "  digest {}: {found}; a digest says nothing of who made the package",
            digest.kind
        );
    }
}
