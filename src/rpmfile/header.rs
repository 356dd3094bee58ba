use super::tags;
use super::{Error, Result};

/// Most bytes of a main header, entries and store together. One of 60,000 files has about 10 MiB; rpm's own
/// limit is 256 MiB of store.
pub const MAX_HEADER: u64 = 32 << 20;
/// Most bytes of a signature header. Signatures take some kilobytes; IMA signatures of each file, which may lie
/// there too, some hundred bytes a file. rpm's own limit is 64 MiB.
pub const MAX_SIGNATURE_HEADER: u64 = 16 << 20;

/// Length of what is before the entries, and of an entry, in bytes.
pub(super) const INTRO: usize = 16;
const ENTRY: usize = 16;
/// Magic, version 1, and four reserved bytes, which rpm compares, too.
const MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];

/// The two headers of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Signature,
    Main,
}

impl Which {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature header",
            Self::Main => "header",
        }
    }

    fn region(self) -> u32 {
        match self {
            Self::Signature => tags::HEADERSIGNATURES,
            Self::Main => tags::HEADERIMMUTABLE,
        }
    }

    /// As many entries as rpm allows.
    fn max_entries(self) -> u32 {
        match self {
            Self::Signature => 32,
            Self::Main => 0xffff,
        }
    }

    fn max_bytes(self) -> u64 {
        match self {
            Self::Signature => MAX_SIGNATURE_HEADER,
            Self::Main => MAX_HEADER,
        }
    }

    fn damaged(self, why: &'static str) -> Error {
        Error::Header { header: self.name(), why }
    }
}

/// How a value is stored (rpmTagType in rpmtag.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    /// Single bytes, or a run of them.
    Bytes,
    Int16,
    Int32,
    Int64,
    String,
    /// An array of strings, of which translations are one.
    Strings,
}

impl Type {
    fn of(number: u32) -> Option<Self> {
        match number {
            1 | 2 | 7 => Some(Self::Bytes),
            3 => Some(Self::Int16),
            4 => Some(Self::Int32),
            5 => Some(Self::Int64),
            6 => Some(Self::String),
            8 | 9 => Some(Self::Strings),
            _ => None,
        }
    }

    /// The size of one value, which is what its offset is aligned to as well.
    fn size(self) -> usize {
        match self {
            Self::Bytes | Self::String | Self::Strings => 1,
            Self::Int16 => 2,
            Self::Int32 => 4,
            Self::Int64 => 8,
        }
    }
}

/// An entry as it is stored: tag, type, offset, count.
#[derive(Clone, Copy)]
struct Raw {
    tag: u32,
    kind: u32,
    offset: u32,
    count: u32,
}

impl Raw {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut words =
            bytes.chunks_exact(4).filter_map(|word| Some(u32::from_be_bytes(word.try_into().ok()?)));
        Some(Self { tag: words.next()?, kind: words.next()?, offset: words.next()?, count: words.next()? })
    }
}

/// A header whose entries all lie where they may.
pub(super) struct Header<'a> {
    which: Which,
    /// Ordered by tag.
    values: Vec<Value<'a>>,
}

struct Value<'a> {
    tag: u32,
    kind: Type,
    count: usize,
    bytes: &'a [u8],
}

/// The length of the whole header whose first 16 bytes these are.
pub(super) fn length(which: Which, intro: &[u8; INTRO]) -> Result<usize> {
    let (magic, rest) = intro.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(which.damaged("its magic is missing"));
    }
    let mut words = rest.chunks_exact(4).filter_map(|word| Some(u32::from_be_bytes(word.try_into().ok()?)));
    let (entries, store) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if entries == 0 {
        return Err(which.damaged("it has no entries"));
    }
    let too_large = |what, found: u64, limit| Err(Error::TooLarge { what, found, limit });
    if entries > which.max_entries() {
        return too_large("the number of a header's entries", entries.into(), which.max_entries().into());
    }
    let length = u64::from(entries).saturating_mul(16).saturating_add(u64::from(store)).saturating_add(16);
    match usize::try_from(length) {
        Ok(fits) if length <= which.max_bytes() => Ok(fits),
        _ => too_large("a header in bytes", length, which.max_bytes()),
    }
}

