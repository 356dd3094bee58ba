//! Headers and archives that no rpm would write, made by hand.

use crate::archive::Method;
use crate::types::Digest;

use super::header::{Header, Which};
use super::*;

const INT16: u32 = 3;
const INT32: u32 = 4;
const INT64: u32 = 5;
const STRING: u32 = 6;
const BIN: u32 = 7;
const STRINGS: u32 = 8;

/// Entries of a header: tag, type, count, value.
#[derive(Clone)]
struct Craft(Vec<(u32, u32, u32, Vec<u8>)>);

impl Craft {
    /// The least that is a package, without files.
    fn package() -> Self {
        let mut all = Self(Vec::new());
        for (tag, text) in [
            (tags::NAME, "p"),
            (tags::VERSION, "1"),
            (tags::RELEASE, "1"),
            (tags::SUMMARY, "s"),
            (tags::OS, "linux"),
            (tags::ARCH, "noarch"),
            (tags::SOURCERPM, "p.src.rpm"),
            (tags::PAYLOADFORMAT, "cpio"),
        ] {
            all.set(tag, STRING, &[text]);
        }
        all
    }

    /// A package of these files: path and mode. Regular ones are empty, links lead to `target`.
    fn files(list: &[(&str, u16)]) -> Self {
        let mut all = Self::package();
        let dirs: Vec<&str> = list.iter().map(|(path, _)| &path[..=path.rfind('/').unwrap_or(0)]).collect();
        let names: Vec<&str> = list.iter().map(|(path, _)| path.rsplit('/').next().unwrap()).collect();
        let digest = Digest::of(b"").to_string();
        let is = |mode: &u16, kind| u32::from(*mode) & 0o170_000 == kind;
        let digests = list.iter().map(|(_, mode)| if is(mode, 0o100_000) { digest.as_str() } else { "" });
        let targets = list.iter().map(|(_, mode)| if is(mode, 0o120_000) { "target" } else { "" });
        let indexes: Vec<u32> = (0..).take(list.len()).collect();
        let modes: Vec<u16> = list.iter().map(|(_, mode)| *mode).collect();
        all.set(tags::DIRNAMES, STRINGS, &dirs);
        all.set(tags::BASENAMES, STRINGS, &names);
        all.numbers(tags::DIRINDEXES, &indexes);
        all.put(
            tags::FILEMODES,
            INT16,
            modes.len(),
            modes.iter().flat_map(|mode| mode.to_be_bytes()).collect(),
        );
        for tag in [tags::FILESIZES, tags::FILEMTIMES, tags::FILEFLAGS] {
            all.numbers(tag, &vec![0; list.len()]);
        }
        all.numbers(tags::FILEDIGESTALGO, &[8]);
        all.set(tags::FILEDIGESTS, STRINGS, &digests.collect::<Vec<_>>());
        all.set(tags::FILELINKTOS, STRINGS, &targets.collect::<Vec<_>>());
        all.set(tags::FILEUSERNAME, STRINGS, &vec!["root"; list.len()]);
        all.set(tags::FILEGROUPNAME, STRINGS, &vec!["root"; list.len()]);
        all
    }

    fn put(&mut self, tag: u32, kind: u32, count: usize, value: Vec<u8>) {
        self.without(tag);
        self.0.push((tag, kind, u32::try_from(count).unwrap(), value));
    }

    fn set(&mut self, tag: u32, kind: u32, texts: &[&str]) {
        let value = texts.iter().flat_map(|text| [text.as_bytes(), &[0]].concat()).collect();
        self.put(tag, kind, texts.len(), value);
    }

    fn numbers(&mut self, tag: u32, numbers: &[u32]) {
        self.put(tag, INT32, numbers.len(), numbers.iter().flat_map(|number| number.to_be_bytes()).collect());
    }

    fn without(&mut self, tag: u32) {
        self.0.retain(|entry| entry.0 != tag);
    }

