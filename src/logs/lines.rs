//! Our own lines, gathered in a journaled buffer: a `kill -9` between a decision and the disk loses no line.
//!
//! The lines of one turn share a slot, which goes to the disk worker at the turn's end. Without a free slot they
//! wait in memory, as a frozen disk leaves nothing better. Example: `lines.add(&disk, b"spawned ...\n")`, and
//! `lines.flush(&disk)` before the loop sleeps.

use super::disk::Disk;
use super::sink::{Route, SinkId, SinkSpec, StreamId};
use super::slot::{Outlet, Reading, Slot};
use std::sync::Arc;

/// The number under which the lines of the activity log use the pool: no stream of a program has it.
const OWN: StreamId = StreamId(u64::MAX - 1);

/// The same for the records of the history.
const HISTORY: StreamId = StreamId(u64::MAX - 2);

/// Whether a stream is one of ours, and of no program.
pub(super) fn is_own(stream: StreamId) -> bool {
    [OWN, HISTORY].contains(&stream)
}

/// Lines on their way to one log.
#[derive(Debug)]
pub struct Lines {
    stream: StreamId,
    sink: SinkId,
    outlet: Arc<Outlet>,
    slot: Option<Slot>,
    /// A second log that gets each line, without a journal.
    echo: Option<SinkId>,
}

impl Lines {
    /// Returns the way to the log that was opened as `sink` with `spec`.
    #[must_use]
    pub fn new(sink: SinkId, spec: SinkSpec) -> Lines {
        let route = Route { file: Some(spec), ..Route::default() };
        Lines { stream: OWN, sink, outlet: Arc::new(Outlet::new(route)), slot: None, echo: None }
    }

    /// Returns the same for records of the history, which must not mix with those of the activity log.
    #[must_use]
    pub fn of_history(self) -> Lines {
        Lines { stream: HISTORY, ..self }
    }

    /// Returns the same with an echo of each line to the log that was opened as `sink`.
    #[must_use]
    pub fn with_echo(self, echo: Option<SinkId>) -> Lines {
        Lines { echo, ..self }
    }

    /// Returns where lines are echoed to.
    #[must_use]
    pub fn echo(&self) -> Option<SinkId> {
        self.echo
    }

    /// Adds a line, which is safe from now on.
    pub fn add<T: Send + 'static>(&mut self, disk: &Disk<T>, line: Vec<u8>) {
        if let Some(echo) = self.echo {
            disk.write(echo, line.clone());
        }
        if self.slot.as_mut().is_some_and(|slot| slot.append(&line)) {
            return;
        }
        self.flush(disk);
        let pool = disk.pool();
        let Some(mut slot) = pool.take(self.stream, line.len()).filter(|slot| line.len() <= slot.capacity())
        else {
            disk.write(self.sink, line);
            return;
        };
        // Filled with nothing: each line counts once it is there.
        slot.begin(Reading { stream: self.stream, outlet: &self.outlet, len: 0 }, &[]);
        slot.filled(0);
        slot.append(&line);
        self.slot = Some(slot);
    }

    /// Hands what was added to the disk worker.
    pub fn flush<T: Send + 'static>(&mut self, disk: &Disk<T>) {
        if let Some(slot) = self.slot.take() {
            disk.inlet().submit(&mut vec![slot]);
        }
    }

    /// Returns the sink.
    #[must_use]
    pub fn sink(&self) -> SinkId {
        self.sink
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::disk::Event;
    use crate::logs::pool::{Pool, SMALL_BYTES};
    use std::io;
    use std::time::{Duration, Instant};

    fn start(path: &std::path::Path, pool: Pool) -> io::Result<(Disk<()>, Lines)> {
        let disk: Disk<()> = Disk::start(Arc::new(pool), Box::new(|| ()))?;
        let spec = SinkSpec::file(path, 0, 0);
        let lines = Lines::new(disk.open(spec.clone()), spec);
        Ok((disk, lines))
    }

    #[test]
    fn lines_reach_the_file_in_order_whatever_their_number_and_size() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("log");
        let (disk, mut lines) = start(&path, Pool::create()?)?;
        let mut wanted: Vec<u8> = Vec::new();
        for number in 0..100 {
            let line = format!("{number} {}\n", "x".repeat(number * 70 % (SMALL_BYTES + 9))).into_bytes();
            wanted.extend(&line);
            lines.add(&disk, line);
            if number % 50 == 0 {
                lines.flush(&disk);
            }
        }
        lines.flush(&disk);
        assert!(disk.stop(Duration::from_secs(10)));
        assert!(std::fs::read(&path)? == wanted, "every line once, in order");
        Ok(())
    }

    #[test]
    fn an_echo_gets_the_same_lines() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let (path, echo) = (directory.path().join("log"), directory.path().join("echo"));
        let (disk, lines) = start(&path, Pool::create()?)?;
        let mut lines = lines.with_echo(Some(disk.open(SinkSpec::file(&echo, 0, 0))));
        [&b"one\n"[..], b"two\n"].into_iter().for_each(|line| lines.add(&disk, line.to_vec()));
        lines.flush(&disk);
        assert!(disk.stop(Duration::from_secs(10)));
        assert_eq!(
            (std::fs::read(&path)?, std::fs::read(&echo)?),
            (b"one\ntwo\n".to_vec(), b"one\ntwo\n".to_vec())
        );
        Ok(())
    }

    #[test]
    fn lines_that_were_never_flushed_are_written_by_the_next_process() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("log");
        let pool = Pool::create()?;
        let held = pool.fd().try_clone_to_owned()?;
        let (disk, mut lines) = start(&path, pool)?;
        lines.add(&disk, b"first\n".to_vec());
        lines.add(&disk, b"second\n".to_vec());
        // What a kill leaves: the slot as it is.
        assert!(disk.stop(Duration::from_secs(10)));
        std::mem::forget(lines);
        assert_eq!(std::fs::read(&path)?, b"");
        let disk: Disk<()> = Disk::start(Arc::new(Pool::adopt(held)?), Box::new(|| ()))?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && !disk.drain().iter().any(|e| matches!(e, Event::Recovered { .. }))
        {
            std::thread::yield_now();
        }
        assert_eq!(std::fs::read(&path)?, b"first\nsecond\n");
        assert!(disk.stop(Duration::from_secs(10)));
        Ok(())
    }
}
