use crate::rpmfile::Flags;
use crate::types::Digest;

use super::*;

fn file(path: &str, kind: Kind) -> File {
    File {
        path: path.to_owned(),
        kind,
        mode: 0o644,
        user: "root".to_owned(),
        group: "root".to_owned(),
        mtime: 0,
        flags: Flags::default(),
        capabilities: None,
        hard_link: None,
        verify_flags: 0,
    }
}

fn content(bytes: &[u8]) -> Kind {
    Kind::File { size: bytes.len() as u64, sha256: Digest::of(bytes) }
}

/// `/d`, `/d/a` with 5 bytes, `/d/l` to `a`, a ghost, and two names of one file.
fn list() -> Vec<File> {
    let mut files = vec![
        file("/d", Kind::Dir),
        file("/d/a", content(b"hello")),
        file("/d/ghost", Kind::Ghost),
        file("/d/l", Kind::Symlink { target: "a".to_owned() }),
        file("/x", content(b"same")),
        file("/y", content(b"same")),
    ];
    files[2].flags = Flags::from_bits(1 << 6);
    files[4].hard_link = Some(5);
    files[5].hard_link = Some(5);
    files
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn member(name: &str, mode: u32, content: &[u8]) -> Vec<u8> {
    sized(name, mode, content.len(), content)
}

fn sized(name: &str, mode: u32, size: usize, content: &[u8]) -> Vec<u8> {
    let length = name.len() + 1;
    let zeros = "0".repeat(8);
    let numbers = format!(
        "{zeros}{mode:08x}{zeros}{zeros}{zeros}{zeros}{size:08X}{zeros}{zeros}{zeros}{zeros}{length:08x}{zeros}"
    );
    let header = padded(format!("070701{numbers}{name}\0").into_bytes());
    [header, padded(content.to_vec())].concat()
}

fn trailer() -> Vec<u8> {
    member("TRAILER!!!", 0, b"")
}

const REGULAR: u32 = 0o100_644;

fn members() -> Vec<Vec<u8>> {
    vec![
        member("./d", 0o040_644, b""),
        member("./d/a", REGULAR, b"hello"),
        member("/d/l", 0o120_644, b"a"),
        member("x", REGULAR, b""),
        member("./y", REGULAR, b"same"),
        trailer(),
    ]
}

fn stripped(index: u32, content: &[u8]) -> Vec<u8> {
    [format!("07070X{index:08x}\0\0").into_bytes(), padded(content.to_vec())].concat()
}

/// Reads all, the content of every second member only.
fn unpack(bytes: &[u8], files: &[File], large: bool) -> Result<Vec<(usize, Vec<u8>)>> {
    let mut cpio = Cpio::new(bytes, files, large);
    let mut found = Vec::new();
    while let Some(member) = cpio.next()? {
        let mut content = Vec::new();
        if member.index % 2 == 1 {
            cpio.read_to_end(&mut content).map_err(ended)?;
            assert_eq!(content.len() as u64, member.size);
        }
        found.push((member.index, content));
    }
    assert!(cpio.next()?.is_none(), "the end is the end");
    Ok(found)
}

fn refusal(bytes: &[u8]) -> String {
    unpack(bytes, &list(), false).unwrap_err().to_string()
}

#[test]
fn members_come_with_their_content() {
    let found = unpack(&members().concat(), &list(), false).unwrap();
    let expected = [(0, vec![]), (1, b"hello".to_vec()), (3, vec![]), (4, vec![]), (5, b"same".to_vec())];
    assert_eq!(found, expected);
    let large = [
        stripped(0, b""),
        stripped(1, b"hello"),
        stripped(3, b"a"),
        stripped(4, b""),
        stripped(5, b"same"),
        trailer(),
        vec![0; 300],
    ];
    assert_eq!(unpack(&large.concat(), &list(), true).unwrap(), expected);
}

#[test]
fn the_form_with_a_checksum_is_read_too() {
    let mut all = members();
    all[1][5] = b'2';
    assert!(unpack(&all.concat(), &list(), false).is_ok());
}

#[test]
fn an_archive_is_whole_and_ends() {
    let good = members().concat();
    for cut in 0..good.len() {
        assert!(unpack(&good[..cut], &list(), false).is_err(), "cut at {cut}");
    }
    assert!(unpack(&[good.clone(), vec![0; 512]].concat(), &list(), false).is_ok());
    assert!(refusal(&[good.clone(), vec![0; 513]].concat()).contains("follows its last member"));
    assert!(refusal(&[good.clone(), b"x".to_vec()].concat()).contains("follows its last member"));
    let endless = good.as_slice().chain(io::repeat(0));
    let files = list();
    let mut cpio = Cpio::new(endless, &files, false);
    let error = loop {
        match cpio.next() {
            Ok(member) => assert!(member.is_some()),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("follows its last member"));
    assert!(cpio.next().is_err(), "an error is not taken for the end");
}

#[test]
fn every_file_comes_once() {
    for left_out in 0..5 {
        let mut all = members();
        all.remove(left_out);
        assert!(refusal(&all.concat()).contains("it is missing"), "{left_out}");
    }
    for twice in 0..5 {
        let mut all = members();
        all.insert(twice, all[twice].clone());
        assert!(refusal(&all.concat()).contains("comes twice"), "{twice}");
    }
}

#[test]
fn a_member_that_is_not_as_the_header_says_is_refused() {
    for (at, instead, expected) in [
        (1, member("./d/b", REGULAR, b"hello"), "not in the header"),
        (1, member("./d/../d/a", REGULAR, b"hello"), "not in the header"),
        (1, member(".//d/a", REGULAR, b"hello"), "not in the header"),
        (1, member("./d/ghost", REGULAR, b""), "a ghost"),
        (1, member("./d/a", REGULAR, b"hello!"), "its size is another"),
        (1, member("./d/a", REGULAR, b""), "its size is another"),
        (1, sized("./d/a", REGULAR, 0xffff_ffff, b"hello"), "its size is another"),
        (1, member("./d/a", 0o104_644, b"hello"), "its type or mode"),
        (1, member("./d/a", 0o120_644, b"hello"), "its type or mode"),
        (1, member("./d/a", 0o020_644, b""), "its type or mode"),
        (0, member("./d", 0o120_644, b"/etc"), "its type or mode"),
        (0, member("./d", 0o040_644, b"x"), "its size is another"),
        (2, member("./d/l", 0o120_644, b"/"), "its target is another"),
        (2, member("./d/l", 0o120_644, b"aa"), "its size is another"),
        (3, member("./x", REGULAR, b"same"), "its size is another"),
        (4, member("./y", REGULAR, b""), "its size is another"),
        (5, member("TRAILER!!!", 0, b"x"), "has content"),
        (1, stripped(1, b"hello"), "for large files, of which there are none"),
        (1, stripped(9, b""), "not in the header"),
        (1, b"070703".to_vec(), "magic of cpio"),
        (1, [b"070701".to_vec(), b"+".repeat(200)].concat(), "hexadecimal"),
    ] {
        let mut all = members();
        all[at] = instead;
        let said = refusal(&all.concat());
        assert!(said.contains(expected), "{said} instead of {expected}");
    }
    let plain = unpack(&members().concat(), &list(), true).unwrap_err();
    assert!(plain.to_string().contains("form for large files"), "{plain}");
}

#[test]
fn names_and_padding_are_checked() {
    let with_name_size = |size: u32| {
        let mut bytes = member("./d/a", REGULAR, b"hello");
        bytes[94..102].copy_from_slice(format!("{size:08x}").as_bytes());
        bytes
    };
    for size in [0, 1, 3, 5, 7, 3076, u32::MAX] {
        assert!(refusal(&with_name_size(size)).contains("a name is"), "{size}");
    }
    let mut all = members();
    *all[1].last_mut().unwrap() = 1;
    assert!(refusal(&all.concat()).contains("pads a member"));
    let mut all = members();
    all[1][110] = 0xff;
    assert!(refusal(&all.concat()).contains("UTF-8"));
}
