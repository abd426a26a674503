//! The pump in a reactor that has nothing else, with a real disk worker.

use super::super::disk::{Disk, Event};
use super::super::sink::SinkSpec;
use super::*;
use crate::sys::clock;
use std::fs::File;
use std::io::Write;
use std::path::Path;

type Error = Box<dyn std::error::Error>;

/// How long a test waits for anything before it fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// A reactor with nothing but a pump in it.
struct Bench {
    poll: mio::Poll,
    pump: Pump,
    disk: Disk<u32>,
    notes: Vec<String>,
}

impl Bench {
    fn new() -> Result<Bench, Error> {
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), Token(0))?;
        let pool = Arc::new(Pool::create()?);
        let disk = Disk::start(Arc::clone(&pool), Box::new(move || drop(waker.wake())))?;
        let pump = Pump::new(poll.registry().try_clone()?, 100, pool, disk.inlet());
        Ok(Bench { poll, pump, disk, notes: Vec::new() })
    }

    /// Turns the loop until `done` says so; returns what the pump said meanwhile.
    fn run(
        &mut self,
        mut done: impl FnMut(&mut Pump, &[PumpEvent]) -> bool,
    ) -> Result<Vec<PumpEvent>, Error> {
        let (start, mut said) = (clock::now(), Vec::new());
        let mut events = mio::Events::with_capacity(64);
        while !done(&mut self.pump, &said) {
            let now = clock::now();
            if now.since(start) > DEADLINE {
                return Err(format!("nothing more came than {said:?}").into());
            }
            let deadline = self.pump.next_deadline().unwrap_or(start.after(DEADLINE));
            self.poll.poll(&mut events, Some(deadline.since(now)))?;
            for event in &events {
                if let Some(stream) = self.pump.stream_of(event.token()) {
                    self.pump.ready(stream);
                }
            }
            for event in self.disk.drain() {
                match event {
                    Event::SlotFree => self.pump.slots_freed(),
                    other => self.notes.push(format!("{other:?}")),
                }
            }
            self.pump.tick(clock::now());
            said.extend(self.pump.take_events());
        }
        Ok(said)
    }
}

fn log(path: &Path) -> SinkSpec {
    SinkSpec::file(path, 0, 0)
}

#[test]
fn what_a_program_writes_is_in_its_log() -> Result<(), Error> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("log");
    let mut bench = Bench::new()?;
    let sink = bench.disk.open(log(&path));
    let (read, write) = fd::pipe()?;
    bench.pump.attach(
        StreamId(1),
        read,
        Some(sink),
        StreamOptions { observe: true, ..Default::default() },
    )?;
    let mut write = File::from(write);
    write.write_all(b"x\n")?;
    let said = bench.run(|_, said| !said.is_empty())?;
    assert_eq!(said, [PumpEvent::Observed(StreamId(1), b"x\n".to_vec())]);
    drop(write);
    let said = bench.run(|pump, _| pump.is_empty())?;
    assert_eq!(said, [PumpEvent::Closed(StreamId(1))]);
    assert!(bench.disk.stop(DEADLINE));
    assert_eq!(std::fs::read(&path)?, b"x\n");
    Ok(())
}