impl<'a> Header<'a> {
    /// Takes a whole header apart, with the checks of rpm's `hdrblobVerifyRegion` and `hdrblobVerifyInfo`, and
    /// refuses a tag that comes twice.
    pub(super) fn parse(which: Which, bytes: &'a [u8]) -> Result<Self> {
        let cut = || which.damaged("its length is not what it says");
        let (intro, rest) = bytes.split_first_chunk::<INTRO>().ok_or_else(cut)?;
        if length(which, intro)? != bytes.len() {
            return Err(cut());
        }
        let entries = intro.get(8..12).and_then(|word| word.try_into().ok()).map_or(0, u32::from_be_bytes);
        let entries = usize::try_from(entries).map_err(|_| cut())?;
        let (index, store) = rest.split_at_checked(entries.saturating_mul(ENTRY)).ok_or_else(cut)?;
        let mut raw = index.chunks_exact(ENTRY).filter_map(Raw::parse);
        let region = raw.next().ok_or_else(cut)?;
        let trailer = check_region(which, region, entries, store)?;
        let mut values = Vec::with_capacity(entries);
        let mut end = 0;
        for entry in raw {
            let (value, next) = value(which, entry, store, end, trailer)?;
            values.push(value);
            end = next;
        }
        values.sort_by_key(|value| value.tag);
        let twice = values.windows(2).find_map(|pair| match pair {
            [a, b] if a.tag == b.tag => Some(a.tag),
            _ => None,
        });
        match twice {
            Some(tag) => Err(Error::Entry { header: which.name(), tag, why: "it comes twice" }),
            None => Ok(Self { which, values }),
        }
    }

    /// Whether there is such an entry.
    pub(super) fn has(&self, tag: u32) -> bool {
        self.find(tag).is_some()
    }

    /// An error about an entry.
    pub(super) fn bad(&self, tag: u32, why: &'static str) -> Error {
        Error::Entry { header: self.which.name(), tag, why }
    }

    /// The single bytes of an entry.
    pub(super) fn bytes(&self, tag: u32) -> Result<Option<&'a [u8]>> {
        Ok(self.typed(tag, &[Type::Bytes])?.map(|value| value.bytes))
    }

    /// A text, or the first of several.
    pub(super) fn text(&self, tag: u32) -> Result<Option<&'a str>> {
        let Some(mut texts) = self.texts(tag)? else { return Ok(None) };
        texts.next().transpose()
    }

    /// Texts, one after the other.
    pub(super) fn texts(&self, tag: u32) -> Result<Option<Texts<'a>>> {
        let value = self.typed(tag, &[Type::String, Type::Strings])?;
        Ok(value.map(|value| Texts { header: self.which.name(), tag, left: value.count, bytes: value.bytes }))
    }

    /// Numbers of 16 bits.
    pub(super) fn u16s(&self, tag: u32) -> Result<Option<Vec<u16>>> {
        let value = self.typed(tag, &[Type::Int16])?;
        let read = |bytes: &[u8]| Some(u16::from_be_bytes(bytes.try_into().ok()?));
        Ok(value.map(|value| value.bytes.chunks_exact(2).filter_map(read).collect()))
    }

    /// Numbers of 32 bits.
    pub(super) fn u32s(&self, tag: u32) -> Result<Option<Vec<u32>>> {
        let value = self.typed(tag, &[Type::Int32])?;
        let read = |bytes: &[u8]| Some(u32::from_be_bytes(bytes.try_into().ok()?));
        Ok(value.map(|value| value.bytes.chunks_exact(4).filter_map(read).collect()))
    }

    /// Numbers of 64 bits.
    pub(super) fn u64s(&self, tag: u32) -> Result<Option<Vec<u64>>> {
        let value = self.typed(tag, &[Type::Int64])?;
        let read = |bytes: &[u8]| Some(u64::from_be_bytes(bytes.try_into().ok()?));
        Ok(value.map(|value| value.bytes.chunks_exact(8).filter_map(read).collect()))
    }

    /// One number of 32 bits.
    pub(super) fn u32(&self, tag: u32) -> Result<Option<u32>> {
        match self.u32s(tag)?.as_deref() {
            None => Ok(None),
            Some([one]) => Ok(Some(*one)),
            Some(_) => Err(self.bad(tag, "it holds more than one number")),
        }
    }

    fn find(&self, tag: u32) -> Option<&Value<'a>> {
        let at = self.values.binary_search_by_key(&tag, |value| value.tag).ok()?;
        self.values.get(at)
    }

    fn typed(&self, tag: u32, kinds: &[Type]) -> Result<Option<&Value<'a>>> {
        match self.find(tag) {
            Some(value) if !kinds.contains(&value.kind) => Err(self.bad(tag, "it has the wrong type")),
            found => Ok(found),
        }
    }
}

