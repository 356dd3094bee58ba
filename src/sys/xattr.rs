//! Extended attributes of open files.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;

use super::error::Context as _;
use super::{Error, Result};

/// The attribute that holds a program's capabilities (capabilities(7)).
pub const CAPABILITY: &str = "security.capability";

/// What the attribute holds for `cap_net_bind_service=ep`: revision 2 with the effective bit, the permitted and
/// the inheritable set, each as two 32-bit numbers, little-endian (linux/capability.h).
pub const LOW_PORTS: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Lets a program open ports below 1024.
///
/// # Errors
/// When the attribute cannot be set.
pub fn allow_low_ports(file: &impl AsFd, path: &Path) -> Result<()> {
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::fsetxattr(file, CAPABILITY, &LOW_PORTS, flags).context("set the capability of", path)
}

/// Whether a program may open ports below 1024, and nothing else that others may not. `None` when it has no
/// capability at all.
///
/// # Errors
/// When it cannot be told.
pub fn low_ports(file: &impl AsFd, path: &Path) -> Result<Option<bool>> {
    let mut value = [0_u8; 64];
    match rustix::fs::fgetxattr(file, CAPABILITY, &mut value[..]) {
        Ok(length) => Ok(Some(value.get(..length) == Some(&LOW_PORTS[..]))),
        Err(Errno::RANGE) => Ok(Some(false)),
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(e) => Err(Error::new("look at the attributes of", path, e)),
    }
}

/// Whether an open file has the attribute `name`; where the file system knows no attributes, none has.
///
/// # Errors
/// When it cannot be told.
pub fn has(file: &impl AsFd, path: &Path, name: &str) -> Result<bool> {
    match rustix::fs::fgetxattr(file, name, &mut [0_u8; 1][..]) {
        Ok(_) | Err(Errno::RANGE) => Ok(true), // longer than there is room for, so it is there
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(false),
        Err(e) => Err(Error::new("look at the attributes of", path, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_seen_whatever_its_length() {
        let dir = tempfile::tempdir_in("target").unwrap();
        let path = dir.path().join("f");
        super::super::fs::write_atomic(&path, b"x", 0o600).unwrap();
        let file = super::super::fs::open_existing(&path).unwrap();
        assert!(!has(&file, &path, "user.mine").unwrap());
        for value in [&b""[..], b"1", b"longer"] {
            rustix::fs::fsetxattr(&file, "user.mine", value, rustix::fs::XattrFlags::empty()).unwrap();
            assert!(has(&file, &path, "user.mine").unwrap(), "{value:?}");
        }
        assert!(!has(&file, &path, CAPABILITY).unwrap());
    }
}
