//! Gathers what is to be checked: files, or what is installed.
