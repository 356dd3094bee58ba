//! `cert csr`, `cert convert` and `cert client`, read back by the real openssl.
