//! What the confined process says, as bytes on a pipe. Numbers are little-endian:
//!
//! ```text
//! P  count u64                                              so many compressed bytes were read since the last P
//! E  kind u8, holds u8, mode u32, size u64, length u16, name    an entry
//! D  length u32 (at most 64 KiB), bytes                     of the file that is copied
//! F  length u16, text                                       it gives up, and why
//! Z                                                         all is said
//! ```

use std::io::{self, Read, Write};

use super::{Entry, Holds, Kind, MAX_NAME};

/// Most bytes of one `D`.
pub(super) const MAX_DATA: usize = 64 << 10;
/// Most bytes of the reason of an `F`.
const MAX_REASON: usize = 1024;

const KINDS: [Kind; 7] =
    [Kind::File, Kind::Directory, Kind::Symlink, Kind::Link, Kind::Device, Kind::Fifo, Kind::Other];
const HOLDS: [Option<Holds>; 3] = [None, Some(Holds::Bundle), Some(Holds::Rpm)];

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    Progress(u64),
    Entry(Entry),
    Data(Vec<u8>),
    Failed(String),
    End,
}

impl Message {
    /// Reads the next one; `None` when it is none.
    pub(super) fn read(reader: &mut impl Read) -> io::Result<Option<Self>> {
        let [tag] = array(reader)?;
        Ok(match tag {
            b'P' => Some(Self::Progress(u64::from_le_bytes(array(reader)?))),
            b'E' => entry(reader)?.map(Self::Entry),
            b'D' => {
                let length = usize::try_from(u32::from_le_bytes(array(reader)?)).unwrap_or(usize::MAX);
                if length > MAX_DATA { None } else { Some(Self::Data(bytes(reader, length)?)) }
            }
            b'F' => {
                let length = usize::from(u16::from_le_bytes(array(reader)?));
                let text = bytes(reader, length.min(MAX_REASON))?;
                Some(Self::Failed(String::from_utf8_lossy(&text).into_owned()))
            }
            b'Z' => Some(Self::End),
            _ => None,
        })
    }

    /// Writes it. Of a name or reason that is too long only the beginning is written.
    pub(super) fn write(&self, writer: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Progress(count) => {
                writer.write_all(b"P")?;
                writer.write_all(&count.to_le_bytes())
            }
            Self::Entry(entry) => {
                let place = |at: Option<usize>| at.and_then(|at| u8::try_from(at).ok()).unwrap_or_default();
                let kind = place(KINDS.iter().position(|kind| *kind == entry.kind));
                let holds = place(HOLDS.iter().position(|holds| *holds == entry.holds));
                writer.write_all(&[b'E', kind, holds])?;
                writer.write_all(&entry.mode.to_le_bytes())?;
                writer.write_all(&entry.size.to_le_bytes())?;
                text(writer, entry.name.as_bytes(), MAX_NAME)
            }
            Self::Data(bytes) => {
                let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
                writer.write_all(b"D")?;
                writer.write_all(&length.to_le_bytes())?;
                writer.write_all(bytes)
            }
            Self::Failed(why) => {
                writer.write_all(b"F")?;
                text(writer, why.as_bytes(), MAX_REASON)
            }
            Self::End => writer.write_all(b"Z"),
        }
    }
}

fn entry(reader: &mut impl Read) -> io::Result<Option<Entry>> {
    let [kind, holds] = array(reader)?;
    let mode = u32::from_le_bytes(array(reader)?);
    let size = u64::from_le_bytes(array(reader)?);
    let length = usize::from(u16::from_le_bytes(array(reader)?));
    let (Some(kind), Some(holds)) = (KINDS.get(usize::from(kind)), HOLDS.get(usize::from(holds))) else {
        return Ok(None);
    };
    if length > MAX_NAME || mode > 0o7777 || (holds.is_some() && *kind != Kind::File) {
        return Ok(None);
    }
    let name = String::from_utf8_lossy(&bytes(reader, length)?).into_owned();
    Ok(Some(Entry { name, kind: *kind, mode, size, holds: *holds }))
}

fn text(writer: &mut impl Write, bytes: &[u8], limit: usize) -> io::Result<()> {
    let bytes = bytes.get(..limit).unwrap_or(bytes);
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    writer.write_all(&length.to_le_bytes())?;
    writer.write_all(bytes)
}

fn array<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn bytes(reader: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let entry = |name: &str, kind, holds| {
            Message::Entry(Entry { name: name.to_owned(), kind, mode: 0o4755, size: u64::MAX, holds })
        };
        let messages = [
            Message::Progress(7),
            entry("./a b\n", Kind::File, Some(Holds::Rpm)),
            entry("", Kind::Other, None),
            Message::Data(vec![1; MAX_DATA]),
            Message::Failed("why".to_owned()),
            Message::End,
        ];
        let mut bytes = Vec::new();
        messages.iter().for_each(|message| message.write(&mut bytes).unwrap());
        let mut reader = bytes.as_slice();
        for message in messages {
            assert_eq!(Message::read(&mut reader).unwrap(), Some(message));
        }
        assert!(Message::read(&mut reader).is_err());
    }

    #[test]
    fn more_than_a_message_may_hold_is_none() {
        for bytes in [
            &b"D\x01\x00\x01\x00"[..],
            b"E\x00\x00\xff\x0f\x00\x00\0\0\0\0\0\0\0\0\x01\x10",
            b"E\x07\x00\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"E\x00\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"E\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"E\x00\x00\x00\x10\0\0\0\0\0\0\0\0\0\0\0\0",
            b"X",
        ] {
            assert_eq!(Message::read(&mut &bytes[..]).unwrap(), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = bytes.as_slice();
            while let Ok(Some(_)) = Message::read(&mut reader) {}
        }
    }
}
