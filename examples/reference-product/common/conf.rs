//! Configuration files: JSON in which nested and dotted keys mean the same, whatever their case.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::files;

/// The leaves of a configuration file under their dotted, lower-case names.
#[derive(Default)]
pub(crate) struct Conf(BTreeMap<String, Value>);

impl Conf {
    /// Reads a file; nothing when there is none.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Option<Self>> {
        let Some(text) = files::read_if_there(path)? else { return Ok(None) };
        let value: Value =
            serde_json::from_slice(&text).with_context(|| format!("{} is not valid JSON", path.display()))?;
        if !value.is_object() {
            bail!("{} does not hold a JSON object", path.display());
        }
        let mut leaves = BTreeMap::new();
        flatten("", value, &mut leaves);
        Ok(Some(Self(leaves)))
    }

    /// The value of a key, which is given in lower case.
    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// A text; a value of another type silently means the default, as in the product.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.value(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }
}

fn flatten(prefix: &str, value: Value, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let key = key.to_lowercase();
                let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
                flatten(&name, value, leaves);
            }
        }
        leaf => {
            leaves.insert(prefix.to_owned(), leaf);
        }
    }
}
