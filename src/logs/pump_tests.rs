//! The pump in a reactor that has nothing else, with a real disk worker.

use super::super::disk::{Disk, Event};
use super::super::loss::Note;
use super::super::pool::SLOTS;
use super::super::sink::SinkSpec;
use super::*;
use crate::sys::clock;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

type Error = Box<dyn std::error::Error>;
type Test = Result<(), Error>;

/// How long a test waits for anything before it fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// A reactor with nothing but a pump in it.
struct Bench {
    poll: mio::Poll,
    pump: Pump,
    disk: Disk<()>,
    dir: tempfile::TempDir,
    /// What the pump has said.
    said: Vec<PumpEvent>,
    /// How often the poll has come back.
    turns: u32,
}

impl Bench {
    fn new() -> Result<Bench, Error> {
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), Token(0))?;
        let pool = Arc::new(Pool::create()?);
        let wake = move || {
            let _ = waker.wake();
        };
        let disk = Disk::start(Arc::clone(&pool), Box::new(wake))?;
        let pump = Pump::new(poll.registry().try_clone()?, 100, pool, disk.inlet());
        Ok(Bench { poll, pump, disk, dir: tempfile::tempdir()?, said: Vec::new(), turns: 0 })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Attaches a new pipe and returns its write end.
    fn attach(&mut self, stream: u64, log: Option<&str>, options: StreamOptions) -> Result<File, Error> {
        let sink = log.map(|log| self.disk.open(SinkSpec::file(&self.path(log), 0, 0)));
        let (read, write) = fd::pipe()?;
        self.pump.attach(StreamId(stream), read, sink, options)?;
        Ok(File::from(write))
    }

    /// Turns the loop until `done` says so.
    fn run(&mut self, mut done: impl FnMut(&Bench) -> bool) -> Test {
        let start = clock::now();
        let mut events = mio::Events::with_capacity(64);
        while !done(self) {
            let now = clock::now();
            if now.since(start) > DEADLINE {
                return Err(format!("nothing more came than {:?}", self.said).into());
            }
            let deadline = self.pump.next_deadline().unwrap_or(start.after(DEADLINE));
            self.poll.poll(&mut events, Some(deadline.since(now)))?;
            self.turns += 1;
            for event in &events {
                if let Some(stream) = self.pump.stream_of(event.token()) {
                    self.pump.ready(stream);
                }
            }
            for event in self.disk.drain() {
                if matches!(event, Event::SlotFree) {
                    self.pump.slots_freed();
                }
            }
            self.pump.tick(clock::now());
            self.said.extend(self.pump.take_events());
        }
        Ok(())
    }

    /// Ends everything and returns what is in a log.
    fn log(self, name: &str) -> Result<String, Error> {
        assert!(self.disk.stop(DEADLINE));
        read(&self.dir.path().join(name))
    }
}

fn read(path: &Path) -> Result<String, Error> {
    Ok(fs::read_to_string(path)?)
}

fn observed() -> StreamOptions {
    StreamOptions { observe: true, ..StreamOptions::default() }
}

fn lines(from: u32, to: u32) -> String {
    (from..to).map(|number| format!("{number:07}\n")).collect()
}

#[test]
fn what_a_program_writes_is_in_its_log() -> Test {
    let mut bench = Bench::new()?;
    let mut write = bench.attach(1, Some("log"), observed())?;
    write.write_all(b"x\n")?;
    bench.run(|bench| !bench.said.is_empty())?;
    drop(write);
    bench.run(|bench| bench.pump.is_empty())?;
    let said = [PumpEvent::Observed(StreamId(1), b"x\n".to_vec()), PumpEvent::Closed(StreamId(1))];
    assert_eq!(bench.said, said);
    assert_eq!(bench.log("log")?, "x\n");
    Ok(())
}

#[test]
fn a_flood_arrives_whole() -> Test {
    let mut bench = Bench::new()?;
    let mut write = bench.attach(1, Some("log"), StreamOptions::default())?;
    let text = lines(0, 300_000);
    let copy = text.clone();
    let writer = thread::spawn(move || write.write_all(copy.as_bytes()));
    bench.run(|bench| bench.pump.is_empty())?;
    writer.join().map_err(|_| "the writer died")??;
    assert!(bench.log("log")? == text);
    Ok(())
}

