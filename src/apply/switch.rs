//! Puts one tree in the place of another in one step, and back.

use super::files::{CLOSED, LIVE, open_parent};
use super::{Context, Error, Result};
use crate::journal::Before;
use crate::retained;
use crate::sys::dir::Dir;
use crate::types::Mode;

pub(super) fn perform(context: &Context, from: &str, to: &str, before: &Before) -> Result<()> {
    let Before::Tree { exchanged, .. } = before else { return Err(Error::Lacks("the staged tree")) };
    let places = Places::open(context, from, to)?;
    let live = to == context.site.tree();
    if live {
        places.set_mode(Place::From, live_mode(context, from)?)?;
    }
    if *exchanged {
        places.exchange()?;
    } else {
        places.rename(Place::From, Place::To)?;
    }
    places.sync()?;
    if live && *exchanged {
        // the service must not change what may have to go back; only now: after a power cut the tree in
        // the place must not be closed, whichever it is
        places.set_mode(Place::From, CLOSED)?;
    }
    Ok(())
}

/// The mode of a tree that becomes the live one. What another installer made has its own.
fn live_mode(context: &Context, from: &str) -> Result<u32> {
    if from != context.site.retained_tree() {
        return Ok(LIVE);
    }
    Ok(retained::read(context.root, context.site)?
        .and_then(|retained| retained.mode)
        .map_or(LIVE, Mode::bits))
}

/// Puts the tree `inode` back to `from`, and `old`, if there was one, to `to`. The inode numbers
/// tell how far the switch, or an earlier undoing of it, had come.
pub(super) fn back(
    context: &Context,
    (from, to): (&str, &str),
    inode: u64,
    (old, mode): (Option<u64>, Option<Mode>),
) -> Result<()> {
    let places = Places::open(context, from, to)?;
    let live = to == context.site.tree();
    if let (true, Some(place), Some(mode)) = (live, places.find(old)?, mode) {
        places.set_mode(place, mode.bits())?;
    }
    for _ in 0..4 {
        let at = |wanted: Option<u64>| places.find(wanted);
        match (at(Some(inode))?, at(old)?) {
            (Some(Place::To), Some(Place::From)) => places.exchange()?,
            (Some(Place::To), _) => places.rename(Place::To, Place::From)?,
            (_, Some(Place::Aside)) => places.rename(Place::Aside, Place::To)?,
            (Some(Place::Aside), _) => places.rename(Place::Aside, Place::From)?,
            _ => break,
        }
    }
    places.sync()?;
    match places.find(Some(inode))? {
        Some(place) if live => places.set_mode(place, CLOSED),
        _ => Ok(()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    From,
    To,
    /// Used only where the file system cannot exchange.
    Aside,
}

struct Places {
    from: (Dir, String),
    to: (Dir, String),
    aside: String,
}

impl Places {
    fn open(context: &Context, from: &str, to: &str) -> Result<Self> {
        let from = open_parent(context.root, from)?;
        let aside = format!("{}.aside", from.1);
        Ok(Self { from, to: open_parent(context.root, to)?, aside })
    }

    fn at(&self, place: Place) -> (&Dir, &str) {
        match place {
            Place::From => (&self.from.0, &self.from.1),
            Place::To => (&self.to.0, &self.to.1),
            Place::Aside => (&self.from.0, &self.aside),
        }
    }

    fn find(&self, inode: Option<u64>) -> Result<Option<Place>> {
        for place in [Place::From, Place::To, Place::Aside] {
            let (dir, name) = self.at(place);
            if inode.is_some() && dir.stat(name)?.map(|stat| stat.ino) == inode {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    fn set_mode(&self, place: Place, mode: u32) -> Result<()> {
        let (dir, name) = self.at(place);
        let tree = dir.open_dir(name)?;
        tree.set_owner_and_mode(None, mode)?;
        Ok(tree.sync()?)
    }

    fn rename(&self, from: Place, to: Place) -> Result<()> {
        let ((from_dir, from), (to_dir, to)) = (self.at(from), self.at(to));
        Ok(from_dir.rename_new(from, to_dir, to)?)
    }

    /// In one step; where the file system or kernel cannot do that, in three, between which nothing
    /// is in the place. The service is stopped then.
    fn exchange(&self) -> Result<()> {
        match self.from.0.exchange(&self.from.1, &self.to.0, &self.to.1) {
            Err(e) if e.is_unsupported() => {
                self.rename(Place::To, Place::Aside)?;
                self.rename(Place::From, Place::To)?;
                self.rename(Place::Aside, Place::From)
            }
            other => Ok(other?),
        }
    }

    fn sync(&self) -> Result<()> {
        self.from.0.sync()?;
        Ok(self.to.0.sync()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inode(dir: &Dir, name: &str) -> Option<u64> {
        dir.stat(name).unwrap().map(|stat| stat.ino)
    }

    /// Every arrangement of the two trees in the three places from which the way back can begin.
    #[test]
    fn the_way_back_works_from_everywhere() {
        let arrangements =
            [["from", "to"], ["to", "from"], ["from", "aside"], ["to", "aside"], ["aside", "to"]];
        for [new_at, old_at] in arrangements {
            let temp = tempfile::tempdir().unwrap();
            let dir = Dir::open(temp.path()).unwrap();
            let name =
                |place: &str| if place == "aside" { "from.aside".to_owned() } else { place.to_owned() };
            for place in [new_at, old_at] {
                drop(dir.create_dir(name(place), 0o755, None).unwrap());
            }
            let (new, old) = (inode(&dir, &name(new_at)).unwrap(), inode(&dir, &name(old_at)));
            let secrets = super::super::Secrets::default();
            let site = crate::product::Site::default();
            let context = Context::new((temp.path(), &site), false, &secrets, &crate::event::Silent);
            back(&context, ("/from", "/to"), new, (old, None)).unwrap();
            assert_eq!((inode(&dir, "from"), inode(&dir, "to")), (Some(new), old), "{new_at} {old_at}");
            assert_eq!(inode(&dir, "from.aside"), None);
        }
    }
}
