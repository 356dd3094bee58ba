//! The clock.

use std::time::Duration;

use jiff::Timestamp;

/// The time now. `SOURCE_DATE_EPOCH` does not change it: see [`build_time`].
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The time to write into artefacts: `SOURCE_DATE_EPOCH` (seconds since 1970,
/// reproducible-builds.org) when it is set and valid, else now, in whole seconds.
#[must_use]
pub fn build_time() -> Timestamp {
    super::env::var("SOURCE_DATE_EPOCH")
        .and_then(|text| text.parse().ok())
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or_else(|| Timestamp::from_second(now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// Sleeps, but wakes early when a signal asked the run to end.
pub fn sleep(duration: Duration) {
    const SLICE: Duration = Duration::from_millis(50);
    let mut left = duration;
    while !left.is_zero() && super::signal::pending().is_none() {
        let slice = left.min(SLICE);
        std::thread::park_timeout(slice);
        left = left.saturating_sub(slice);
    }
}

/// Whether the clock is kept in step with others, by what the kernel was told (adjtimex(2)). The rule is that of
/// `timedatectl`: the largest possible error is below 16 s.
#[must_use]
pub fn is_synchronised() -> Option<bool> {
    const TIME_ERROR: nix::libc::c_int = 5;
    const LARGEST_ERROR: i64 = 16_000_000; // microseconds; the kernel counts up to it without news

    #[allow(unsafe_code, reason = "no safe wrapper has it")]
    // SAFETY: all zeros is a valid `timex`; with `modes` 0 the call only writes into the structure it is given
    let (state, told) = unsafe {
        let mut told: nix::libc::timex = std::mem::zeroed();
        (nix::libc::adjtimex(&raw mut told), told)
    };
    #[allow(clippy::useless_conversion, reason = "the type differs between platforms")]
    (state >= 0).then(|| state != TIME_ERROR && i64::from(told.maxerror) < LARGEST_ERROR)
}

/// A stopwatch.
#[derive(Debug, Clone, Copy)]
pub struct Watch(std::time::Instant);

impl Watch {
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The time since its start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