/// Eight programs, one log, a rotation every 64 KiB: no line is lost or torn.
#[test]
fn programs_that_share_a_log_tear_no_lines() -> Test {
    let mut bench = Bench::new()?;
    let (count, max_bytes) = (5_000, 65_536);
    let mut writers = Vec::new();
    for id in 0..8_u64 {
        let sink = bench.disk.open(SinkSpec::file(&bench.path("log"), max_bytes, 1_000));
        let (read, write) = fd::pipe()?;
        bench.pump.attach(StreamId(id), read, Some(sink), StreamOptions::default())?;
        let mut write = File::from(write);
        writers.push(thread::spawn(move || {
            // Blocks of an odd length, so that reads end anywhere.
            let text: String = (0..count).map(|number| format!("{id}:{number:05}\n")).collect();
            text.as_bytes().chunks(97 + 50 * id as usize).try_for_each(|block| write.write_all(block))
        }));
    }
    bench.run(|bench| bench.pump.is_empty())?;
    for writer in writers {
        writer.join().map_err(|_| "a writer died")??;
    }
    assert!(bench.disk.stop(DEADLINE));
    let mut next = [0; 8];
    let backups =
        (1..1_000).map(|n| bench.dir.path().join(format!("log.{n}"))).take_while(|path| path.exists());
    let mut files: Vec<PathBuf> = backups.collect();
    files.reverse();
    assert!(files.len() as u64 > 8 * 8 * u64::from(count) / max_bytes - 2, "{} rotations", files.len());
    files.push(bench.dir.path().join("log"));
    for path in files {
        let text = read(&path)?;
        assert!(text.is_empty() || text.ends_with('\n'), "{} ends within a line", path.display());
        for line in text.lines() {
            let (id, number) = line.split_once(':').ok_or("a torn line")?;
            let next: &mut u32 = next.get_mut(id.parse::<usize>()?).ok_or("nobody's line")?;
            assert_eq!((number.len(), number.parse()), (5, Ok(*next)), "{line:?} of {id}");
            *next += 1;
        }
    }
    assert_eq!(next, [count; 8]);
    Ok(())
}

/// All byte values, and a line of three megabytes.
#[test]
fn bytes_that_are_no_text_arrive_as_they_are() -> Test {
    let mut bench = Bench::new()?;
    let mut write = bench.attach(1, Some("log"), StreamOptions::default())?;
    let bytes: Vec<u8> = (0..3 << 20_u32).map(|n: u32| (n ^ (n >> 8) ^ (n >> 16)) as u8).collect();
    let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte != b'\n').chain(*b"\n").collect();
    let copy = bytes.clone();
    let writer = thread::spawn(move || write.write_all(&copy));
    bench.run(|bench| bench.pump.is_empty())?;
    writer.join().map_err(|_| "the writer died")??;
    assert!(bench.disk.stop(DEADLINE));
    assert!(fs::read(bench.dir.path().join("log"))? == bytes);
    Ok(())
}

#[test]
fn escape_sequences_go_from_the_log_and_from_what_is_handed_out() -> Test {
    let mut bench = Bench::new()?;
    let mut write = bench.attach(1, Some("log"), StreamOptions { strip: true, ..observed() })?;
    write.write_all(b"\x1b[3")?;
    bench.run(|bench| !bench.said.is_empty())?;
    write.write_all(b"1mred\x1b")?;
    drop(write);
    bench.run(|bench| bench.pump.is_empty())?;
    let PumpEvent::Observed(_, bytes) = &bench.said[1] else { return Err("not observed".into()) };
    assert_eq!(bytes, b"red");
    assert_eq!(bench.log("log")?, "red\x1b", "an escape at the very end is none");
    Ok(())
}

#[test]
fn a_stream_without_a_log_is_read_all_the_same() -> Test {
    let mut bench = Bench::new()?;
    let mut write = bench.attach(1, None, StreamOptions::default())?;
    let writer = thread::spawn(move || write.write_all(&[b'x'; 1 << 20]));
    bench.run(|bench| bench.pump.is_empty())?;
    writer.join().map_err(|_| "the writer died")??;
    assert_eq!(fs::read_dir(bench.dir.path())?.count(), 0);
    Ok(())
}

