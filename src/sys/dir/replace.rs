use std::fs::File;
use std::io::Write as _;

use super::super::attributes::copy_extended;
use super::super::error::Context as _;
use super::super::{Result, fault};
use super::{Dir, Ids, set_attributes, temp_name};

impl Dir {
    /// Writes a file in one step: a temporary file with its final owner and mode, synced, renamed
    /// over `name`, the directory synced.
    ///
    /// # Errors
    /// When a part fails; `name` is as before then.
    pub fn replace_file(&self, name: &str, bytes: &[u8], mode: u32, owner: Option<Ids>) -> Result<()> {
        self.replace(name, bytes, (mode, owner, None))
    }

    /// As [`Dir::replace_file`], with the extended attributes of `like`, which is the file that is replaced.
    ///
    /// # Errors
    /// When a part fails; `name` is as before then.
    pub fn replace_file_like(
        &self,
        name: &str,
        bytes: &[u8],
        like: &File,
        (mode, owner): (u32, Option<Ids>),
    ) -> Result<()> {
        self.replace(name, bytes, (mode, owner, Some(like)))
    }

    fn replace(
        &self,
        name: &str,
        bytes: &[u8],
        (mode, owner, like): (u32, Option<Ids>, Option<&File>),
    ) -> Result<()> {
        self.remove_leftover(name)?;
        let temp = temp_name(name)?;
        let path = self.path_of(name);
        let result = (|| {
            let mut file = self.create_file(&temp)?;
            if let Some(like) = like {
                copy_extended(like, &file, &path)?;
            }
            set_attributes(&file, &path, owner, mode)?;
            fault::point("write file").context("write", &path)?;
            file.write_all(bytes).context("write", &path)?;
            fault::point("sync file").context("sync", &path)?;
            file.sync_all().context("sync", &path)?;
            self.rename(&temp, self, name)
        })();
        if result.is_err() {
            let _ = self.remove_file(&temp);
        }
        result?;
        self.sync()
    }
}
