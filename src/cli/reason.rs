//! One word for machines: why a request was refused. It does not change between versions.

use crate::workflow::wrapper;
use crate::{apply, makeself, plan, release, verify, workflow};

/// The word for the outermost error that has one.
pub(super) fn reason(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(of)
}

fn of(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    None.or_else(|| error.downcast_ref().and_then(of_plan))
        .or_else(|| error.downcast_ref().map(|_: &verify::PinError| "other-signer"))
        .or_else(|| error.downcast_ref().map(|_: &verify::Error| "signature"))
        .or_else(|| error.downcast_ref().and_then(of_release))
        .or_else(|| error.downcast_ref().and_then(of_apply))
        .or_else(|| error.downcast_ref().and_then(of_workflow))
        .or_else(|| error.downcast_ref().and_then(of_wrapper))
}

fn of_plan(error: &plan::Error) -> Option<&'static str> {
    use plan::Error as E;
    match error {
        E::Downgrade { .. } => Some("downgrade"),
        E::Epoch { .. } => Some("epoch"),
        E::OtherSigner { .. } => Some("other-signer"),
        E::NotAServer | E::NotAnEngine | E::EngineInPlace => Some("other-role"),
        E::NeedsName => Some("needs-name"),
        E::OddDir { .. } => Some("no-directory"),
        E::EnginesRemain { .. } => Some("engines-remain"),
        E::OtherProduct { .. } => Some("other-product"),
        E::Path { .. } => Some("upgrade-path"),
        E::DataTooNew { .. } | E::NewerData { .. } => Some("data-form"),
        E::NoSnapshot { .. } | E::NoDataSpace { .. } | E::NoSpace { .. } => Some("space"),
        E::NoDataToRestore { .. } => Some("no-snapshot"),
        E::NothingRetained => Some("nothing-retained"),
        E::NothingInstalled => Some("nothing-installed"),
        E::MountPoint | E::InnerMount { .. } => Some("mount"),
        _ => None,
    }
}

fn of_release(error: &release::Error) -> Option<&'static str> {
    match error {
        release::Error::Refused(_) => Some("signature"),
        release::Error::Shape | release::Error::Damaged { .. } => Some("damaged"),
        _ => None,
    }
}

fn of_apply(error: &apply::Error) -> Option<&'static str> {
    match error.root_cause() {
        apply::Error::Unhealthy { .. } => Some("unhealthy"),
        apply::Error::Release(inner) => of_release(inner),
        _ => None,
    }
}

fn of_wrapper(error: &wrapper::Error) -> Option<&'static str> {
    use wrapper::Error as E;
    match error {
        E::Outer { .. } => Some("signature"),
        E::Header { source: makeself::Error::Unsupported(_), .. } => Some("unsupported"),
        E::Header { .. } | E::Sum { .. } | E::Unpack { .. } | E::Crafted { .. } => Some("damaged"),
        E::Nothing { .. } | E::Several { .. } => Some("no-release"),
        E::NoSpace { .. } => None,
    }
}

fn of_workflow(error: &workflow::Error) -> Option<&'static str> {
    use workflow::Error as E;
    match error {
        E::Busy(_) => Some("busy"),
        E::Drift { .. } => Some("drift"),
        E::EngineConfig { .. } => Some("engine-config"),
        E::PlanDiffers { .. } => Some("plan-differs"),
        _ => None,
    }
}
