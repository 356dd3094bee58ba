//! `cert install`, `cert renew` and `cert rollback` in a scratch root.
