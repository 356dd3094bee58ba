//! After a change was undone: whether the service that had been stopped for it answers again.

use std::time::Duration;

use super::one_time::one_time_file;
use super::{Context, connection};
use crate::journal::Before;
use crate::plan::{Plan, Step};
use crate::service::{self, Wanted};

/// What the service is given to answer again.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits for the service, and tells what was seen. That it does not answer is no error of the
/// undoing: everything is as it was, and it may not have answered before.
pub(super) fn tell(plan: &Plan, context: &Context, undone: &[(usize, Before)]) {
    let step = |number: &usize| plan.steps.get(*number).map(|planned| &planned.step);
    let stopped = undone.iter().find_map(|(number, before)| match (step(number), before) {
        (Some(Step::StopUnit { unit }), Before::Unit { active: true, .. })
            if *unit == context.site.unit() =>
        {
            Some(unit)
        }
        _ => None,
    });
    if let Some(unit) = stopped.filter(|_| context.is_live() && !context.site.is_server()) {
        return match connection::wait(context, unit, (LIMIT.as_secs(), false), None) {
            Ok(healthy) => context.sink.note(connection::told(context, &healthy)),
            Err(why) => {
                context.sink.warn(format!("{unit} was started again, and is not connected yet: {why}"));
            }
        };
    }
    let asked = plan.steps.iter().find_map(|planned| match &planned.step {
        Step::AwaitHealth { port, path, seconds, .. } => Some((*port, path, *seconds)),
        _ => None,
    });
    let (Some(unit), Some((port, path, seconds))) = (stopped.filter(|_| context.is_live()), asked) else {
        return;
    };
    let log = context.site.log_file();
    let wanted = Wanted {
        unit: Some(unit),
        port,
        path,
        one_time: &context.at(&one_time_file(context.root, context.site)),
        log: context.run_log(&log),
        fips: false, // the release that is back was let in without or with it, as was asked then
        limit: LIMIT.min(Duration::from_secs(seconds)),
        version: None,
    };
    match service::await_health(&wanted) {
        Ok(healthy) => {
            let version = healthy.version.map(|version| format!(" as version {version}")).unwrap_or_default();
            context.sink.note(format!("{unit} answers on port {port} again{version}"));
        }
        Err(why) => context.sink.warn(format!("{unit} was started again, and does not answer yet: {why}")),
    }
}
