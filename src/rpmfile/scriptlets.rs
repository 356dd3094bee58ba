use super::error::shortened;
use super::header::Header;
use super::{Error, Result, tags};

/// Most dependencies of a kind, and most triggers and their conditions.
const MAX_DEPENDENCIES: usize = 100_000;

/// The features of rpm that this room reads as rpm does. A package that asks for another one, such as
/// `PayloadIsLzma`, or `ShortCircuited`, which no rpm has, is refused.
const FEATURES: [&str; 20] = [
    "BuiltinLuaScripts",
    "CaretInVersions",
    "CompressedFileNames",
    "ConcurrentAccess",
    "DynamicBuildRequires",
    "ExplicitPackageProvide",
    "FileCaps",
    "FileDigests",
    "HeaderLoadSortsTags",
    "LargeFiles",
    "PartialHardlinkSets",
    "PayloadFilesHavePrefix",
    "PayloadIsBzip2",
    "PayloadIsXz",
    "PayloadIsZstd",
    "RichDependencies",
    "ScriptletExpansion",
    "ScriptletInterpreterArgs",
    "TildeInVersions",
    "VersionedDependencies",
];

/// A relation to another package, as rpm writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// A package, a file, a library, or a feature such as `rpmlib(LargeFiles)`.
    pub name: String,
    /// rpm's flags (RPMSENSE in rpmds.h): 2 less, 4 greater, 8 equal, and where it comes from.
    pub flags: u32,
    /// `[epoch:]version[-release]`, empty when any will do.
    pub version: String,
}

/// A script that rpm runs at some point of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scriptlet {
    /// At which point.
    pub when: When,
    /// The interpreter and its arguments; `<lua>` is the one inside rpm.
    pub interpreter: Vec<String>,
    /// The script; empty when the interpreter is run alone.
    pub body: String,
    /// rpm's flags (RPMSCRIPT_FLAG in rpmscript.h): 1 the body is expanded as macros when it is run, 2 as a
    /// query format.
    pub flags: u32,
    /// What sets a trigger off: packages, or prefixes of paths. Empty for others.
    pub conditions: Vec<Dependency>,
}

/// When a scriptlet runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// `%pretrans`
    PreTrans,
    /// `%pre`
    Pre,
    /// `%post`
    Post,
    /// `%preun`
    PreUn,
    /// `%postun`
    PostUn,
    /// `%posttrans`
    PostTrans,
    /// `%preuntrans`
    PreUnTrans,
    /// `%postuntrans`
    PostUnTrans,
    /// `%verifyscript`
    Verify,
    /// `%triggerprein`, `%triggerin`, `%triggerun`, `%triggerpostun`: the conditions' flags tell which.
    Trigger,
    /// `%filetriggerin` and its kin.
    FileTrigger,
    /// `%transfiletriggerin` and its kin.
    TransFileTrigger,
}

/// Script, interpreter, flags of each scriptlet.
const SCRIPTLETS: [(When, [u32; 3]); 9] = [
    (When::PreTrans, [1151, 1153, 5024]),
    (When::Pre, [1023, 1085, 5020]),
    (When::Post, [1024, 1086, 5021]),
    (When::PreUn, [1025, 1087, 5022]),
    (When::PostUn, [1026, 1088, 5023]),
    (When::PostTrans, [1152, 1154, 5025]),
    (When::PreUnTrans, [5103, 5105, 5107]),
    (When::PostUnTrans, [5104, 5106, 5108]),
    (When::Verify, [1079, 1091, 5026]),
];

/// The entries of a kind of trigger.
struct Triggers {
    when: When,
    scripts: u32,
    interpreters: u32,
    flags: u32,
    /// Names, flags, versions.
    conditions: [u32; 3],
    /// For each condition, which script it sets off.
    indexes: u32,
}

const TRIGGERS: [Triggers; 3] = [
    Triggers {
        when: When::Trigger,
        scripts: 1065,
        interpreters: 1092,
        flags: 5027,
        conditions: [1066, 1068, 1067],
        indexes: 1069,
    },
    Triggers {
        when: When::FileTrigger,
        scripts: 5066,
        interpreters: 5067,
        flags: 5068,
        conditions: [5069, 5072, 5071],
        indexes: 5070,
    },
    Triggers {
        when: When::TransFileTrigger,
        scripts: 5076,
        interpreters: 5077,
        flags: 5078,
        conditions: [5079, 5082, 5081],
        indexes: 5080,
    },
];

