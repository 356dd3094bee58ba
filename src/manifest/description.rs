use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Error, FORMAT, Health, Requirements, Result, Upgrades, check};
use crate::product::Role;
use crate::types::{RelPath, Version};
use crate::verify::Rotation;

/// What a release says about itself that the header of an RPM package has no place for: the file
/// [`RELEASE_FILE`](crate::product::RELEASE_FILE) of such a package. Its fields are those of a
/// [`Manifest`](super::Manifest); unknown ones are ignored.
///
/// The bytes are as trustworthy as the package that they came in: a reader first accepts the
/// signature over the package's header, then compares this file with the digest in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Format version of this structure.
    pub format: u32,
    /// The product's short name.
    pub product: String,
    /// The name shown to people.
    pub title: String,
    /// Server or engine.
    pub role: Role,
    /// The release's version: that of the package, too.
    pub version: Version,
    /// The release's build number: the package's release, too.
    pub build: u64,
    /// Security epoch: a host never goes back to a lower one. Not the epoch of the package.
    pub epoch: u64,
    /// Number of the data's form; code cannot read data of a higher one.
    #[serde(default)]
    pub schema: u64,
    /// The versions that it may replace.
    pub upgrades: Upgrades,
    /// Statements by which earlier release keys vouch for later ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotations: Vec<Rotation>,
    /// The licence agreement: a file below the installation directory.
    pub eula: RelPath,
    /// How to tell that the service works.
    pub health: Health,
    /// What the host should have.
    pub requirements: Requirements,
    /// When it was packed.
    pub built_at: Timestamp,
}

impl Description {
    /// Reads bytes.
    ///
    /// # Errors
    /// When they are no description of a known format, or a field breaks its rule.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let description: Self = serde_json::from_slice(bytes).map_err(|e| Error::Syntax(e.to_string()))?;
        if description.format != FORMAT {
            return Err(Error::Format(description.format));
        }
        description.check()?;
        Ok(description)
    }

    /// Serializes it, one field per line: people look at it on a host.
    ///
    /// # Errors
    /// When a field breaks its rule: nothing is packed that would be refused.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.check()?;
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|e| Error::Syntax(e.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    fn check(&self) -> Result<()> {
        check::words(&self.product, &self.title, &self.upgrades, &self.health)?;
        check::rotations(&self.rotations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Description {
        Description {
            format: FORMAT,
            product: "demisto".to_owned(),
            title: "Cortex XSOAR".to_owned(),
            role: Role::Server,
            version: "6.14.0".parse().unwrap(),
            build: 3_036_535,
            epoch: 1,
            schema: 2,
            upgrades: Upgrades { from: "6.12".parse().unwrap(), to: "6.14".parse().unwrap() },
            rotations: Vec::new(),
            eula: "EULA.txt".parse().unwrap(),
            health: Health { path: "/health".to_owned(), version_key: Some("version".to_owned()) },
            requirements: Requirements { cpus: 8, memory_mib: 16_384, disk_mib: 512_000 },
            built_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let description = sample();
        let bytes = description.to_bytes().unwrap();
        assert_eq!(Description::parse(&bytes).unwrap(), description);
        let more = String::from_utf8(bytes).unwrap().replacen('{', "{\"later\": 1,", 1);
        assert_eq!(Description::parse(more.as_bytes()).unwrap(), description);
    }

    #[test]
    fn broken_rules_are_refused() {
        let breaks: [fn(&mut Description); 5] = [
            |d| d.product = "../demisto".to_owned(),
            |d| d.title = "a\u{1b}[2Jb".to_owned(),
            |d| d.upgrades.from = "7.0".parse().unwrap(),
            |d| d.health.path = "health".to_owned(),
            |d| d.health.version_key = Some("a b".to_owned()),
        ];
        for (number, breaks) in breaks.iter().enumerate() {
            let mut description = sample();
            breaks(&mut description);
            assert!(description.to_bytes().is_err(), "{number}");
            assert!(Description::parse(&serde_json::to_vec(&description).unwrap()).is_err(), "{number}");
        }
        let other = Description { format: 2, ..sample() };
        let other = Description::parse(&serde_json::to_vec(&other).unwrap());
        assert!(matches!(other, Err(Error::Format(2))));
        assert!(matches!(Description::parse(b"[]"), Err(Error::Syntax(_))));
    }
}
