//! One log through everything that can happen to it while it is written.

use super::*;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

type Test = Result<(), Box<dyn std::error::Error>>;

struct Bench {
    dir: tempfile::TempDir,
    writer: Writer,
    notes: Vec<Note>,
}

impl Bench {
    fn new(max_bytes: u64, backups: u32) -> Result<Bench, Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let writer = Writer::new(SinkSpec::file(&dir.path().join("log"), max_bytes, backups));
        let mut bench = Bench { dir, writer, notes: Vec::new() };
        bench.writer.open()?;
        Ok(bench)
    }

    fn at(path: &Path) -> Result<Bench, Box<dyn std::error::Error>> {
        Ok(Bench {
            dir: tempfile::tempdir()?,
            writer: Writer::new(SinkSpec::file(path, 0, 0)),
            notes: Vec::new(),
        })
    }

    fn write(&mut self, bytes: &[u8]) {
        self.writer.append_own(bytes, &mut self.notes);
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap_or_else(|error| error.to_string())
    }

    /// Lets the next write look at the path, as it does once a second.
    fn look_again(&mut self) {
        self.writer.path_checked = Time(0);
    }
}

#[test]
fn a_log_is_appended_to() -> Test {
    let mut bench = Bench::new(0, 0)?;
    bench.write(b"one\n");
    bench.writer.reopen()?;
    bench.write(b"two\n");
    assert_eq!(bench.text("log"), "one\ntwo\n");
    Ok(())
}

#[test]
fn rotation_cuts_at_the_first_line_end_from_the_limit_on() -> Test {
    let mut bench = Bench::new(10, 2)?;
    bench.write(b"12345\n789");
    assert_eq!(bench.text("log"), "12345\n789", "short of the limit");
    bench.write(b"0a\nnext\n");
    assert_eq!((bench.text("log.1").as_str(), bench.text("log").as_str()), ("12345\n7890a\n", "next\n"));
    bench.write(b"1234\n");
    assert_eq!(
        (bench.text("log.1").as_str(), bench.text("log").as_str()),
        ("next\n1234\n", ""),
        "exactly at it"
    );
    bench.write(b"aaaaaaaaa\nbbbbbbbbb\nc\n");
    assert_eq!(
        (bench.text("log.2"), bench.text("log.1"), bench.text("log")),
        ("aaaaaaaaa\n".into(), "bbbbbbbbb\n".into(), "c\n".into()),
        "one write may fill several files, and the oldest goes"
    );
    assert_eq!(bench.notes, []);
    Ok(())
}

#[test]
fn without_backups_a_full_log_is_emptied() -> Test {
    let mut bench = Bench::new(4, 0)?;
    bench.write(b"123\n4\n");
    assert_eq!(bench.text("log"), "4\n");
    assert!(!bench.dir.path().join("log.1").exists());
    Ok(())
}

#[test]
fn a_line_without_end_is_cut_at_last() -> Test {
    let mut bench = Bench::new(10, 1)?;
    let line = vec![b'x'; 65_536];
    let enough = (10 + rotate::LINE_MAX_BYTES).div_ceil(65_536);
    (0..enough).for_each(|_| bench.write(&line));
    assert_eq!(fs::metadata(bench.dir.path().join("log.1"))?.len(), 10 + rotate::LINE_MAX_BYTES);
    let rest = enough * 65_536 - 10 - rotate::LINE_MAX_BYTES;
    assert_eq!(fs::metadata(bench.dir.path().join("log"))?.len(), rest);
    Ok(())
}

#[test]
fn a_file_that_is_full_at_the_start_is_rotated_before_the_first_line() -> Test {
    let mut bench = Bench::new(6, 1)?;
    fs::write(bench.dir.path().join("log"), "12345\n")?;
    bench.write(b"new\n");
    assert_eq!((bench.text("log.1").as_str(), bench.text("log").as_str()), ("12345\n", "new\n"));
    Ok(())
}

#[test]
fn a_rotation_that_fails_costs_nothing_and_is_tried_again_later() -> Test {
    let mut bench = Bench::new(100, 1)?;
    let obstacle = bench.dir.path().join("log.1");
    fs::create_dir_all(obstacle.join("full"))?;
    let line = format!("{}\n", "x".repeat(59));
    (0..3).for_each(|_| bench.write(line.as_bytes()));
    assert_eq!(bench.text("log"), line.repeat(3));
    assert!(
        matches!(&bench.notes[..], [Note::Warning(text)] if text.contains("grows on")),
        "{:?}",
        bench.notes
    );
    fs::remove_dir_all(&obstacle)?;
    bench.write(line.as_bytes());
    assert_eq!((bench.text("log.1"), bench.text("log")), (line.repeat(4), String::new()));
    Ok(())
}

#[test]
fn a_log_that_somebody_empties_has_no_hole() -> Test {
    let mut bench = Bench::new(0, 0)?;
    bench.write(b"old old old\n");
    fs::File::options().write(true).open(bench.dir.path().join("log"))?.set_len(0)?;
    bench.write(b"new\n");
    assert_eq!(bench.text("log"), "new\n");
    Ok(())
}

