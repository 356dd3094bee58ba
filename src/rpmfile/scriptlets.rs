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
