//! What is here now: facts about the host, and a survey of what the product needs or left.
//!
//! In: the root to look at. Out: plain data that planning can be done from. Never changes anything.
#![forbid(unsafe_code)]

mod accounts;
mod facts;
mod survey;

pub use accounts::{Accounts, Login, group_id, group_of, owner, user_of};
pub use facts::{Facts, facts};
pub use survey::{Directory, Survey, nearest, survey};
