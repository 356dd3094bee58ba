//! Upgrades of a live service that are cut off: the old or the new release, and the service answers.

use std::os::unix::process::ExitStatusExt as _;

use super::bundle::Bundle;
use super::upgrade::{V2, differences, exact, in_use, version};
use crate::support::container::Container;

const UPGRADE: &str = "/root/v2 upgrade --yes --health-timeout 20";

/// A host on which every upgrade passes the same points: v2 was installed before and is retained.
fn prepared(name: &str) -> (Container, Vec<String>) {
    let host = in_use(name, &Bundle::with(&V2));
    host.sh(&format!("{UPGRADE}; /root/v2 rollback --yes"));
    host.sh(&format!("DEMISTO_INSTALL_FAULT_LOG=/root/points {UPGRADE}"));
    let points = host.sh("cut -d' ' -f2- /root/points").lines().map(str::to_owned).collect();
    host.sh("/root/v2 rollback --yes");
    (host, points)
}

/// The number of the point, from 1, that follows the `nth` exchange, creation or the like called `name`.
fn after(points: &[String], name: &str, nth: usize) -> usize {
    let found = points.iter().enumerate().filter(|(_, point)| *point == name).nth(nth - 1);
    found.unwrap_or_else(|| panic!("no {name} {nth}: {points:?}")).0 + 2
}

fn cut_off(host: &Container, point: usize) {
    let output = host.run(&["bash", "-c", &format!("DEMISTO_INSTALL_FAULT_AT={point} {UPGRADE}")]);
    let killed = output.status.signal() == Some(9) || output.status.code() == Some(137);
    assert!(killed, "point {point} was not reached: {output:?}");
}
