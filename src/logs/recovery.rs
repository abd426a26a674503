//! Proof by trial: a worker that dies between any two steps, and dies again while it recovers, loses and
//! doubles nothing and tears no line.
//!
//! The death is an unwinding panic at a [`crash::point`]; what is left is what a kill leaves: the shared
//! memory and the files. The real thing, with signals and processes, is in `tests/logs.rs`.

use super::crash;
use super::disk::Shared;
use super::pool::Pool;
use super::sink::{Route, SinkId, SinkSpec, StreamId};
use super::slot::{Outlet, Reading, Slot};
use super::syslog::Syslog;
use super::worker::Worker;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Error = Box<dyn std::error::Error>;

/// What two programs write, and how it is logged.
struct Case {
    strip: bool,
    max_bytes: u64,
    chunks: Vec<(StreamId, Vec<u8>)>,
    /// What must be in the log, in the order of each stream.
    lines: BTreeMap<StreamId, Vec<String>>,
    same_file: bool,
}

impl Case {
    /// Two streams, `count` lines each, cut into reads at odd places.
    fn new(count: usize, strip: bool, same_file: bool) -> Case {
        let mut case = Case { strip, max_bytes: 100, chunks: Vec::new(), lines: BTreeMap::new(), same_file };
        let mut texts = [Vec::new(), Vec::new()];
        for number in 0..count {
            for (stream, text) in texts.iter_mut().enumerate() {
                let line = format!("{stream}-{number}{}", "x".repeat((number * 7 + stream) % 23));
                let colour = if strip { "\x1b[1;3" } else { "" };
                let end = if strip { "m" } else { "" };
                text.extend_from_slice(format!("{colour}{end}{line}\n").as_bytes());
                case.lines.entry(StreamId(stream as u64)).or_default().push(line);
            }
        }
        let cuts = [31, 14, 3, 5, 1, 44, 2, 2, 150, 7];
        let mut at = [0; 2];
        for (turn, cut) in cuts.iter().cycle().enumerate() {
            let stream = turn % 2;
            let text = &texts[stream];
            let end = (at[stream] + cut).min(text.len());
            if at[stream] < end {
                case.chunks.push((StreamId(stream as u64), text[at[stream]..end].to_vec()));
            }
            at[stream] = end;
            if (0..2).all(|stream| at[stream] == texts[stream].len()) {
                break;
            }
        }
        case
    }

    fn spec(&self, dir: &Path, stream: StreamId) -> SinkSpec {
        let name = if self.same_file { "both.log".to_owned() } else { format!("{}.log", stream.0) };
        SinkSpec::file(&dir.join(name), self.max_bytes, 50)
    }
}

/// One life of the worker after another, over one pool and one directory.
struct World<'a> {
    case: &'a Case,
    dir: PathBuf,
    pool: Pool,
    next_chunk: usize,
}

impl World<'_> {
    /// Reads the next chunk as the pump does.
    fn read(&mut self, pool: &Pool) -> Option<Slot> {
        let (stream, bytes) = self.case.chunks.get(self.next_chunk)?;
        let route =
            Route { file: Some(self.case.spec(&self.dir, *stream)), syslog: None, strip: self.case.strip };
        let mut slot = pool.take(*stream, bytes.len())?;
        let outlet = Arc::new(Outlet::new(route));
        let reading = Reading { stream: *stream, outlet: &outlet, len: bytes.len() };
        let buffer = slot.begin(reading, &[0xff; 16]);
        crash::point("the read was announced");
        buffer.copy_from_slice(bytes);
        // From here on the bytes are out of the pipe.
        self.next_chunk += 1;
        crash::point("the bytes were read");
        slot.filled(bytes.len());
        Some(slot)
    }

    /// Lives until everything is written or a crash comes.
    fn live(&mut self) -> Result<(), Error> {
        let pool = Arc::new(Pool::adopt(self.pool.fd().try_clone_to_owned()?)?);
        let shared: Arc<Shared<()>> = Arc::new(Shared::new(Arc::clone(&pool), Box::new(|| {})));
        let mut worker = Worker::new(shared);
        worker.replay();
        for stream in [0, 1] {
            worker.open(SinkId(stream), self.case.spec(&self.dir, StreamId(u64::from(stream))));
        }
        worker.set_all_open(&BTreeSet::from([StreamId(0), StreamId(1)]));
        loop {
            // Several reads are under way before the first of them is written.
            let mut batch = Vec::new();
            while batch.len() < 3
                && let Some(slot) = self.read(&pool)
            {
                batch.push(slot);
            }
            if batch.is_empty() {
                break;
            }
            batch.into_iter().for_each(|slot| worker.slot(slot));
        }
        [0, 1].into_iter().for_each(|stream| worker.end(StreamId(stream)));
        Ok(())
    }
}