#[test]
fn an_ended_program_leaves_no_pipe_open_whoever_else_holds_it() -> Test {
    let mut bench = Bench::new()?;
    let mut write = bench.attach(1, Some("log"), StreamOptions::default())?;
    write.write_all(lines(0, 8_000).as_bytes())?;
    bench.pump.finish(StreamId(1));
    bench.run(|bench| bench.pump.is_empty())?;
    assert_eq!(bench.said, [PumpEvent::Closed(StreamId(1))]);
    let kind = write.write_all(b"more\n").err().map(|error| error.kind());
    assert_eq!(kind, Some(std::io::ErrorKind::BrokenPipe));
    assert!(bench.log("log")? == lines(0, 8_000));
    Ok(())
}

#[test]
fn a_stream_that_its_program_closed_costs_nothing() -> Test {
    let mut bench = Bench::new()?;
    drop(bench.attach(1, Some("log"), StreamOptions::default())?);
    bench.run(|bench| bench.pump.is_empty())?;
    assert_eq!((bench.pump.next_deadline(), bench.said.len()), (None, 1));
    Ok(())
}

/// A line each millisecond costs a wake-up each 20 ms, and silence none at all.
#[test]
fn a_chatty_stream_is_read_now_and_then_and_a_silent_one_never() -> Test {
    let mut bench = Bench::new()?;
    let mut write = bench.attach(1, Some("log"), StreamOptions::default())?;
    let (sent, writer) = (
        300,
        thread::spawn(move || {
            for number in 0..300 {
                write.write_all(lines(number, number + 1).as_bytes())?;
                thread::park_timeout(Duration::from_millis(1));
            }
            Ok::<_, std::io::Error>(write)
        }),
    );
    bench.run(|_| writer.is_finished())?;
    let _write = writer.join().map_err(|_| "the writer died")??;
    bench.run(|bench| bench.pump.next_deadline().is_none())?;
    assert!(bench.turns < sent / 3, "{} wake-ups for {sent} lines", bench.turns);
    assert!(bench.log("log")? == lines(0, 300));
    Ok(())
}

#[test]
fn a_flood_does_not_keep_the_others_waiting() -> Test {
    let mut bench = Bench::new()?;
    let floods: Vec<File> = (1..5).map(|id| bench.attach(id, None, observed())).collect::<Result<_, _>>()?;
    let mut quiet = bench.attach(9, None, observed())?;
    quiet.write_all(b"here\n")?;
    for (id, file) in floods.iter().enumerate() {
        pipe::set_capacity(file, 1 << 20)?;
        fd::set_nonblocking(file, true)?;
        let _ = (&*file).write(&vec![b'x'; 1 << 20])?;
        bench.pump.ready(StreamId(id as u64 + 1));
    }
    bench.pump.ready(StreamId(9));
    bench.pump.tick(clock::now());
    let said = bench.pump.take_events();
    let total: usize = said.iter().map(|e| if let PumpEvent::Observed(_, b) = e { b.len() } else { 0 }).sum();
    assert!(said.contains(&PumpEvent::Observed(StreamId(9), b"here\n".to_vec())), "in the first turn");
    assert!(total <= TURN_BYTES + VISIT_BYTES, "{total} bytes in one turn");
    assert_eq!(bench.pump.next_deadline(), Some(Time(0)), "and the rest at once");
    Ok(())
}

