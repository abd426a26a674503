//! The two clocks, read by the shell and nobody else.

use crate::model::{Time, WallTime};
use nix::time::{ClockId, clock_gettime};

/// Returns the monotonic time, the same in all processes of this boot.
#[must_use]
pub fn now() -> Time {
    Time(u64::try_from(read(ClockId::CLOCK_MONOTONIC)).unwrap_or(0))
}

/// Returns the wall-clock time.
#[must_use]
pub fn wall() -> WallTime {
    WallTime(read(ClockId::CLOCK_REALTIME))
}

/// Returns nanoseconds since boot with suspended time counted, the clock in which the kernel stamps the
/// start of a process (proc(5), `starttime`).
#[must_use]
pub fn since_boot_ns() -> u64 {
    #[cfg(target_os = "linux")]
    let clock = ClockId::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::CLOCK_REALTIME;
    u64::try_from(read(clock)).unwrap_or(0)
}

fn read(clock: ClockId) -> i64 {
    clock_gettime(clock).map_or(0, |t| {
        // The C types differ between platforms, so the conversions are not all no-ops.
        #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
        let (seconds, nanos) = (t.tv_sec() as i64, t.tv_nsec() as i64);
        seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
    })
}
