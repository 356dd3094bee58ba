//! The tags that are read, by the names that rpm gives them (include/rpm/rpmtag.h).