#[test]
fn a_frozen_disk_stops_no_program() -> Test {
    let mut bench = Bench::new()?;
    let mut write = bench.attach(1, Some("log"), StreamOptions::default())?;
    bench.run(|bench| bench.path("log").exists())?;
    let (thaw, frozen) = mpsc::channel::<()>();
    bench.disk.run(Box::new(move || {
        let _ = frozen.recv();
    }));
    // More than all slots and the pipe can hold.
    let count = 400_000;
    let writer = thread::spawn(move || write.write_all(lines(0, count).as_bytes()).map(|()| write));
    bench.run(|_| writer.is_finished())?;
    let mut write = writer.join().map_err(|_| "the writer died")??;
    thaw.send(())?;
    bench.run(|bench| !bench.pump.dropping && bench.pump.next_deadline().is_none())?;
    write.write_all(lines(count, count + 2).as_bytes())?;
    drop(write);
    bench.run(|bench| bench.pump.is_empty())?;
    let text = bench.log("log")?;
    let (marks, kept): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("visord: "));
    // One mark, or two when the reader was slow to see the thaw.
    assert!(!marks.is_empty(), "some of it must have been dropped, and said so");
    let numbers = marks.iter().map(|mark| mark.split(' ').nth(1).unwrap_or_default().parse::<usize>());
    let dropped = numbers.sum::<Result<usize, _>>()?;
    let torn = kept.iter().filter(|line| line.len() != 7).map(|line| line.len() + 1).sum::<usize>();
    let whole = kept.iter().filter(|line| line.len() == 7).count() * 8;
    // The beginning of the line that was torn is there, with an end of ours.
    assert_eq!(
        whole + torn - usize::from(torn > 0) + dropped,
        (count as usize + 2) * 8,
        "{marks:?}, {torn} torn"
    );
    assert_eq!(kept.last(), Some(&format!("{:07}", count + 1).as_str()));
    Ok(())
}

/// A loop that was kept from running takes its own pause for the disk's: whoever waits for a slot is not dropped while
/// slots come back.
#[test]
fn a_pause_of_our_own_drops_nothing() -> Test {
    let mut bench = Bench::new()?;
    let count = 4 * SLOTS as u64;
    let logs: Vec<String> = (0..count).map(|id| format!("log{id}")).collect();
    let mut writes = Vec::new();
    for (id, log) in (0..).zip(&logs) {
        writes.push(bench.attach(id, Some(log), StreamOptions::default())?);
    }
    bench.run(|bench| logs.iter().all(|log| bench.path(log).exists()))?;
    let (thaw, frozen) = mpsc::channel::<()>();
    bench.disk.run(Box::new(move || {
        let _ = frozen.recv();
    }));
    for (id, write) in (0..).zip(&mut writes) {
        write.write_all(b"here\n")?;
        bench.pump.ready(StreamId(id));
    }
    let now = clock::now();
    bench.pump.tick(now);
    assert!(!bench.pump.waiting.is_empty(), "there are fewer slots than streams");
    thaw.send(())?;
    let end = clock::now().after(DEADLINE);
    while bench.pump.pool.finished() == 0 {
        assert!(clock::now() < end, "no slot comes back");
        thread::yield_now();
    }
    // It wakes late, and has not heard of the slots yet.
    bench.pump.tick(now.after(2 * PATIENCE));
    bench.run(|bench| bench.pump.waiting.is_empty() && bench.pump.next_deadline().is_none())?;
    drop(writes);
    bench.run(|bench| bench.pump.is_empty())?;
    assert!(bench.disk.stop(DEADLINE));
    for log in &logs {
        assert_eq!(read(&bench.dir.path().join(log))?, "here\n", "{log}");
    }
    Ok(())
}

/// What was lost is told when the disk works again, by those too who never say anything more.
#[test]
fn a_loss_is_told_of_a_stream_that_stays_silent() -> Test {
    let mut bench = Bench::new()?;
    let mut quiet = bench.attach(1, Some("quiet"), StreamOptions::default())?;
    let mut loud = bench.attach(2, Some("loud"), StreamOptions::default())?;
    bench.run(|bench| bench.path("quiet").exists() && bench.path("loud").exists())?;
    let (thaw, frozen) = mpsc::channel::<()>();
    bench.disk.run(Box::new(move || {
        let _ = frozen.recv();
    }));
    let flood = thread::spawn(move || loud.write_all(lines(0, 400_000).as_bytes()).map(|()| loud));
    bench.run(|bench| bench.pump.dropping)?;
    // The slots of the stream that floods are its share; the others go to the quiet one.
    for _ in 0..2 * SLOTS {
        quiet.write_all(b"here\n")?;
        bench.pump.ready(StreamId(1));
        bench.pump.tick(clock::now());
    }
    bench.run(|_| flood.is_finished())?;
    assert!(bench.pump.lossy.contains(&StreamId(1)), "not all fits");
    thaw.send(())?;
    let end = clock::now().after(DEADLINE);
    let mut told = false;
    while !told {
        assert!(clock::now() < end, "nobody tells of the loss");
        for event in bench.disk.drain() {
            match event {
                Event::SlotFree => bench.pump.slots_freed(),
                Event::Log { target, note: Note::Dropped(..) } => told |= target.ends_with("quiet"),
                _ => {}
            }
        }
        thread::yield_now();
    }
    drop(quiet);
    Ok(())
}

