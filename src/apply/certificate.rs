//! Keeps a pair of chain and key before another one takes its place.

use super::files::open_parent;
use super::{Context, Error, Result, keep};
use crate::product::{self, PairPaths};

/// Makes `path` anew with copies of both files, and with a record of where they were. What is left there
/// is of a run that ended.
pub(super) fn keep(context: &Context, path: &str, pair: &PairPaths) -> Result<()> {
    let (above, name) = open_parent(context.root, path)?;
    above.remove_tree(&name)?;
    let dir = above.create_dir(&name, keep::PRIVATE, None)?;
    keep::copy(context, &pair.chain, &dir, product::KEPT_CHAIN)?;
    keep::copy(context, &pair.key, &dir, product::KEPT_KEY)?;
    let record = serde_json::to_vec(pair).map_err(|_| Error::Lacks("a record of the pair's place"))?;
    dir.replace_file(product::KEPT_RECORD, &record, 0o600, None)?;
    Ok(above.sync()?)
}