/// Lets the worker die after each number of points in `deaths`, and once more live to the end. Returns whether
/// all of those deaths happened.
fn run(case: &Case, deaths: &[u32]) -> Result<bool, Error> {
    let dir = tempfile::tempdir()?;
    let mut world = World { case, dir: dir.path().to_path_buf(), pool: Pool::create()?, next_chunk: 0 };
    let mut story = Vec::new();
    for points in deaths {
        let mut result = Ok(());
        let death = crash::arm(*points, || result = world.live());
        result?;
        story.push(death);
    }
    let all_died = story.iter().all(Option::is_some);
    if all_died {
        world.live()?;
    }
    check(case, dir.path()).map_err(|what| format!("{what}, after {story:?} ({deaths:?})"))?;
    Ok(all_died)
}

/// Puts the rotated files together again and compares.
fn check(case: &Case, dir: &Path) -> Result<(), Error> {
    let mut found: BTreeMap<StreamId, Vec<String>> = BTreeMap::new();
    let names: Vec<&str> = if case.same_file { vec!["both.log"] } else { vec!["0.log", "1.log"] };
    for name in names {
        let backups = (1..=50).rev().map(|number| dir.join(format!("{name}.{number}")));
        for path in backups.filter(|path| path.exists()).chain([dir.join(name)]) {
            let text = fs::read_to_string(&path)?;
            if !text.is_empty() && !text.ends_with('\n') {
                return Err(format!("{} ends in the midst of a line: {text:?}", path.display()).into());
            }
            if text.len() as u64 > case.max_bytes + 40 {
                return Err(format!("{} was not rotated in time", path.display()).into());
            }
            for line in text.lines() {
                let stream = line.split_once('-').ok_or("a line of nobody's")?.0.parse()?;
                found.entry(StreamId(stream)).or_default().push(line.to_owned());
            }
        }
    }
    if found == case.lines {
        Ok(())
    } else {
        Err(format!("found {found:?} instead of {:?}", case.lines).into())
    }
}

fn die_everywhere(case: &Case) -> Result<u32, Error> {
    let mut points = 0;
    while run(case, &[points])? {
        // Once more while recovering, early and late.
        for again in [0, 2, 5] {
            run(case, &[points, again])?;
        }
        points += 1;
    }
    Ok(points)
}

#[test]
fn a_death_between_any_two_steps_changes_nothing() -> Result<(), Error> {
    let points = die_everywhere(&Case::new(9, false, false))?;
    assert!(points > 50, "only {points} places to die were found");
    Ok(())
}

#[test]
fn nor_where_two_streams_share_a_file() -> Result<(), Error> {
    die_everywhere(&Case::new(9, false, true))?;
    Ok(())
}

#[test]
fn nor_within_escape_sequences() -> Result<(), Error> {
    die_everywhere(&Case::new(6, true, false))?;
    die_everywhere(&Case::new(6, true, true))?;
    Ok(())
}

/// Returns the worker of a reactor that comes after one which read everything and wrote nothing of it.
fn after_reading(case: &Case, dir: &Path) -> Result<Worker<()>, Error> {
    let mut world = World { case, dir: dir.to_path_buf(), pool: Pool::create()?, next_chunk: 0 };
    let pool = Arc::new(Pool::adopt(world.pool.fd().try_clone_to_owned()?)?);
    drop(world.read(&pool));
    let pool = Arc::new(Pool::adopt(world.pool.fd().try_clone_to_owned()?)?);
    let shared: Arc<Shared<()>> = Arc::new(Shared::new(pool, Box::new(|| {})));
    let mut worker = Worker::new(shared);
    worker.replay();
    Ok(worker)
}

/// A prompt has no line end: it must not wait for one when nobody else writes to its log.
#[test]
fn the_beginning_of_a_line_is_written_when_the_log_is_its_own() -> Result<(), Error> {
    let case = Case { chunks: vec![(StreamId(0), b"login: ".to_vec())], ..Case::new(0, false, false) };
    let dir = tempfile::tempdir()?;
    let mut worker = after_reading(&case, dir.path())?;
    worker.before_sleep();
    let path = dir.path().join("0.log");
    assert!(!path.exists(), "somebody else may open the same log yet");
    worker.open(SinkId(1), case.spec(dir.path(), StreamId(0)));
    worker.before_sleep();
    assert_eq!(fs::read_to_string(&path)?, "", "nor is it known before all are open");
    worker.set_all_open(&BTreeSet::from([StreamId(0)]));
    worker.before_sleep();
    assert_eq!(fs::read_to_string(&path)?, "login: ");
    Ok(())
}

