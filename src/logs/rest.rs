//! How a stream is waited for: a chatty one rests, so that the next read is a full one.
//!
//! A line at a time costs a wake-up each; a shared rest of some milliseconds turns many into one. A stream
//! that falls silent goes back to the poll, so that silence costs nothing. Policy only; the pump acts on it.
//! Example: `match rest.settle(&mut pace, visit) { Step::Leave => deregister, ... }`.

use super::sink::StreamId;
use crate::model::Time;
use crate::sys::pipe;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How long streams of small writes rest: the most that it adds to the latency of a line.
pub const SLOW_REST: Duration = Duration::from_millis(20);

/// How long streams rest that fill a good part of a large pipe in that time.
pub const FAST_REST: Duration = Duration::from_millis(1);

/// Two short reads within this time, twice, make a stream chatty.
pub const CHATTY_GAP: Duration = Duration::from_millis(40);

/// Short reads in a row, each soon after the last, that make a stream chatty.
pub const CHATTY_AFTER: u8 = 2;

/// Rests without a byte after which a stream goes back to the poll.
pub const EMPTY_RESTS: u8 = 3;

/// Bytes that the pipe of a fast stream is enlarged to.
pub const LARGE_PIPE_BYTES: usize = 1 << 20;

/// Most pipes that are enlarged at a time: half of the 64 MiB that the kernel allows a user unasked
/// (pipe-user-pages-soft, pipe(7)).
pub const LARGE_PIPES_MAX: usize = 30;

/// How one stream is waited for.
#[derive(Debug)]
pub struct Pace {
    mode: Mode,
    last_read: Time,
    short_reads: u8,
    empty_rests: u8,
    capacity: usize,
    first_capacity: usize,
    may_grow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Watched,
    Resting,
}

impl Pace {
    /// Returns the pace of a stream that is watched, whose pipe holds `capacity` bytes.
    #[must_use]
    pub fn new(capacity: usize) -> Pace {
        Pace {
            mode: Mode::Watched,
            last_read: Time(0),
            short_reads: 0,
            empty_rests: 0,
            capacity,
            first_capacity: capacity,
            may_grow: true,
        }
    }

    /// Whether it is out of the poll.
    #[must_use]
    pub fn is_resting(&self) -> bool {
        self.mode == Mode::Resting
    }
}

/// What came of a visit that emptied a stream's pipe.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// Which.
    pub stream: StreamId,
    /// Its pipe.
    pub fd: &'a OwnedFd,
    /// Bytes that were read.
    pub total: usize,
    /// When.
    pub now: Time,
}

/// What the pump must do about the poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Stay,
    /// Take the stream out.
    Leave,
    /// Put the stream in.
    Watch,
}

/// The streams that rest, by how long they do.
#[derive(Debug, Default)]
pub struct Rest {
    slow: Round,
    fast: Round,
    enlarged: usize,
}

/// Streams that are looked at together.
#[derive(Debug, Default)]
struct Round {
    due: Time,
    streams: Vec<StreamId>,
}

impl Round {
    fn add(&mut self, stream: StreamId, due: Time) {
        if self.streams.is_empty() {
            self.due = due;
        }
        self.streams.push(stream);
    }

    fn deadline(&self) -> Option<Time> {
        (!self.streams.is_empty()).then_some(self.due)
    }
}

