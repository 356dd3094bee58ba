use crate::workflow::package::{Options, Register};

/// What is asked of releases that are RPM packages
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct PackageArgs {
    /// Whether rpm's database is told of a package, so that `rpm -q` and `rpm -V` know it
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    register_rpm: When,
    /// Run the scripts that a package brings, as rpm would: as root, and never undone
    #[arg(long)]
    run_scriptlets: bool,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum When {
    /// Where rpm manages the host
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl PackageArgs {
    pub(super) fn options(self) -> Options {
        let register = match self.register_rpm {
            When::Auto => Register::Auto,
            When::Always => Register::Always,
            When::Never => Register::Never,
        };
        Options { register, scriptlets: self.run_scriptlets }
    }
}