#[test]
fn a_log_that_is_removed_is_made_again_at_once() -> Test {
    let mut bench = Bench::new(0, 0)?;
    bench.write(b"lost\n");
    fs::remove_file(bench.dir.path().join("log"))?;
    bench.write(b"kept\n");
    assert_eq!(bench.text("log"), "kept\n");
    Ok(())
}

#[test]
fn a_log_whose_directory_is_removed_is_made_again() -> Test {
    let dir = tempfile::tempdir()?;
    let sub = dir.path().join("sub");
    fs::create_dir(&sub)?;
    let mut bench = Bench::at(&sub.join("log"))?;
    bench.write(b"lost\n");
    fs::remove_dir_all(&sub)?;
    bench.write(b"kept\n");
    assert_eq!((fs::read_to_string(sub.join("log"))?.as_str(), bench.notes.len()), ("kept\n", 0));
    Ok(())
}

#[test]
fn a_log_that_is_moved_away_is_made_again_at_the_next_look() -> Test {
    let mut bench = Bench::new(0, 0)?;
    bench.write(b"old\n");
    fs::rename(bench.dir.path().join("log"), bench.dir.path().join("moved"))?;
    bench.write(b"still old\n");
    bench.look_again();
    bench.write(b"new\n");
    assert_eq!((bench.text("moved").as_str(), bench.text("log").as_str()), ("old\nstill old\n", "new\n"));
    Ok(())
}

#[test]
fn what_cannot_replace_a_log_leaves_the_old_one_in_use() -> Test {
    let mut bench = Bench::new(0, 0)?;
    let path = bench.dir.path().join("log");
    fs::rename(&path, bench.dir.path().join("moved"))?;
    fs::create_dir(&path)?;
    bench.look_again();
    bench.write(b"one\n");
    fs::remove_dir(&path)?;
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU)?;
    bench.look_again();
    bench.writer.open_failure = None;
    bench.write(b"two\n");
    assert_eq!((bench.text("moved").as_str(), bench.notes.len()), ("one\ntwo\n", 0));
    Ok(())
}

#[test]
fn clearing_begins_a_new_file_and_keeps_the_backups() -> Test {
    let mut bench = Bench::new(4, 1)?;
    bench.write(b"123\n4\n");
    let old = fs::metadata(bench.dir.path().join("log"))?.ino();
    let _keep_the_inode_in_use = fs::File::open(bench.dir.path().join("log"))?;
    bench.writer.clear()?;
    bench.write(b"5\n");
    assert_eq!((bench.text("log.1").as_str(), bench.text("log").as_str()), ("123\n", "5\n"));
    assert_ne!(fs::metadata(bench.dir.path().join("log"))?.ino(), old);
    Ok(())
}

#[test]
fn a_full_device_drops_and_counts() -> Test {
    if !Path::new("/dev/full").exists() {
        return Ok(());
    }
    let mut bench = Bench::at(Path::new("/dev/full"))?;
    bench.write(b"12345\n");
    bench.write(b"12\n");
    assert_eq!(bench.notes, [Note::Dropped(6, "no space left on device".into())]);
    assert_eq!(bench.writer.loss.bytes(), 9);
    Ok(())
}

#[test]
fn what_is_lost_is_whole_lines_and_a_line_tells_of_it() -> Test {
    let mut bench = Bench::new(0, 0)?;
    bench.write(b"first\nbegun ");
    bench.writer.note_dropped(100, "the disk is full", true, &mut bench.notes);
    bench.write(b"the end of the dropped line");
    bench.write(b" and more\nwhole\n");
    let want = "first\nbegun \nvisord: 137 bytes of output dropped: the disk is full\nwhole\n";
    assert_eq!(bench.text("log"), want);
    assert_eq!(bench.notes, [Note::Dropped(100, "the disk is full".into()), Note::Resumed(137)]);
    Ok(())
}

#[test]
fn a_stream_that_nobody_reads_drops_and_says_so_afterwards() -> Test {
    let (read, write) = crate::sys::fd::pipe()?;
    crate::sys::fd::set_nonblocking(&write, true)?;
    let mut bench = Bench::at(Path::new("/dev/stdout"))?;
    bench.writer.port = Some(Port::Flow(Flow::device(File::from(write))));
    let line = [[b'x'; 99].as_slice(), b"\n"].concat();
    let count = crate::sys::pipe::DEFAULT_CAPACITY / line.len() + 100;
    bench.write(&line.repeat(count));
    let mut reader = File::from(read);
    let mut first = vec![0; crate::sys::pipe::available(&reader)?];
    std::io::Read::read_exact(&mut reader, &mut first)?;
    bench.write(b"the end of a lost line\nback\n");
    let mut rest = vec![0; crate::sys::pipe::available(&reader)?];
    std::io::Read::read_exact(&mut reader, &mut rest)?;
    let text = String::from_utf8(rest)?;
    let [Note::Dropped(..), Note::Resumed(dropped)] = bench.notes[..] else {
        return Err(format!("{:?}", bench.notes).into());
    };
    assert_eq!(
        dropped as usize + first.len(),
        count * line.len() + if text.contains("the end") { 0 } else { 23 }
    );
    let mark = format!("visord: {dropped} bytes of output dropped: ");
    assert!(text.trim_start().starts_with(&mark) && text.ends_with("back\n"), "{text}");
    Ok(())
}
