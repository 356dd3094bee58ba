//! Whether clients are asked for certificates.
