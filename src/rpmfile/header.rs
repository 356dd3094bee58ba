/// Most bytes of a main header, entries and store together. One of 60,000 files has about 10 MiB; rpm's own
/// limit is 256 MiB of store.
pub const MAX_HEADER: u64 = 32 << 20;
/// Most bytes of a signature header. Signatures take some kilobytes; IMA signatures of each file, which may lie
/// there too, some hundred bytes a file. rpm's own limit is 64 MiB.
pub const MAX_SIGNATURE_HEADER: u64 = 16 << 20;
