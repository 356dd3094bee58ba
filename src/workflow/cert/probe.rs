//! A look at the TLS of a server.
