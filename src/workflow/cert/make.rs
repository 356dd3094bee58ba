//! Keys, requests, client certificates, and other forms of keys: new files only.
