//! Real packages with bytes changed at random.

use std::io::Read as _;
use std::sync::LazyLock;

use demisto_install::archive;
use demisto_install::rpmfile::{Cpio, Package, content_limit};
use proptest::prelude::{ProptestConfig, any, prop, proptest};

use super::{envelope, sample, try_envelope};

/// A package with something of everything.
static REAL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    std::fs::read(sample::everything(dir.path(), "w1.gzdio")).unwrap()
});

/// Its archive.
static ARCHIVE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let envelope = envelope(&REAL);
    let package = Package::parse(envelope.header()).unwrap();
    let payload = &REAL[usize::try_from(envelope.payload_offset()).unwrap()..];
    let limit = content_limit(&package.files);
    let mut archive = Vec::new();
    archive::reader(package.payload.method, payload, limit).unwrap().read_to_end(&mut archive).unwrap();
    archive
});

/// Places, as parts of the whole, and what they are changed by.
type Flips = Vec<(prop::sample::Index, u8)>;

fn flipped(bytes: &[u8], flips: &Flips) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (place, change) in flips {
        let at = place.index(bytes.len());
        bytes[at] ^= change;
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_package_never_panics(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let front = usize::try_from(envelope(&REAL).payload_offset()).unwrap();
        if let Ok(read) = try_envelope(&flipped(&REAL[..front], &flips)) {
            let _ = Package::parse(read.header());
        }
        let _ = Package::parse(&flipped(envelope(&REAL).header(), &flips));
    }

    #[test]
    fn a_changed_archive_never_panics(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let package = Package::parse(envelope(&REAL).header()).unwrap();
        let changed = flipped(&ARCHIVE, &flips);
        let mut cpio = Cpio::new(changed.as_slice(), &package.files, false);
        let mut members = 0;
        while let Ok(Some(_)) = cpio.next() {
            members += 1;
        }
        assert!(members <= package.files.len());
    }
}
