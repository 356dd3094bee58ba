//! The fuzz targets over their corpus, whole, cut short, and with some bytes changed. A long search
//! is `cargo fuzz`; this keeps the targets building and what they promise true.

#[path = "../../fuzz/targets.rs"]
pub(crate) mod targets;

use std::path::Path;

type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 14] = [
    ("trailer", targets::trailer),
    ("manifest", targets::manifest),
    ("journal", targets::journal),
    ("answers", targets::answers),
    ("config", targets::config),
    ("merge", targets::merge),
    ("signatures", targets::signatures),
    ("keys", targets::keys),
    ("rpm", targets::rpm),
    ("cpio", targets::cpio),
    ("log", targets::log),
    ("makeself", targets::makeself),
    ("certificates", targets::certificates),
    ("configuration", targets::configuration),
];

/// Changed copies of each file of the corpus.
const COPIES: usize = 200;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz"))
}

#[test]
fn every_target_is_replayed_here() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let built = manifest.matches("[[bin]]").count();
    assert_eq!(built, TARGETS.len());
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        assert!(root().join("fuzz_targets").join(name).with_extension("rs").exists(), "{name}");
    }
}

#[test]
fn the_corpus_breaks_no_promise() {
    let mut runs = 0;
    for (name, target) in TARGETS {
        let files = std::fs::read_dir(root().join("corpus").join(name)).unwrap();
        let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "{name} has no corpus");
        for path in paths {
            let bytes = std::fs::read(&path).unwrap();
            target(&bytes);
            for copy in 0..COPIES {
                target(&changed(&bytes, copy));
                runs += 1;
            }
        }
    }
    println!("{runs} runs over {} targets", TARGETS.len());
}

/// A copy of `bytes`, cut short or with up to four bytes changed; always the same for the same number.
fn changed(bytes: &[u8], number: usize) -> Vec<u8> {
    let mut state = number as u64 + 1;
    let mut next = || {
        // xorshift64: plain, and the same everywhere
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap()
    };
    for _ in 0..16 {
        next(); // the first few are alike for small numbers
    }
    let mut copy = bytes.to_vec();
    if number.is_multiple_of(4) {
        copy.truncate(next() % bytes.len());
        return copy;
    }
    for _ in 0..=number % 4 {
        let at = next() % copy.len();
        copy[at] ^= u8::try_from(next() % 255 + 1).unwrap();
    }
    copy
}
