//! The tags that are read, by the names that rpm gives them (include/rpm/rpmtag.h).

/// Region of a signature header.
pub(super) const HEADERSIGNATURES: u32 = 62;
/// Region of a main header.
pub(super) const HEADERIMMUTABLE: u32 = 63;
/// What old packages have in the trailer of the region of a signature header.
pub(super) const HEADERIMAGE: u32 = 61;
/// The smallest tag that is no region.
pub(super) const HEADERI18NTABLE: u32 = 100;

// In a signature header.
pub(super) const SIG_DSA: u32 = 267;
pub(super) const SIG_RSA: u32 = 268;
pub(super) const SIG_SHA1: u32 = 269;
pub(super) const SIG_SHA256: u32 = 273;
pub(super) const SIG_OPENPGP: u32 = 278;
pub(super) const SIG_SHA3_256: u32 = 279;
pub(super) const SIG_PGP: u32 = 1002;
pub(super) const SIG_MD5: u32 = 1004;
pub(super) const SIG_GPG: u32 = 1005;
pub(super) const SIG_PGP5: u32 = 1006;

// In a main header: the package.
pub(super) const NAME: u32 = 1000;
pub(super) const VERSION: u32 = 1001;
pub(super) const RELEASE: u32 = 1002;
pub(super) const EPOCH: u32 = 1003;
pub(super) const SUMMARY: u32 = 1004;
pub(super) const BUILDTIME: u32 = 1006;
pub(super) const VENDOR: u32 = 1011;
pub(super) const LICENSE: u32 = 1014;
pub(super) const OS: u32 = 1021;
pub(super) const ARCH: u32 = 1022;
pub(super) const SOURCERPM: u32 = 1044;
pub(super) const SOURCEPACKAGE: u32 = 1106;
pub(super) const RPMFORMAT: u32 = 5114;

// The payload.
pub(super) const PAYLOADFORMAT: u32 = 1124;
pub(super) const PAYLOADCOMPRESSOR: u32 = 1125;
pub(super) const PAYLOADSHA256: u32 = 5092;
pub(super) const PAYLOADSHA256ALGO: u32 = 5093;
pub(super) const PAYLOADSHA256ALT: u32 = 5097;

// Dependencies: names, flags, versions.
pub(super) const PROVIDE: [u32; 3] = [1047, 1112, 1113];
pub(super) const REQUIRE: [u32; 3] = [1049, 1048, 1050];
pub(super) const CONFLICT: [u32; 3] = [1054, 1053, 1055];
pub(super) const OBSOLETE: [u32; 3] = [1090, 1114, 1115];

// Files.
pub(super) const OLDFILENAMES: u32 = 1027;
pub(super) const FILESIZES: u32 = 1028;
pub(super) const FILEMODES: u32 = 1030;
pub(super) const FILEMTIMES: u32 = 1034;
pub(super) const FILEDIGESTS: u32 = 1035;
pub(super) const FILELINKTOS: u32 = 1036;
pub(super) const FILEFLAGS: u32 = 1037;
pub(super) const FILEUSERNAME: u32 = 1039;
pub(super) const FILEGROUPNAME: u32 = 1040;
pub(super) const FILEVERIFYFLAGS: u32 = 1045;
pub(super) const FILEDEVICES: u32 = 1095;
pub(super) const FILEINODES: u32 = 1096;
pub(super) const DIRINDEXES: u32 = 1116;
pub(super) const BASENAMES: u32 = 1117;
pub(super) const DIRNAMES: u32 = 1118;
pub(super) const LONGFILESIZES: u32 = 5008;
pub(super) const FILECAPS: u32 = 5010;
pub(super) const FILEDIGESTALGO: u32 = 5011;