    /// The header, whole.
    fn build(&self, region: u32) -> Vec<u8> {
        let (mut index, mut store) = (Vec::new(), Vec::new());
        for (tag, kind, count, value) in &self.0 {
            let align = [1, 1, 1, 2, 4, 8, 1, 1, 1, 1].get(*kind as usize).copied().unwrap_or(1);
            store.resize(store.len().next_multiple_of(align), 0);
            index.extend(words(&[*tag, *kind, store.len() as u32, *count]));
            store.extend(value);
        }
        let entries = self.0.len() as u32 + 1;
        let first = words(&[region, BIN, store.len() as u32, 16]);
        store.extend(words(&[region, BIN, (entries * 16).wrapping_neg(), 16]));
        let intro = words(&[0x8ead_e801, 0, entries, store.len() as u32]);
        [intro, first, index, store].concat()
    }

    fn parse(&self) -> Result<Package> {
        Package::parse(&self.build(tags::HEADERIMMUTABLE))
    }

    fn refusal(&self) -> String {
        self.parse().unwrap_err().to_string()
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A change of one word of the entry at `entry`; 0 is the region.
fn changed(bytes: &[u8], entry: usize, word: usize, value: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = 16 + entry * 16 + word * 4;
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
    bytes
}

fn says(result: Result<Package>, expected: &str) {
    let said = result.expect_err(expected).to_string();
    assert!(said.contains(expected), "{said} instead of {expected}");
}

#[test]
fn the_least_package_is_one() {
    let package = Craft::package().parse().unwrap();
    assert_eq!((package.name.as_str(), package.format, package.payload.method), ("p", 4, Method::None));
    let files =
        Craft::files(&[("/a", 0o40755), ("/a/b", 0o100_644), ("/a/c", 0o120_777)]).parse().unwrap().files;
    assert_eq!(files[2].kind, Kind::Symlink { target: "target".to_owned() });
}

#[test]
fn entries_that_lie_are_refused() {
    let good = Craft::package().build(tags::HEADERIMMUTABLE);
    let store = u32::from_be_bytes(good[12..16].try_into().unwrap());
    for (entry, word, value, expected) in [
        (0, 0, 62, "does not begin with a region"),
        (0, 1, 6, "region is not as rpm writes"),
        (0, 3, 15, "region is not as rpm writes"),
        (0, 2, store, "region is not as rpm writes"),
        (0, 2, u32::MAX, "region is not as rpm writes"),
        (0, 2, store - 15, "region is not as rpm writes"),
        (0, 2, 0, "region is not as rpm writes"),
        (1, 0, 99, "no entry may have that number"),
        (1, 0, 61, "no entry may have that number"),
        (1, 1, 0, "its type is unknown"),
        (1, 1, 10, "its type is unknown"),
        (1, 1, INT64, "not inside the header|overlaps"),
        (1, 2, store + 1, "not inside the header"),
        (1, 2, u32::MAX, "not inside the header"),
        (1, 2, 0x8000_0000, "not inside the header"),
        (1, 2, store - 16, "overlaps the region's trailer"),
        (2, 2, 0, "overlaps the one before"),
        (1, 3, 0, "number of values is impossible"),
        (1, 3, 2, "number of values is impossible"),
        (1, 3, u32::MAX, "number of values is impossible"),
        (1, 0, tags::VERSION, "it comes twice"),
    ] {
        let error = Package::parse(&changed(&good, entry, word, value)).expect_err(expected).to_string();
        assert!(expected.split('|').any(|one| error.contains(one)), "{error} instead of {expected}");
    }
    // A count that times the size of a value does not fit.
    let wide = changed(&changed(&good, 1, 1, INT64), 1, 3, 0x2000_0000);
    says(Package::parse(&wide), "number of values is impossible");
}

#[test]
fn a_region_that_lies_is_refused() {
    let good = Craft::package().build(tags::HEADERIMMUTABLE);
    let trailer = good.len() - 16;
    let set = |at: usize, value: u32| {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        bytes
    };
    let entries = u32::from_be_bytes(good[8..12].try_into().unwrap());
    for (at, value) in [
        (trailer, 62),
        (trailer, 61),
        (trailer + 4, 8),
        (trailer + 8, 16),
        (trailer + 8, 0),
        (trailer + 8, 0x8000_0000),
        (trailer + 8, ((entries + 1) * 16).wrapping_neg()),
        (trailer + 8, (entries * 16 - 1).wrapping_neg()),
        (trailer + 12, 17),
    ] {
        says(Package::parse(&set(at, value)), "region is not as rpm writes");
    }
    // Entries or values that were added behind what the region covers.
    says(Package::parse(&set(trailer + 8, ((entries - 1) * 16).wrapping_neg())), "added to it behind");
    let mut longer = set(12, u32::from_be_bytes(good[12..16].try_into().unwrap()) + 8);
    longer.extend([0; 8]);
    says(Package::parse(&longer), "added to it behind");
}

#[test]
fn lengths_are_checked_before_anything_is_kept() {
    let good = Craft::package().build(tags::HEADERIMMUTABLE);
    for (at, value, expected) in [
        (0, 0x8ead_e802, "magic is missing"),
        (4, 1, "magic is missing"),
        (8, 0, "no entries"),
        (8, 0x1_0000, "the number of a header's entries"),
        (8, u32::MAX, "the number of a header's entries"),
        (12, u32::MAX, "a header in bytes"),
        (12, 32 << 20, "a header in bytes"),
        (12, 1 << 20, "its length is not what it says"),
    ] {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&u32::to_be_bytes(value));
        says(Package::parse(&bytes), expected);
    }
    for cut in 0..good.len() {
        assert!(Package::parse(&good[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn strings_end_inside_the_header() {
    let mut craft = Craft::package();
    craft.0.retain(|entry| entry.0 == tags::NAME);
    craft.0[0].3 = b"no end".to_vec();
    let mut bytes = craft.build(tags::HEADERIMMUTABLE);
    let at = bytes.len() - 16;
    bytes[at..at + 4].copy_from_slice(&u32::to_be_bytes(0x3f3f_3f3f)); // and no NUL in the trailer either
    assert!(Package::parse(&bytes).is_err());
    craft.0[0].3 = b"one\0".to_vec();
    craft.0[0].1 = STRINGS;
    craft.0[0].2 = 200;
    says(craft.parse(), "number of values is impossible");
    craft.0[0].2 = 15;
    says(craft.parse(), "overlaps the region's trailer|not inside".split('|').next_back().unwrap());
}

#[test]
fn values_of_the_wrong_type_or_number_are_refused() {
    let files = Craft::files(&[("/a", 0o100_644), ("/b", 0o100_644)]);
    for tag in [tags::FILESIZES, tags::FILEMTIMES, tags::FILEFLAGS, tags::DIRINDEXES, tags::FILEDEVICES] {
        let mut craft = files.clone();
        craft.numbers(tag, &[0; 3]);
        assert!(craft.refusal().contains("one value for each file"), "{tag}");
        craft.set(tag, STRINGS, &["a", "b"]);
        assert!(craft.refusal().contains("wrong type"), "{tag}");
    }
    for tag in [tags::FILEDIGESTS, tags::FILELINKTOS, tags::FILEUSERNAME, tags::FILECAPS] {
        let mut craft = files.clone();
        craft.set(tag, STRINGS, &["a"]);
        assert!(craft.refusal().contains("one value for each file"), "{tag}");
        craft.numbers(tag, &[0; 2]);
        assert!(craft.refusal().contains("wrong type"), "{tag}");
    }
    for (tag, expected) in [
        (tags::FILEMODES, "no file modes"),
        (tags::DIRNAMES, "no directory names"),
        (tags::BASENAMES, "of which there are none"),
        (tags::FILEUSERNAME, "no owner"),
        (tags::FILEDIGESTALGO, "not SHA-256"),
        (tags::FILESIZES, "no file sizes"),
        (tags::SOURCERPM, "source package"),
        (tags::PAYLOADFORMAT, "no payload format"),
        (tags::NAME, "no name"),
    ] {
        let mut craft = files.clone();
        craft.without(tag);
        assert!(craft.refusal().contains(expected), "{tag}: {}", craft.refusal());
    }
    let mut craft = files.clone();
    craft.put(tags::LONGFILESIZES, INT64, 2, vec![0; 16]);
    assert!(craft.refusal().contains("sizes are there twice"));
    craft = files.clone();
    craft.set(tags::OLDFILENAMES, STRINGS, &["/a", "/b"]);
    assert!(craft.refusal().contains("as rpm 3 did"));
    craft = files;
    craft.put(tags::SUMMARY, STRING, 1, vec![0xff, 0]);
    assert!(craft.refusal().contains("UTF-8"));
}

#[test]
fn words_and_methods_that_have_no_meaning_are_refused() {
    for (tag, value, expected) in [
        (tags::NAME, "../p", "expected letters"),
        (tags::NAME, "-p", "expected letters"),
        (tags::NAME, "", "expected letters"),
        (tags::VERSION, "1-2", "expected letters"),
        (tags::RELEASE, "1 --eval x", "expected letters"),
        (tags::ARCH, "x/y", "expected letters"),
        (tags::PAYLOADFORMAT, "drpm", "expected cpio"),
        (tags::PAYLOADCOMPRESSOR, "lzma", "expected gzip"),
    ] {
        let mut craft = Craft::package();
        craft.set(tag, STRING, &[value]);
        assert!(craft.refusal().contains(expected), "{value}: {}", craft.refusal());
    }
    let mut craft = Craft::package();
    craft.numbers(tags::RPMFORMAT, &[5]);
    assert!(craft.refusal().contains("neither 4 nor 6"));
    craft = Craft::package();
    craft.numbers(tags::PAYLOADSHA256ALGO, &[8]);
    craft.set(tags::PAYLOADSHA256, STRINGS, &["00"]);
    assert!(craft.refusal().contains("not a SHA-256 digest"));
    // Another algorithm's digest is not shown as one of SHA-256.
    craft.numbers(tags::PAYLOADSHA256ALGO, &[1]);
    assert_eq!(craft.parse().unwrap().payload.sha256, None);
    craft = Craft::package();
    craft.set(tags::REQUIRE[0], STRINGS, &["rpmlib(ShortCircuited)"]);
    craft.numbers(tags::REQUIRE[1], &[0]);
    craft.set(tags::REQUIRE[2], STRINGS, &["4"]);
    assert!(matches!(craft.parse(), Err(Error::Feature(_))));
    craft.set(tags::REQUIRE[2], STRINGS, &["4", "5"]);
    assert!(craft.refusal().contains("one value for each dependency"));
}

#[test]
fn triggers_that_lead_nowhere_are_refused() {
    let mut craft = Craft::package();
    craft.set(1065, STRINGS, &["a script"]);
    craft.set(1066, STRINGS, &["bash"]);
    craft.set(1067, STRINGS, &[""]);
    craft.numbers(1068, &[1 << 16]);
    craft.numbers(1069, &[0]);
    assert_eq!(craft.parse().unwrap().scriptlets[0].conditions[0].name, "bash");
    craft.numbers(1069, &[1]);
    assert!(craft.refusal().contains("a trigger that is not there"));
    craft.numbers(1069, &[0, 0]);
    assert!(craft.refusal().contains("one value for each condition"));
    craft.numbers(1069, &[0]);
    craft.set(1092, STRINGS, &["/bin/sh", "/bin/sh"]);
    assert!(craft.refusal().contains("one value for each trigger"));
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    let regular = 0o100_644;
    for (path, expected) in [
        ("/../etc/passwd", ". or .. component"),
        ("/a/./b", ". or .. component"),
        ("/a/..", ". or .. component"),
        ("//a", "empty component"),
        ("/a//b", "empty component"),
        ("/a/", "empty component"),
        ("/", "it is empty"),
        ("./a", "not absolute"),
        ("a/b", "not absolute"),
        ("/a\nb", "control character"),
        ("/a\u{202e}b", "control character"),
    ] {
        let said = Craft::files(&[(path, regular)]).refusal();
        assert!(said.contains(expected), "{path}: {said}");
    }
    let long = format!("/{}", "x".repeat(256));
    assert!(Craft::files(&[(&long, regular)]).refusal().contains("too long"));
    // A NUL in a name is one more name.
    let mut craft = Craft::files(&[("/a", regular)]);
    craft.put(tags::BASENAMES, STRINGS, 1, b"a\0b\0".to_vec());
    assert_eq!(craft.parse().unwrap().files[0].path, "/a");
    craft.put(tags::BASENAMES, STRINGS, 2, b"a\0b\0".to_vec());
    assert!(craft.refusal().contains("one value for each file"));
    craft.set(tags::BASENAMES, STRINGS, &["b/../../c"]);
    assert!(craft.refusal().contains("do not go together"));
    craft = Craft::files(&[("/a/b", regular)]);
    craft.set(tags::DIRNAMES, STRINGS, &["/a"]);
    assert!(craft.refusal().contains("do not go together"));
    craft.numbers(tags::DIRINDEXES, &[1]);
    assert!(craft.refusal().contains("directory is not in the list"));
    craft.set(tags::DIRNAMES, STRINGS, &["/a/", "/b/"]);
    assert!(craft.refusal().contains("more directories than"));
}

#[test]
fn a_few_bytes_do_not_become_many() {
    let dir = format!("/{}/", vec!["y".repeat(250); 12].join("/"));
    let paths: Vec<String> = (0..23_000).map(|number| format!("/{number}")).collect();
    let list: Vec<(&str, u16)> = paths.iter().map(|path| (path.as_str(), 0o100_644)).collect();
    let mut craft = Craft::files(&list);
    craft.set(tags::DIRNAMES, STRINGS, &[&dir]);
    craft.numbers(tags::DIRINDEXES, &vec![0; list.len()]);
    assert!(craft.refusal().contains("the length of all paths"), "{}", craft.refusal());
}

#[test]
fn files_that_get_in_each_others_way_are_refused() {
    let (regular, dir, link) = (0o100_644, 0o040_755, 0o120_777);
    for (list, expected) in [
        (vec![("/a", regular), ("/b", regular), ("/a", regular)], "there twice"),
        (vec![("/a", dir), ("/a", dir)], "there twice"),
        (vec![("/a/b", regular), ("/a", link)], "below a file or a link"),
        (vec![("/a", link), ("/a/b/c/d", regular), ("/a-b", dir)], "below a file or a link"),
        (vec![("/a", regular), ("/a-b", dir), ("/a/b", regular)], "below a file or a link"),
        (vec![("/a", 0o020_644)], "device"),
        (vec![("/a", 0o060_644)], "device"),
        (vec![("/a", 0o010_644)], "fifo"),
        (vec![("/a", 0o140_644)], "socket"),
        (vec![("/a", 0o000_644)], "device"),
        (vec![("/a", 0o104_755)], "set-uid"),
        (vec![("/a", 0o102_755)], "set-uid"),
        (vec![("/a", 0o042_755)], "set-uid"),
        (vec![("/a", 0o044_755)], "set-uid"),
    ] {
        let said = Craft::files(&list).refusal();
        assert!(said.contains(expected), "{list:?}: {said}");
    }
    assert!(
        Craft::files(&[("/a-b", regular), ("/a", dir), ("/a/b", regular), ("/ab", link)]).parse().is_ok()
    );
}

#[test]
fn what_belongs_to_a_file_is_checked() {
    let link = Craft::files(&[("/a", 0o120_777)]);
    for (target, expected) in
        [("", "empty or too long"), ("x\u{1b}", "control character"), ("\u{200b}", "invisible")]
    {
        let mut craft = link.clone();
        craft.set(tags::FILELINKTOS, STRINGS, &[target]);
        assert!(craft.refusal().contains(expected), "{target:?}");
    }
    let mut craft = link.clone();
    craft.set(tags::FILELINKTOS, STRINGS, &[&"x".repeat(4096)]);
    assert!(craft.refusal().contains("empty or too long"));
    for owner in ["", "a b", "a:b", "a/b", "-a", "a\n"] {
        let mut craft = link.clone();
        craft.set(tags::FILEUSERNAME, STRINGS, &[owner]);
        assert!(craft.refusal().contains("owner"), "{owner:?}: {}", craft.refusal());
    }
    let mut craft = Craft::files(&[("/a", 0o100_644)]);
    craft.set(tags::FILEDIGESTS, STRINGS, &["d41d8cd98f00b204e9800998ecf8427e"]);
    assert!(craft.refusal().contains("not SHA-256"));
    craft.numbers(tags::FILEFLAGS, &[1 << 6]);
    assert_eq!(craft.parse().unwrap().files[0].kind, Kind::Ghost);
}

#[test]
fn hard_links_are_of_one_mind() {
    let mut craft =
        Craft::files(&[("/a", 0o100_644), ("/b", 0o100_644), ("/c", 0o100_644), ("/d", 0o040_755)]);
    craft.numbers(tags::FILEINODES, &[1, 2, 1, 1]);
    craft.numbers(tags::FILEDEVICES, &[1; 4]);
    let files = craft.parse().unwrap().files;
    assert_eq!(files.iter().map(|file| file.hard_link).collect::<Vec<_>>(), [Some(2), None, Some(2), None]);
    let good = craft.clone();
    craft.numbers(tags::FILESIZES, &[1, 0, 0, 0]);
    assert!(craft.refusal().contains("other content"));
    craft = good.clone();
    let (one, two) = (Digest::of(b"").to_string(), Digest::of(b"x").to_string());
    craft.set(tags::FILEDIGESTS, STRINGS, &[&one, &one, &two, ""]);
    assert!(craft.refusal().contains("other content"));
    craft = good;
    craft.set(tags::FILEUSERNAME, STRINGS, &["root", "root", "demisto", "root"]);
    assert!(craft.refusal().contains("another owner"));
}

// --- The envelope ----------------------------------------------------------------------------------------

fn lead() -> Vec<u8> {
    let mut lead = vec![0; 96];
    lead[..6].copy_from_slice(&[0xed, 0xab, 0xee, 0xdb, 3, 0]);
    lead[79] = 5;
    lead
}

/// A whole package with this signature header.
fn file(signature: &Craft) -> Vec<u8> {
    let mut bytes = [lead(), signature.build(tags::HEADERSIGNATURES)].concat();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    [bytes, Craft::package().build(tags::HEADERIMMUTABLE), b"payload".to_vec()].concat()
}

fn read(bytes: &[u8]) -> Result<Envelope> {
    Envelope::read(bytes.len() as u64, &|buffer, at| {
        let at = usize::try_from(at).unwrap();
        buffer.copy_from_slice(bytes.get(at..at + buffer.len()).expect("reads stay inside the file"));
        Ok(())
    })
}

fn signature_header(entries: &[(u32, u32, &[u8])]) -> Craft {
    let mut craft = Craft(Vec::new());
    for (tag, kind, value) in entries {
        let count = if *kind == BIN { value.len() } else { value.iter().filter(|byte| **byte == 0).count() };
        craft.put(*tag, *kind, count, value.to_vec());
    }
    craft
}

#[test]
fn an_envelope_says_where_things_are() {
    let bytes =
        file(&signature_header(&[(278, STRINGS, b"AQID\0BA==\0"), (267, BIN, b"dsa"), (1002, BIN, b"old")]));
    let envelope = read(&bytes).unwrap();
    assert_eq!(Package::parse(envelope.header()).unwrap().name, "p");
    assert_eq!(envelope.payload_length(), 7);
    assert_eq!(&bytes[envelope.payload_offset() as usize..], b"payload");
    assert_eq!(&bytes[envelope.header_offset() as usize..][..4], [0x8e, 0xad, 0xe8, 1]);
    let found: Vec<(u32, Covers, &[u8])> =
        envelope.signatures().iter().map(|one| (one.tag, one.covers, one.packets.as_slice())).collect();
    assert_eq!(
        found,
        [
            (267, Covers::Header, b"dsa".as_slice()),
            (1002, Covers::HeaderAndPayload, b"old"),
            (278, Covers::Header, &[1, 2, 3]),
            (278, Covers::Header, &[4]),
        ]
    );
}

#[test]
fn an_envelope_that_lies_is_refused() {
    let good = file(&signature_header(&[(268, BIN, b"rsa")]));
    let whole = read(&good).unwrap();
    for cut in 0..usize::try_from(whole.payload_offset()).unwrap() {
        assert!(read(&good[..cut]).is_err(), "cut at {cut}");
    }
    for (at, value, expected) in [
        (0, 0, "not an RPM package"),
        (4, 2, "neither 3 nor 4"),
        (7, 1, "source package"),
        (7, 9, "neither a binary nor a source"),
        (79, 1, "not in a header"),
        (96, 0, "magic is missing"),
        (100, 1, "magic is missing"),
        (106, 1, "the number of a header's entries"),
        (107, 33, "the number of a header's entries"),
        (108, 0xff, "a header in bytes"),
        (109, 0xf0, "is cut off"),
    ] {
        let mut bytes = good.clone();
        bytes[at] = value;
        let error = read(&bytes).expect_err(expected).to_string();
        assert!(error.contains(expected), "{at}: {error}");
    }
    let mut padded = good.clone();
    padded[usize::try_from(whole.header_offset()).unwrap() - 1] = 1;
    assert!(read(&padded).unwrap_err().to_string().contains("pads"));
}

#[test]
fn signatures_and_digests_that_are_none_are_refused() {
    let hex = |digits: usize| [vec![b'a'; digits], vec![0]].concat();
    for (entry, expected) in [
        ((1006, BIN, b"x".to_vec()), "PGP 5"),
        ((268, STRING, b"x\0".to_vec()), "wrong type"),
        ((278, BIN, b"x".to_vec()), "wrong type"),
        ((278, STRINGS, b"no!\0".to_vec()), "not base64"),
        ((278, STRINGS, b"AQID\0".repeat(65)), "more signatures"),
        ((269, STRING, hex(41)), "not a digest"),
        ((273, STRING, hex(40)), "not a digest"),
        ((279, STRING, b"\0".to_vec()), "not a digest"),
        ((1004, BIN, vec![0; 15]), "not a digest"),
    ] {
        let (tag, kind, value) = &entry;
        let error = read(&file(&signature_header(&[(*tag, *kind, value)]))).expect_err(expected).to_string();
        assert!(error.contains(expected), "{tag}: {error}");
    }
    let mut twice = signature_header(&[(268, BIN, b"a")]);
    twice.0.push(twice.0[0].clone());
    assert!(read(&file(&twice)).unwrap_err().to_string().contains("comes twice"));
}

/// rpm lets a signature header have entries behind its region, and old ones call the region by another name.
#[test]
fn signature_headers_of_old_packages_are_read() {
    let mut bytes = signature_header(&[(268, BIN, b"rsa"), (269, STRING, b"a\0")]).build(62);
    let trailer = bytes.len() - 16;
    bytes[trailer + 3] = 61;
    bytes[trailer + 11] = 0xe0; // two entries of three
    assert!(Header::parse(Which::Signature, &bytes).is_ok());
}
