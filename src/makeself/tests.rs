use std::io;

use super::*;
use crate::archive::Method;
use crate::types::Digest;

/// A tar archive as far as its first header goes.
fn tar() -> Vec<u8> {
    let mut tar = vec![0; 1024];
    tar[..4].copy_from_slice(b"file");
    tar[257..262].copy_from_slice(b"ustar");
    tar
}

fn read(file: &[u8]) -> Result<Option<Header>> {
    Header::read(file.len() as u64, &|buffer, offset| {
        let start = usize::try_from(offset).unwrap();
        let bytes = file.get(start..start + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    })
}

/// A header as 2.4 and later write it, with other values in the place of some, and one archive.
fn modern(changes: &[(&str, &str)]) -> Vec<u8> {
    let names = [
        ("CRCsum", "\"0000000000\""),
        ("MD5", "\"00000000000000000000000000000000\""),
        ("SHA", "\"0000000000000000000000000000000000000000000000000000000000000000\""),
        ("SIGNATURE", "\"\""),
        ("label", "\"A label\""),
        ("script", "\"./install.sh\""),
        ("scriptargs", "\"-a b\""),
        ("cleanup_script", "\"\""),
        ("licensetxt", "\"\""),
        ("helpheader", "''"),
        ("targetdir", "\"tree\""),
        ("filesizes", "\"1024\""),
        ("totalsize", "\"1024\""),
        ("decrypt_cmd", "\"\""),
    ];
    let mut lines =
        vec!["#!/bin/sh".to_owned(), "# This script was generated using Makeself 2.4.5".to_owned()];
    for (name, value) in names {
        let change = changes.iter().find(|(changed, _)| *changed == name);
        lines.push(format!("{name}={}", change.map_or(value, |(_, value)| value)));
    }
    let more = changes.iter().filter(|(name, _)| !names.iter().any(|(known, _)| known == name));
    let skip = more.clone().find(|(name, _)| *name == "skip").map(|(_, value)| (*value).to_owned());
    lines.extend(more.filter(|(name, _)| *name != "skip").map(|(line, _)| (*line).to_owned()));
    let count = lines.iter().map(|line| line.lines().count()).sum::<usize>() + 2;
    lines.push(format!("skip={}", skip.unwrap_or_else(|| format!("\"{count}\""))));
    lines.push("exit 0".to_owned());
    [(lines.join("\n") + "\n").into_bytes(), tar()].concat()
}

/// A header as 2.1.5 writes it: no `skip`, numbers in commands, a bare word.
fn old(command: &str) -> Vec<u8> {
    let text = format!(
        "#!/bin/sh\n# This script was generated using Makeself 2.1.5\n\nCRCsum=\"3210987654\"\n\
         MD5=\"0123456789abcdef0123456789ABCDEF\"\nTMPROOT=${{TMPDIR:=/tmp}}\n\nlabel=\"Old\"\nscript=\"./setup.sh\"\n\
         scriptargs=\"\"\ntargetdir=\"contents\"\nfilesizes=\"1024\"\nkeep=y\n\
         \tofset=`head -n 9 \"$1\"`\n    {command}\n\techo Compression: none\n    {command}\nexit 0\n"
    );
    assert_eq!(text.lines().count(), 18);
    [text.into_bytes(), tar()].concat()
}

fn refusal(file: &[u8]) -> String {
    read(file).expect_err("a refusal").to_string()
}

#[test]
fn modern_headers_are_read() {
    let digest = Digest::of(&tar()).to_string();
    let header = read(&modern(&[
        ("label", "\"My \\\"label\\\"\""),
        ("SHA", &format!("\"{digest}\"")),
        ("CRCsum", "\"12\""),
        ("licensetxt", "\"One\nskip=\\\"3\\\"\nlabel=x\n\""),
        ("preextract=\"ZWNobwo=\"", ""),
        ("SIGNATURE", "\"AQID\""),
        ("    echo Compression: none", ""),
        ("    echo Encryption: n", ""),
    ]))
    .unwrap()
    .unwrap();
    assert_eq!(header.version, "2.4.5");
    assert_eq!(header.label, "My \"label\"");
    assert_eq!((header.script.as_str(), header.arguments.as_str()), ("./install.sh", "-a b"));
    assert!(header.licence && header.runs_before && !header.runs_after);
    assert_eq!(header.compression.as_deref(), Some("none"));
    assert_eq!(header.signature.as_deref(), Some(&[1, 2, 3][..]));
    let [archive] = header.archives.as_slice() else { panic!("{header:?}") };
    assert_eq!((archive.offset, archive.length, archive.method), (header.offset, 1024, Method::None));
    assert_eq!((archive.crc, archive.md5), (Some(12), None));
    assert_eq!(archive.sha256.unwrap().to_string(), digest);
    let mut sums = Sums::new(archive);
    sums.update(&tar());
    let found = sums.compare();
    assert_eq!(found[0], Check { sum: Sum::Crc, holds: false });
    assert_eq!(found[1], Check { sum: Sum::Sha256, holds: true });
}

#[test]
fn old_headers_are_read() {
    for command in ["offset=`head -n 18 \"$1\" | wc -c | tr -d \" \"`", "offset=`head -18 \"$0\" | wc -c`"] {
        let header = read(&old(command)).unwrap().unwrap();
        assert_eq!((header.version.as_str(), header.label.as_str()), ("2.1.5", "Old"));
        let archive = &header.archives[0];
        assert_eq!(archive.crc, Some(3_210_987_654));
        assert_eq!(archive.md5.unwrap()[..2], [0x01, 0x23]);
        assert_eq!(archive.sha256, None);
    }
}

#[test]
fn several_archives_follow_each_other() {
    let sums = "\"1 0000000000\"";
    let mut file = modern(&[
        ("filesizes", "\"1024 1024\""),
        ("totalsize", "\"2048\""),
        ("CRCsum", sums),
        ("MD5", "\"\""),
        ("SHA", "\"\""),
    ]);
    file.extend(tar());
    let header = read(&file).unwrap().unwrap();
    assert_eq!(header.payload(), 2048);
    assert_eq!(header.archives[1].offset, header.offset + 1024);
    assert_eq!((header.archives[0].crc, header.archives[1].crc), (Some(1), None));
}

#[test]
fn other_files_are_none() {
    for text in ["", "#!/bin/sh\n", "# This script was generated using Makeself 2.4.5\n", "\x7fELF"] {
        assert_eq!(read(text.as_bytes()).unwrap(), None, "{text:?}");
    }
    let spoilt = b"#!/bin/sh\n# This script was generated using Makeself $(id)\n";
    assert_eq!(read(spoilt).unwrap(), None);
}

#[test]
fn what_a_shell_would_expand_is_refused_in_every_value() {
    let names = [
        "CRCsum",
        "MD5",
        "SHA",
        "SIGNATURE",
        "label",
        "script",
        "scriptargs",
        "cleanup_script",
        "licensetxt",
        "helpheader",
        "targetdir",
        "filesizes",
        "totalsize",
        "decrypt_cmd",
        "skip",
    ];
    for name in names {
        for trap in ["\"$(id)\"", "\"`id`\"", "$(id)", "`id`", "\"$HOME\"", "x; id", "x id", "'a'$b", "\"x"] {
            let why = refusal(&modern(&[(name, trap)]));
            assert!(why.contains("makeself header is refused"), "{name}={trap}: {why}");
        }
    }
}

#[test]
fn contradictions_are_refused() {
    for (change, wanted) in [
        (("label=\"Another\"", ""), "label has two different values"),
        (("skip=\"3\"", ""), "before the line that says where"),
        (("skip=\"30\"", ""), "two different numbers"),
        (("    offset=`head -n 30 \"$1\"`", ""), "two different numbers"),
        (("    offset=`head -c 3 \"$1\"`", ""), "an unknown way"),
        (("totalsize", "\"1023\""), "not the sum"),
        (("filesizes", "\"\""), "no numbers"),
        (("filesizes", "\"0\""), "no numbers"),
        (("filesizes", "\"-1\""), "no numbers"),
        (("filesizes", "\"+1024\""), "no numbers"),
        (("filesizes", "\"18446744073709551615 1024\""), "not one sum"),
        (("CRCsum", "\"1 2\""), "not one sum"),
        (("MD5", "\"12\""), "not one sum"),
        (("SHA", "\"zz\""), "not one sum"),
        (("SIGNATURE", "\"!\""), "not base64"),
        (("skip", "\"0\""), "is none"),
        (("skip", "\"9999\""), "shorter than the number of its lines"),
        (("    echo Compression: gzip", ""), "does not begin as"),
    ] {
        let why = refusal(&modern(&[change]));
        assert!(why.contains(wanted), "{change:?}: {why}");
    }
    assert!(refusal(&modern(&[("licensetxt", "\"a\nb\""), ("skip", "\"11\"")])).contains("inside a value"));
    let zero = modern(&[("x\0", "")]);
    assert!(refusal(&zero).contains("does not tell where its archive begins"));
}

#[test]
fn what_is_not_unpacked_is_named() {
    for (line, wanted) in [
        (("    echo Compression: lzo", ""), "compressed by lzo"),
        (("    echo Compression: base64", ""), "compressed by base64"),
        (("    echo Compression: bzip3", ""), "compressed by bzip3"),
        (("    echo Compression: compress", ""), "compressed by compress"),
        (("    echo Compression: gpg", ""), "encrypted (gpg)"),
        (("    echo Encryption: openssl", ""), "encrypted"),
        (("decrypt_cmd", "\"openssl enc -d\""), "encrypted"),
    ] {
        let error = read(&modern(&[line])).unwrap_err();
        assert!(matches!(&error, Error::Unsupported(what) if what.starts_with(wanted)), "{line:?}: {error}");
    }
}

#[test]
fn every_byte_has_its_place() {
    let file = modern(&[]);
    assert!(read(&file).unwrap().is_some());
    let longer = [file.as_slice(), b"\n"].concat();
    assert!(matches!(read(&longer), Err(Error::Length { .. })));
    for cut in START..file.len() {
        assert!(read(&file[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn sizes_are_bounded() {
    let many = vec!["1"; 17].join(" ");
    assert!(refusal(&modern(&[("filesizes", &format!("\"{many}\""))])).contains("more than 16"));
    let large = "x".repeat(1 << 20);
    assert!(
        refusal(&modern(&[("licensetxt", &format!("\"{large}\""))]))
            .contains("does not tell where its archive begins")
    );
    let signature = "AAAA".repeat(30_000);
    let why = refusal(&modern(&[("SIGNATURE", &format!("\"{signature}\""))]));
    assert!(why.contains("larger than 64 KiB"), "{why}");
}