/// Where the region's trailer begins and ends in the store.
type Trailer = (usize, usize);

/// The region says which entries were there when the header was made. In a main header that is all of them:
/// nothing was added afterwards.
fn check_region(which: Which, region: Raw, entries: usize, store: &[u8]) -> Result<Trailer> {
    if region.tag != which.region() {
        return Err(which.damaged("it does not begin with a region, as since rpm 4 all do"));
    }
    let bad = || which.damaged("its region is not as rpm writes it");
    if (region.kind, region.count) != (7, 16) {
        return Err(bad());
    }
    let start = usize::try_from(region.offset).map_err(|_| bad())?;
    let end = start.checked_add(ENTRY).ok_or_else(bad)?;
    let trailer = store.get(start..end).and_then(Raw::parse).ok_or_else(bad)?;
    let named =
        trailer.tag == which.region() || (which == Which::Signature && trailer.tag == tags::HEADERIMAGE);
    // A negative offset: from the trailer back to the first entry, were they one after the other.
    let covered = usize::try_from(trailer.offset.wrapping_neg()).map_err(|_| bad())?;
    let whole = covered.is_multiple_of(ENTRY) && (ENTRY..=entries.saturating_mul(ENTRY)).contains(&covered);
    if !named || (trailer.kind, trailer.count) != (7, 16) || !whole {
        return Err(bad());
    }
    if which == Which::Main && (covered / ENTRY != entries || end != store.len()) {
        return Err(which.damaged("something was added to it behind its region"));
    }
    Ok((start, end))
}

/// Checks one entry, whose value must begin at `least` or later; returns it and where its value ends.
fn value<'a>(
    which: Which,
    entry: Raw,
    store: &'a [u8],
    least: usize,
    trailer: Trailer,
) -> Result<(Value<'a>, usize)> {
    let bad = |why| Error::Entry { header: which.name(), tag: entry.tag, why };
    if entry.tag < tags::HEADERI18NTABLE {
        return Err(bad("no entry may have that number"));
    }
    let kind = Type::of(entry.kind).ok_or_else(|| bad("its type is unknown"))?;
    let outside = || bad("its value is not inside the header");
    let start = usize::try_from(entry.offset).map_err(|_| outside())?;
    let count = usize::try_from(entry.count).map_err(|_| outside())?;
    let rest = store.get(start..).ok_or_else(outside)?;
    if count == 0 || count > rest.len() {
        return Err(bad("its number of values is impossible"));
    }
    if !start.is_multiple_of(kind.size()) {
        return Err(bad("its value is not aligned"));
    }
    if start < least {
        return Err(bad("its value overlaps the one before"));
    }
    let length = match kind {
        Type::String if count != 1 => return Err(bad("its number of values is impossible")),
        Type::String | Type::Strings => strings_length(rest, count).ok_or_else(outside)?,
        _ => count.checked_mul(kind.size()).ok_or_else(outside)?,
    };
    let bytes = rest.get(..length).ok_or_else(outside)?;
    let end = start.checked_add(length).ok_or_else(outside)?;
    if end > trailer.0 && start < trailer.1 {
        return Err(bad("its value overlaps the region's trailer"));
    }
    Ok((Value { tag: entry.tag, kind, count, bytes }, end))
}

/// The length of `count` strings, each with its NUL.
fn strings_length(bytes: &[u8], count: usize) -> Option<usize> {
    let nul = bytes.iter().enumerate().filter(|(_, byte)| **byte == 0).nth(count.checked_sub(1)?);
    nul?.0.checked_add(1)
}

/// The texts of an entry, which are UTF-8.
pub(super) struct Texts<'a> {
    header: &'static str,
    tag: u32,
    left: usize,
    bytes: &'a [u8],
}

impl Texts<'_> {
    /// How many are to come.
    pub(super) fn len(&self) -> usize {
        self.left
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = Result<&'a str>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let end = self.bytes.iter().position(|byte| *byte == 0)?;
        let (text, rest) = self.bytes.split_at_checked(end)?;
        self.bytes = rest.get(1..)?;
        let bad = |_| Error::Entry { header: self.header, tag: self.tag, why: "it is not UTF-8" };
        Some(std::str::from_utf8(text).map_err(bad))
    }
}
