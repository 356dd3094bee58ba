//! Alerts of TLS: what the other side says before it closes a connection (RFC 8446, 6).

use openssl::error::ErrorStack;

/// OpenSSL's own number of its TLS (`ERR_LIB_SSL`).
pub const LIBRARY: i32 = 20;
/// How OpenSSL numbers an alert of the other side: 1000 and the alert.
const FIRST: i32 = 1000;
/// What servers say to a client that shows no certificate: handshake_failure and bad_certificate before
/// TLS 1.3 (RFC 5246, 7.2.2 and 7.4.6), certificate_required since (RFC 8446, 6.2).
pub const NO_CERTIFICATE: [i32; 3] = [40, 42, 116];

/// The alert that an error of OpenSSL tells.
#[must_use]
pub fn of(error: &ErrorStack) -> Option<i32> {
    let of_tls = error.errors().iter().filter(|e| e.library_code() == LIBRARY);
    of_tls.map(|e| e.reason_code() - FIRST).find(|alert| (0..=255).contains(alert))
}

/// The name of an alert (RFC 8446, 6; RFC 5246, 7.2).
#[must_use]
pub fn name(number: i32) -> String {
    let name = match number {
        10 => "unexpected message",
        20 => "bad record mac",
        40 => "handshake failure",
        42 => "bad certificate",
        43 => "unsupported certificate",
        44 => "certificate revoked",
        45 => "certificate expired",
        46 => "certificate unknown",
        47 => "illegal parameter",
        48 => "unknown ca",
        49 => "access denied",
        50 => "decode error",
        51 => "decrypt error",
        70 => "protocol version",
        71 => "insufficient security",
        80 => "internal error",
        86 => "inappropriate fallback",
        109 => "missing extension",
        112 => "unrecognized name",
        116 => "certificate required",
        120 => "no application protocol",
        _ => return format!("alert {number}"),
    };
    name.to_owned()
}
