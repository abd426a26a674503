//! A disk that is full for a while: a limit on file sizes, and a small tmpfs where we may mount one.

use crate::roles::Error;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::path::Path;
use std::process::Command;
use visor::logs::loss::Note;
use visor::logs::sink::SinkSpec;
use visor::logs::writer::Writer;
use visor::model::Signal;

/// Room for the log at first, no multiple of a line.
const ROOM_BYTES: u64 = 100_000;

/// Bytes of each line.
const LINE_BYTES: usize = 9;

pub(crate) fn play(dir: &Path) -> Result<(), Error> {
    visor::sys::signals::ignore(&[Signal(libc::SIGXFSZ)])?;
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE)?;
    setrlimit(Resource::RLIMIT_FSIZE, ROOM_BYTES, hard)?;
    fill(&dir.join("log"), || Ok(setrlimit(Resource::RLIMIT_FSIZE, hard, hard)?))?;
    let mount = dir.join("tmpfs");
    std::fs::create_dir(&mount)?;
    if run("mount", &["-t", "tmpfs", "-o", "size=100k", "tmpfs"], &mount).is_ok() {
        let result = fill(&mount.join("log"), || run("mount", &["-o", "remount,size=10m"], &mount));
        run("umount", &["-l"], &mount)?;
        result?;
    }
    Ok(())
}

fn run(program: &str, args: &[&str], last: &Path) -> Result<(), Error> {
    let status = Command::new(program).args(args).arg(last).stderr(std::process::Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{program} {args:?} failed").into()) }
}

/// Writes numbered lines until the disk is full and beyond, makes room, writes on, and looks at what is there.
fn fill(path: &Path, make_room: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    let mut writer = Writer::new(SinkSpec::file(path, 0, 0));
    writer.open()?;
    let (mut notes, mut number, mut after) = (Vec::new(), 0, 0);
    let mut write = |writer: &mut Writer, notes: &mut Vec<Note>| {
        let lines: String = (number..number + 700).map(|number| format!("{number:08}\n")).collect();
        number += 700;
        writer.append_own(lines.as_bytes(), notes);
        number
    };
    while after < 3 {
        let count = write(&mut writer, &mut notes);
        assert!(count < 1_000_000, "the disk is never full");
        after += usize::from(!notes.is_empty());
    }
    make_room()?;
    write(&mut writer, &mut notes);
    let count = write(&mut writer, &mut notes);
    let [Note::Dropped(..), Note::Resumed(dropped)] = notes[..] else {
        return Err(format!("unexpected: {notes:?}").into());
    };
    let text = std::fs::read_to_string(path)?;
    let (kept, marks): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.parse::<u32>().is_ok());
    let mark = format!("visord: {dropped} bytes of output dropped: ");
    assert!(matches!(marks[..], [line] if line.starts_with(&mark)), "{marks:?} where {mark:?} was due");
    assert!(kept.iter().all(|line| line.len() + 1 == LINE_BYTES), "a line is torn");
    assert!(kept.is_sorted() && kept.last().and_then(|line| line.parse().ok()) == Some(count - 1));
    assert_eq!(kept.len() * LINE_BYTES + dropped as usize, count as usize * LINE_BYTES, "the sum is right");
    Ok(())
}
