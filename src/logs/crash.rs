//! Points at which a test lets the process "die": nothing at all outside unit tests.

/// Marks a point between two steps that a crash may separate.
#[cfg(not(test))]
pub(crate) fn point(_name: &'static str) {}

/// Marks a point between two steps; panics here when a test said so with [`arm`].
#[cfg(test)]
pub(crate) fn point(name: &'static str) {
    LEFT.with(|left| match left.get() {
        None => {}
        Some(0) => {
            left.set(None);
            // As a panic, without the words of one.
            std::panic::resume_unwind(Box::new(Crash(name)));
        }
        Some(count) => left.set(Some(count - 1)),
    });
}

#[cfg(test)]
thread_local! {
    static LEFT: std::cell::Cell<Option<u32>> = const { std::cell::Cell::new(None) };
}

/// What a simulated crash unwinds with: the name of its point.
#[cfg(test)]
pub(crate) struct Crash(pub(crate) &'static str);

/// Lets this thread crash at the point after `points` others; runs `work` and returns where it crashed.
#[cfg(test)]
pub(crate) fn arm(points: u32, work: impl FnOnce()) -> Option<&'static str> {
    LEFT.with(|left| left.set(Some(points)));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    LEFT.with(|left| left.set(None));
    match result {
        Ok(()) => None,
        Err(cause) => match cause.downcast::<Crash>() {
            Ok(crash) => Some(crash.0),
            Err(other) => std::panic::resume_unwind(other),
        },
    }
}
