//! The processes of the crash test: programs that write numbers, and a reactor with nothing but logs in it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use visor::logs::disk::{Disk, Event};
use visor::logs::pool::Pool;
use visor::logs::pump::{Pump, StreamOptions};
use visor::logs::sink::{SinkSpec, StreamId};
use visor::sys::{clock, fd, pipe};

pub(crate) type Error = Box<dyn std::error::Error>;

/// Environment variable that makes a process play a role instead of testing.
pub(crate) const ROLE: &str = "VISOR_TEST_LOGS_ROLE";
const DIR: &str = "VISOR_TEST_LOGS_DIR";
const FDS: &str = "VISOR_TEST_LOGS_FDS";

/// File whose presence makes the writers end.
pub(crate) const STOP: &str = "stop";
/// File that has a line for each recovery that found something.
pub(crate) const RECOVERED: &str = "recovered";

/// Size limit of the logs: many rotations, and few enough files.
const MAX_BYTES: u64 = 4 << 20;
const BACKUPS: u32 = 100_000;

/// One program and its log.
pub(crate) struct Stream {
    pub(crate) letter: char,
    pub(crate) log: &'static str,
    write: fn(&mut File, u64) -> std::io::Result<u64>,
}

/// A flood of blocks with a log of its own; short lines, and dribbled bytes, that share one.
pub(crate) const STREAMS: [Stream; 3] = [
    Stream { letter: 'B', log: "blocks.log", write: blocks },
    Stream { letter: 'L', log: "shared.log", write: lines },
    Stream { letter: 'D', log: "shared.log", write: dribble },
];

impl Stream {
    pub(crate) fn count_file(&self) -> String {
        format!("count-{}", self.letter)
    }
}

/// Writes 64 lines of a kilobyte in one go.
fn blocks(out: &mut File, first: u64) -> std::io::Result<u64> {
    let mut block = Vec::with_capacity(65_536);
    for number in first..first + 64 {
        writeln!(block, "B{number:01022}")?;
    }
    out.write_all(&block)?;
    Ok(first + 64)
}

/// Writes one short line.
fn lines(out: &mut File, first: u64) -> std::io::Result<u64> {
    out.write_all(format!("L{first}\n").as_bytes())?;
    Ok(first + 1)
}

/// Writes a line byte by byte, each when the one before has been read, so that every read is a tiny one.
fn dribble(out: &mut File, first: u64) -> std::io::Result<u64> {
    for byte in format!("D{first}\n").bytes() {
        out.write_all(&[byte])?;
        let patience = Instant::now() + Duration::from_millis(2);
        while pipe::available(out)? > 0 && Instant::now() < patience {
            std::thread::yield_now();
        }
    }
    Ok(first + 1)
}

/// What the keeper would hold: the buffers and both ends of the pipes.
pub(crate) struct Shared {
    dir: PathBuf,
    pool: Pool,
    pipes: Vec<(OwnedFd, OwnedFd)>,
}

impl Shared {
    pub(crate) fn create(dir: &Path) -> Result<Shared, Error> {
        let pipes = STREAMS.iter().map(|_| fd::pipe()).collect::<Result<Vec<_>, _>>()?;
        Ok(Shared { dir: dir.to_path_buf(), pool: Pool::create()?, pipes })
    }

    /// Starts a program; its standard input is the write end, because the test harness writes on its output.
    pub(crate) fn start_writer(&self, stream: &Stream) -> Result<Child, Error> {
        let place = STREAMS.iter().position(|other| other.letter == stream.letter).ok_or("no such stream")?;
        let write = self.pipes[place].1.try_clone()?;
        Ok(command(&stream.letter.to_string(), &self.dir)?.stdin(write).spawn()?)
    }

    /// Starts a reactor that finds the buffers and the read ends where the last one left them.
    pub(crate) fn start_reactor(&self) -> Result<Child, Error> {
        let mut kept = vec![self.pool.fd().try_clone_to_owned()?];
        for (read, _) in &self.pipes {
            kept.push(read.try_clone()?);
        }
        kept.iter().try_for_each(fd::keep_across_exec)?;
        let numbers: Vec<String> = kept.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
        Ok(command("reactor", &self.dir)?.env(FDS, numbers.join(" ")).spawn()?)
    }
}

/// Returns this test binary in another role.
pub(crate) fn command(role: &str, dir: &Path) -> Result<Command, Error> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", "role", "--nocapture"]).env(ROLE, role).env(DIR, dir).stdout(Stdio::null());
    Ok(command)
}

/// Waits for a child until `deadline`; returns None when it still runs then.
pub(crate) fn wait(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>, Error> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        std::thread::park_timeout(left.min(Duration::from_millis(1)));
    }
}

pub(crate) fn play(role: &str) -> Result<(), Error> {
    let dir = PathBuf::from(std::env::var_os(DIR).ok_or("no directory")?);
    match STREAMS.iter().find(|stream| stream.letter.to_string() == role) {
        Some(stream) => write(&dir, stream),
        None if role == "full" => crate::full::play(&dir),
        None => react(&dir),
    }
}

fn write(dir: &Path, stream: &Stream) -> Result<(), Error> {
    let mut out = File::from(fd::adopt(0)?);
    let (stop, mut number, mut turn) = (dir.join(STOP), 0, 0_u32);
    loop {
        number = (stream.write)(&mut out, number)?;
        turn += 1;
        if turn.is_multiple_of(64) && stop.exists() {
            break;
        }
    }
    std::fs::write(dir.join(stream.count_file()), number.to_string())?;
    Ok(())
}

fn react(dir: &Path) -> Result<(), Error> {
    let numbers = std::env::var(FDS)?;
    let mut fds = numbers.split(' ').map(|number| Ok::<_, Error>(fd::adopt(number.parse()?)?));
    let pool = Arc::new(Pool::adopt(fds.next().ok_or("no pool")??)?);
    let mut poll = mio::Poll::new()?;
    let waker = mio::Waker::new(poll.registry(), mio::Token(0))?;
    let disk: Disk<()> = Disk::start(Arc::clone(&pool), Box::new(move || drop(waker.wake())))?;
    let mut pump = Pump::new(poll.registry().try_clone()?, 1, pool, disk.inlet());
    for (number, stream) in STREAMS.iter().enumerate() {
        let sink = disk.open(SinkSpec::file(&dir.join(stream.log), MAX_BYTES, BACKUPS));
        let read = fds.next().ok_or("no pipe")??;
        pump.attach(StreamId(number as u64), read, Some(sink), StreamOptions::default())?;
    }
    disk.all_open(pump.streams());
    let mut events = mio::Events::with_capacity(64);
    while !pump.is_empty() {
        let timeout = pump.next_deadline().map(|deadline| deadline.since(clock::now()));
        poll.poll(&mut events, timeout)?;
        for event in &events {
            if let Some(stream) = pump.stream_of(event.token()) {
                pump.ready(stream);
            }
        }
        for event in disk.drain() {
            match event {
                Event::SlotFree => pump.slots_freed(),
                Event::Recovered { slots, bytes } => {
                    let mut file = OpenOptions::new().create(true).append(true).open(dir.join(RECOVERED))?;
                    file.write_all(format!("{slots} {bytes}\n").as_bytes())?;
                }
                Event::Opened { result, .. } => result?,
                Event::Log { target, note } => return Err(format!("{target}: {note:?}").into()),
                Event::Cleared { .. } | Event::Done(()) | Event::Grown(_) => {}
            }
        }
        pump.tick(clock::now());
    }
    if disk.stop(Duration::from_secs(60)) { Ok(()) } else { Err("the disk worker did not end".into()) }
}