const BEGIN: &str = "<!--XSUPERVISOR:BEGIN-->";
const END: &str = "<!--XSUPERVISOR:END-->";

#[test]
fn passages_between_tags_are_told_and_not_logged() -> Test {
    let mut bench = Bench::new()?;
    let options = StreamOptions { capture_max_bytes: Some(10), ..observed() };
    let mut write = bench.attach(1, Some("log"), options)?;
    let (head, tail) = BEGIN.split_at(9);
    write.write_all(format!("a{head}").as_bytes())?;
    bench.run(|bench| !bench.said.is_empty())?;
    write.write_all(format!("{tail}said{END}b\n<").as_bytes())?;
    drop(write);
    bench.run(|bench| bench.pump.is_empty())?;
    let observed = |text: &str| PumpEvent::Observed(StreamId(1), text.as_bytes().to_vec());
    let captured = PumpEvent::Captured(StreamId(1), b"said".to_vec());
    let closed = PumpEvent::Closed(StreamId(1));
    assert_eq!(bench.said, [observed("a"), captured, observed("b\n"), observed("<"), closed]);
    assert_eq!(bench.log("log")?, "ab\n<");
    Ok(())
}

#[test]
fn a_flood_with_passages_in_it_loses_nothing() -> Test {
    let mut bench = Bench::new()?;
    let options = StreamOptions { capture_max_bytes: Some(100), ..StreamOptions::default() };
    let mut write = bench.attach(1, Some("log"), options)?;
    let input: String = (0..50_000).map(|n| format!("{n:07}{BEGIN}{n}{END}\n")).collect();
    let writer = thread::spawn(move || write.write_all(input.as_bytes()));
    bench.run(|bench| bench.pump.is_empty())?;
    writer.join().map_err(|_| "the writer died")??;
    let said = bench.said.iter().filter_map(|event| match event {
        PumpEvent::Captured(_, bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    });
    assert!(said.eq((0..50_000).map(|n| n.to_string())), "every passage once, in order");
    assert!(bench.log("log")? == lines(0, 50_000));
    Ok(())
}

#[test]
fn a_passage_that_never_ends_is_logged_when_the_output_does() -> Test {
    let mut bench = Bench::new()?;
    let long = SLOT_BYTES * 2;
    let options = StreamOptions { capture_max_bytes: Some(long), ..StreamOptions::default() };
    let mut write = bench.attach(1, Some("log"), options)?;
    let text = format!("a{BEGIN}{}", "x".repeat(long));
    let writer = thread::spawn(move || write.write_all(text.as_bytes()));
    bench.run(|bench| bench.pump.is_empty())?;
    writer.join().map_err(|_| "the writer died")??;
    assert!(bench.log("log")? == format!("a{}", "x".repeat(long)));
    Ok(())
}

#[test]
fn a_conversation_never_rests() -> Test {
    let mut bench = Bench::new()?;
    let options = StreamOptions { attentive: true, strip: true, ..StreamOptions::default() };
    let mut write = bench.attach(1, None, options)?;
    for count in 1..20 {
        write.write_all(b"\x1b[1mOK")?;
        bench.run(|bench| bench.said.len() == count)?;
        assert_eq!(bench.pump.rest.next_deadline(), None);
    }
    assert_eq!(bench.said[18], PumpEvent::Observed(StreamId(1), b"\x1b[1mOK".to_vec()), "as it is");
    Ok(())
}