/// The dependencies under these tags: names, flags, versions.
pub(super) fn dependencies(header: &Header<'_>, tags: [u32; 3]) -> Result<Vec<Dependency>> {
    let [names, flags, versions] = tags;
    let uneven = |tag| header.bad(tag, "it does not have one value for each dependency");
    let Some(found) = header.texts(names)? else { return Ok(Vec::new()) };
    let count = found.len();
    if count > MAX_DEPENDENCIES {
        return Err(header.bad(names, "it holds more dependencies than a package may have"));
    }
    let bits = header.u32s(flags)?.filter(|bits| bits.len() == count).ok_or_else(|| uneven(flags))?;
    let texts =
        header.texts(versions)?.filter(|texts| texts.len() == count).ok_or_else(|| uneven(versions))?;
    let mut all = Vec::with_capacity(count);
    for ((name, flags), version) in found.zip(bits).zip(texts) {
        all.push(Dependency { name: name?.to_owned(), flags, version: version?.to_owned() });
    }
    Ok(all)
}

/// What the package requires, all of which this room can read.
pub(super) fn requires(header: &Header<'_>) -> Result<Vec<Dependency>> {
    let all = dependencies(header, tags::REQUIRE)?;
    for required in &all {
        let Some(feature) = required.name.strip_prefix("rpmlib(") else { continue };
        let known = feature.strip_suffix(')').is_some_and(|feature| FEATURES.contains(&feature));
        if !known {
            return Err(Error::Feature(shortened(&required.name)));
        }
    }
    Ok(all)
}

/// All that rpm would run.
pub(super) fn scriptlets(header: &Header<'_>) -> Result<Vec<Scriptlet>> {
    let mut all = Vec::new();
    for (when, [script, interpreter, flags]) in SCRIPTLETS {
        let body = header.text(script)?;
        let interpreter = match header.texts(interpreter)? {
            Some(words) if words.len() > MAX_DEPENDENCIES => {
                return Err(header.bad(interpreter, "it has too many arguments"));
            }
            Some(words) => words.map(|word| word.map(str::to_owned)).collect::<Result<_>>()?,
            None if body.is_none() => continue,
            None => vec!["/bin/sh".to_owned()],
        };
        let body = body.unwrap_or_default().to_owned();
        let flags = header.u32(flags)?.unwrap_or_default();
        all.push(Scriptlet { when, interpreter, body, flags, conditions: Vec::new() });
    }
    for kind in TRIGGERS {
        all.append(&mut triggers(header, &kind)?);
    }
    Ok(all)
}

fn triggers(header: &Header<'_>, kind: &Triggers) -> Result<Vec<Scriptlet>> {
    let Some(bodies) = header.texts(kind.scripts)? else { return Ok(Vec::new()) };
    let uneven = |tag| header.bad(tag, "it does not have one value for each trigger");
    let count = bodies.len();
    if count > MAX_DEPENDENCIES {
        return Err(header.bad(kind.scripts, "it holds more triggers than a package may have"));
    }
    let mut interpreters = header.texts(kind.interpreters)?;
    if interpreters.as_ref().is_some_and(|all| all.len() != count) {
        return Err(uneven(kind.interpreters));
    }
    let flags = header.u32s(kind.flags)?;
    if flags.as_ref().is_some_and(|all| all.len() != count) {
        return Err(uneven(kind.flags));
    }
    let mut flags = flags.unwrap_or_default().into_iter();
    let mut all = Vec::with_capacity(count);
    for body in bodies {
        let interpreter = interpreters.as_mut().and_then(Iterator::next).unwrap_or(Ok("/bin/sh"))?;
        all.push(Scriptlet {
            when: kind.when,
            interpreter: vec![interpreter.to_owned()],
            body: body?.to_owned(),
            flags: flags.next().unwrap_or_default(),
            conditions: Vec::new(),
        });
    }
    let conditions = dependencies(header, kind.conditions)?;
    let indexes = header.u32s(kind.indexes)?.unwrap_or_default();
    if indexes.len() != conditions.len() {
        return Err(header.bad(kind.indexes, "it does not have one value for each condition"));
    }
    for (index, condition) in indexes.into_iter().zip(conditions) {
        let trigger = usize::try_from(index).ok().and_then(|index| all.get_mut(index));
        trigger
            .ok_or_else(|| header.bad(kind.indexes, "it names a trigger that is not there"))?
            .conditions
            .push(condition);
    }
    Ok(all)
}