impl Rest {
    /// Returns when the next round is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        [self.slow.deadline(), self.fast.deadline()].into_iter().flatten().min()
    }

    /// Returns a stream whose rest is over, until there is none.
    pub fn due(&mut self, now: Time) -> Option<StreamId> {
        let rounds = [&mut self.fast, &mut self.slow];
        rounds.into_iter().find(|round| round.due <= now && !round.streams.is_empty())?.streams.pop()
    }

    /// Decides how a stream is waited for after a visit.
    pub fn settle(&mut self, pace: &mut Pace, visit: Visit<'_>) -> Step {
        let soon = visit.now.since(pace.last_read) <= CHATTY_GAP;
        if visit.total > 0 {
            pace.last_read = visit.now;
        }
        match pace.mode {
            Mode::Watched if visit.total == 0 => Step::Stay,
            Mode::Watched => {
                let chatty = soon && visit.total < pace.capacity / 2;
                pace.short_reads = if chatty { pace.short_reads + 1 } else { 0 };
                if pace.short_reads < CHATTY_AFTER {
                    return Step::Stay;
                }
                pace.mode = Mode::Resting;
                self.rest(pace, visit);
                Step::Leave
            }
            Mode::Resting => self.settle_resting(pace, visit),
        }
    }

    fn settle_resting(&mut self, pace: &mut Pace, visit: Visit<'_>) -> Step {
        pace.empty_rests = if visit.total == 0 { pace.empty_rests + 1 } else { 0 };
        if visit.total >= pace.capacity / 2 {
            self.grow(pace, visit.fd);
        }
        // A pipe that is full after a rest and cannot grow would only make its program wait.
        let too_small = visit.total >= pace.capacity / 2 && pace.capacity < LARGE_PIPE_BYTES;
        if pace.empty_rests >= EMPTY_RESTS || too_small {
            (pace.mode, pace.short_reads, pace.empty_rests) = (Mode::Watched, 0, 0);
            if !too_small {
                self.shrink(pace, visit.fd);
            }
            return Step::Watch;
        }
        self.rest(pace, visit);
        Step::Stay
    }

    fn rest(&mut self, pace: &mut Pace, visit: Visit<'_>) {
        if visit.total >= pace.first_capacity / 4 {
            self.fast.add(visit.stream, visit.now.after(FAST_REST));
        } else {
            self.slow.add(visit.stream, visit.now.after(SLOW_REST));
        }
    }

    fn grow(&mut self, pace: &mut Pace, fd: &OwnedFd) {
        if !pace.may_grow || pace.capacity >= LARGE_PIPE_BYTES || self.enlarged >= LARGE_PIPES_MAX {
            return;
        }
        // Refused when the user's share of pipe pages is used up: normal, and not asked again.
        pace.may_grow = pipe::set_capacity(fd, LARGE_PIPE_BYTES).is_ok();
        if pace.may_grow {
            pace.capacity = pipe::capacity(fd);
            self.enlarged += 1;
        }
    }

    fn shrink(&mut self, pace: &mut Pace, fd: &OwnedFd) {
        if pace.capacity > pace.first_capacity && pipe::set_capacity(fd, pace.first_capacity).is_ok() {
            pace.capacity = pace.first_capacity;
            self.enlarged = self.enlarged.saturating_sub(1);
        }
    }

    /// Forgets a stream that has ended.
    pub fn forget(&mut self, stream: StreamId, pace: &mut Pace) {
        if pace.capacity > pace.first_capacity {
            self.enlarged = self.enlarged.saturating_sub(1);
        }
        for round in [&mut self.slow, &mut self.fast] {
            round.streams.retain(|other| *other != stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd;

    type Test = Result<(), Box<dyn std::error::Error>>;

    /// One stream, and a clock that the test turns.
    struct Bench {
        rest: Rest,
        pace: Pace,
        fd: OwnedFd,
        _write: OwnedFd,
        now: Time,
    }

    impl Bench {
        fn new() -> std::io::Result<Bench> {
            let (read, write) = fd::pipe()?;
            let pace = Pace::new(pipe::DEFAULT_CAPACITY);
            Ok(Bench { rest: Rest::default(), pace, fd: read, _write: write, now: Time(1 << 40) })
        }

        /// A visit `after_ms` later that reads `total` bytes.
        fn visit(&mut self, after_ms: u64, total: usize) -> Step {
            self.now = self.now.after(Duration::from_millis(after_ms));
            while self.rest.due(self.now).is_some() {}
            let visit = Visit { stream: StreamId(1), fd: &self.fd, total, now: self.now };
            self.rest.settle(&mut self.pace, visit)
        }

        /// How long until the stream is looked at again.
        fn rests(&self) -> Option<Duration> {
            self.rest.next_deadline().map(|due| due.since(self.now))
        }

        fn make_chatty(&mut self) {
            self.visit(0, 10);
            (1..CHATTY_AFTER).for_each(|_| assert_eq!(self.visit(10, 10), Step::Stay));
            assert_eq!(self.visit(10, 10), Step::Leave);
        }
    }

    #[test]
    fn a_line_now_and_then_stays_with_the_poll() -> Test {
        let mut bench = Bench::new()?;
        for _ in 0..10 {
            assert_eq!(bench.visit(CHATTY_GAP.as_millis() as u64 + 1, 10), Step::Stay);
        }
        assert_eq!(bench.rests(), None, "no timer");
        Ok(())
    }

    #[test]
    fn a_chatty_stream_rests_and_goes_back_when_it_falls_silent() -> Test {
        let mut bench = Bench::new()?;
        bench.make_chatty();
        assert_eq!(bench.rests(), Some(SLOW_REST));
        assert_eq!(bench.visit(20, 500), Step::Stay);
        for _ in 1..EMPTY_RESTS {
            assert_eq!(bench.visit(20, 0), Step::Stay);
        }
        assert_eq!((bench.visit(20, 0), bench.rests()), (Step::Watch, None));
        Ok(())
    }

    #[test]
    fn full_reads_never_rest() -> Test {
        let mut bench = Bench::new()?;
        for _ in 0..10 {
            assert_eq!(bench.visit(0, pipe::DEFAULT_CAPACITY / 2), Step::Stay);
        }
        assert_eq!(bench.rests(), None);
        Ok(())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_fast_stream_gets_a_large_pipe_and_gives_it_back() -> Test {
        let mut bench = Bench::new()?;
        bench.make_chatty();
        assert_eq!(bench.visit(20, pipe::DEFAULT_CAPACITY), Step::Stay);
        assert_eq!((pipe::capacity(&bench.fd), bench.rest.enlarged), (LARGE_PIPE_BYTES, 1));
        assert_eq!(bench.rests(), Some(FAST_REST));
        (1..EMPTY_RESTS).for_each(|_| assert_eq!(bench.visit(20, 0), Step::Stay));
        assert_eq!(bench.visit(20, 0), Step::Watch);
        assert_eq!((pipe::capacity(&bench.fd), bench.rest.enlarged), (pipe::DEFAULT_CAPACITY, 0));
        Ok(())
    }

    #[test]
    fn beyond_the_limit_of_large_pipes_a_fast_stream_is_watched() -> Test {
        let mut bench = Bench::new()?;
        bench.rest.enlarged = LARGE_PIPES_MAX;
        bench.make_chatty();
        assert_eq!(bench.visit(20, pipe::DEFAULT_CAPACITY), Step::Watch);
        assert_eq!((pipe::capacity(&bench.fd), bench.rests()), (pipe::DEFAULT_CAPACITY, None));
        Ok(())
    }

    #[test]
    fn streams_that_rest_alike_are_looked_at_together() {
        let mut rest = Rest::default();
        rest.slow.add(StreamId(1), Time(100));
        rest.slow.add(StreamId(2), Time(150));
        assert_eq!((rest.next_deadline(), rest.due(Time(99))), (Some(Time(100)), None));
        assert_eq!(std::iter::from_fn(|| rest.due(Time(100))).count(), 2);
        assert_eq!(rest.next_deadline(), None);
    }
}