/// The pipe may be gone: what nobody reads any more gets no end of its line.
#[test]
fn the_beginning_of_a_line_whose_stream_has_gone_is_written() -> Result<(), Error> {
    for openings in 0..3 {
        let chunks = vec![(StreamId(0), b"last words".to_vec())];
        let case = Case { chunks, ..Case::new(0, false, true) };
        let dir = tempfile::tempdir()?;
        let mut worker = after_reading(&case, dir.path())?;
        (0..openings).for_each(|sink| worker.open(SinkId(sink), case.spec(dir.path(), StreamId(1))));
        worker.set_all_open(&BTreeSet::from([StreamId(1)]));
        worker.before_sleep();
        assert_eq!(fs::read_to_string(dir.path().join("both.log"))?, "last words", "{openings} others");
    }
    Ok(())
}

#[test]
fn our_own_lines_for_the_system_log_go_there_after_a_crash_too() -> Result<(), Error> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("devlog");
    let system_log = std::os::unix::net::UnixDatagram::bind(&path)?;
    system_log.set_nonblocking(true)?;
    let create = Pool::create()?;
    let route = Route { file: Some(SinkSpec::syslog()), ..Route::default() };
    let outlet = Arc::new(Outlet::new(route));
    let own = |pool: &Pool, text: &[u8]| -> Result<Slot, Error> {
        let mut slot = pool.take(StreamId(9), text.len()).ok_or("no slot")?;
        let reading = Reading { stream: StreamId(9), outlet: &outlet, len: text.len() };
        slot.begin(reading, &[0xff; 16]).copy_from_slice(text);
        slot.filled(text.len());
        Ok(slot)
    };
    drop(own(&create, b"before\nthe crash\n")?);
    let pool = Arc::new(Pool::adopt(create.fd().try_clone_to_owned()?)?);
    let shared: Arc<Shared<()>> = Arc::new(Shared::new(Arc::clone(&pool), Box::new(|| {})));
    let mut worker = Worker::new(shared).with_syslog(Syslog::at(vec![path]));
    worker.replay();
    worker.open(SinkId(1), SinkSpec::syslog());
    worker.slot(own(&pool, b"after\n")?);
    let mut buffer = [0; 1024];
    for wanted in ["before", "the crash", "after"] {
        let len = system_log.recv(&mut buffer)?;
        let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
        assert!(text.ends_with(&format!(": {wanted}")), "{text} instead of {wanted}");
    }
    assert!(!Path::new("syslog").exists(), "a file of that name");
    Ok(())
}

/// The next bytes may come from the next run of the program.
#[test]
fn what_was_dropped_is_marked_although_the_program_ended_meanwhile() -> Result<(), Error> {
    let case = Case::new(0, false, true);
    let dir = tempfile::tempdir()?;
    let logs = dir.path().join("logs");
    fs::create_dir(&logs)?;
    let spec = case.spec(&logs, StreamId(0));
    let shared: Arc<Shared<()>> = Arc::new(Shared::new(Arc::new(Pool::create()?), Box::new(|| {})));
    let mut worker = Worker::new(shared);
    worker.open(SinkId(1), spec.clone());
    // No directory, and none can be made.
    fs::remove_dir_all(&logs)?;
    fs::write(&logs, "")?;
    worker.lines(SinkId(1), b"lost\n");
    worker.close(SinkId(1));
    worker.open(SinkId(2), spec.clone());
    fs::remove_file(&logs)?;
    fs::create_dir(&logs)?;
    worker.open(SinkId(3), spec);
    worker.lines(SinkId(3), b"kept\n");
    let text = fs::read_to_string(logs.join("both.log"))?;
    assert!(text.starts_with("visord: 5 bytes of output dropped: "), "{text}");
    assert!(text.ends_with("\nkept\n"), "{text}");
    Ok(())
}

#[test]
fn a_read_that_did_not_happen_is_forgotten() -> Result<(), Error> {
    let pool = Pool::create()?;
    let guard = *b"0123456789abcdef";
    for (len, happened) in [(3, true), (3, false), (16, true), (16, false), (5000, true), (5000, false)] {
        let mut slot = pool.take(StreamId(1), len).ok_or("no slot")?;
        let outlet = Arc::new(Outlet::new(Route::default()));
        let reading = Reading { stream: StreamId(1), outlet: &outlet, len };
        let buffer = slot.begin(reading, &guard);
        if happened {
            buffer.fill(b'y');
        }
        assert_eq!(slot.read_happened(), happened, "{len} bytes");
        pool.give_back(slot);
    }
    Ok(())
}
