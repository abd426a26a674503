//! Waiting with a deadline. There is no bare sleep in a test: it waits for something, or it watches something.

use std::time::{Duration, Instant};

/// How long a thing may take that normally takes milliseconds: generous, because the machine is shared.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// How often what sends no event (/proc, a file) is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Returns what `probe` finds, or panics with `what` when `limit` has passed without a find.
pub(crate) fn until<T>(limit: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < end, "waited {limit:?} in vain for {what}");
        pass(LOOK_EVERY);
    }
}

/// Watches for `span`, and panics with what `wrong` says as soon as it says something.
pub(crate) fn throughout(span: Duration, mut wrong: impl FnMut() -> Option<String>) {
    let end = Instant::now() + span;
    while Instant::now() < end {
        if let Some(trouble) = wrong() {
            panic!("{trouble}");
        }
        pass(LOOK_EVERY);
    }
}

/// Lets time pass: the load runs on, the measured span grows. Never used to hope that something is done by then.
pub(crate) fn pass(span: Duration) {
    let end = Instant::now() + span;
    while let Some(rest) = end.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) {
        std::thread::park_timeout(rest);
    }
}
