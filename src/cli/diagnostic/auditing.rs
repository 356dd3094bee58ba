//! Errors of `audit`.

use super::{Diagnosis, diagnosis};
use crate::cli::audit::{PageExists, Unknown};
use crate::cli::exit::Exit;

pub(super) fn of_requirement(error: &Unknown) -> Diagnosis {
    let meant = error.meant.map_or_else(String::new, |id| format!("{id} was probably meant; "));
    diagnosis(Exit::Usage, format!("{meant}`demisto-install audit --list` shows all"))
}

pub(super) fn of_page(_: &PageExists) -> Diagnosis {
    diagnosis(Exit::Usage, "give another name, or --force to write over it")
}
