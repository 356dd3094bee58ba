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

/// After a recovery: the old or the new release whole, and it answers. Ends with v1.
fn is_either(host: &Container, point: usize, name: &str) -> String {
    host.sh("/root/v2 wait-ready --timeout 20");
    let answers = version(host);
    let status = host.sh("/root/v2 status");
    assert!(status.contains("Drift      0 files"), "point {point} ({name}): {status}");
    assert!(status.contains(&format!("(server) {answers}-")), "point {point} ({name}): {status}");
    host.sh("test ! -e /usr/local/.demisto.demisto-install; test ! -e /var/lib/demisto-install/retained.new");
    if answers == "6.14.0" {
        host.sh("/root/v2 rollback --yes");
    }
    assert_eq!(version(host), "6.12.0", "point {point} ({name})");
    answers
}

#[test]
fn killed_anywhere_a_recovery_leads_to_a_service_that_answers() {
    let (host, points) = prepared("up-killed");
    let tree = exact(&host, "usr/local/demisto");
    let stop = after(&points, "sync file system", 1);
    let switch = after(&points, "rename", 2);
    let mut sampled: Vec<usize> = (1..stop).step_by(stop / 3).collect();
    sampled.extend((stop..points.len()).step_by((points.len() - stop) / 16));
    sampled.extend([switch, points.len() - 3]);
    let mut ended = [0, 0];
    for (round, point) in sampled.iter().copied().enumerate() {
        cut_off(&host, point);
        // recovered alone, by the same upgrade, and by the way back: each finds the lock free
        match round % 3 {
            0 => drop(host.sh("/root/v2 status; /root/v2 recover")),
            1 => drop(host.sh(UPGRADE)),
            _ => drop(host.sh("/root/v2 rollback --to 6.12.0-100 --yes")),
        }
        let answered = is_either(&host, point, &points[point - 1]);
        assert!(round % 3 != 1 || answered == "6.14.0", "point {point}: {answered}");
        assert!(round % 3 != 2 || answered == "6.12.0", "point {point}: {answered}");
        ended[usize::from(answered == "6.14.0")] += 1;
        assert_eq!(differences(&exact(&host, "usr/local/demisto"), &tree), [""; 0], "point {point}");
    }
    assert!(ended.iter().all(|count| *count > 0), "{ended:?}");
    println!("live upgrade: {} of {} points, 0 broken", sampled.len(), points.len());
}

/// The new release is in its place and runs already, but the upgrade is not committed: after the boot it
/// starts again, and the recovery goes back all the same.
#[test]
fn a_death_of_the_machine_before_the_commit_is_recovered_after_the_boot() {
    let (host, points) = prepared("up-power");
    let tree = exact(&host, "usr/local/demisto");
    let switch = after(&points, "copy file", 1);
    let exchange = switch + points[switch..].iter().position(|point| point == "rename").unwrap() + 2;
    let recorded = points.iter().rposition(|point| point == "record append").unwrap(); // after the commit
    let receipt = points[..recorded].iter().rposition(|point| point == "write file").unwrap() + 1;
    for point in [exchange, receipt] {
        cut_off(&host, point);
        host.kill9();
        host.start();
        let status = host.sh("/root/v2 status 2>&1 || true");
        assert!(status.contains("cut off"), "{status}");
        host.sh("/root/v2 recover");
        host.sh("/root/v2 wait-ready --timeout 20");
        assert_eq!(version(&host), "6.12.0", "point {point}");
        assert_eq!(differences(&exact(&host, "usr/local/demisto"), &tree), [""; 0], "point {point}");
        host.sh("/root/v2 status | grep -q 'Drift      0 files'");
    }
    host.sh(UPGRADE);
    assert_eq!(version(&host), "6.14.0");
}
