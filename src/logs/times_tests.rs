//! The place that notes lead to is never too late, whatever is wrong with them.

use super::*;
use std::fs;
use std::time::SystemTime;

const MARK: Mark = Mark { inode: 7, born_ns: 9 };

fn at(seconds: u64) -> WallTime {
    WallTime(seconds as i64 * 1_000_000_000)
}

/// Where the bytes since a time begin in a file with these notes, by seconds and sizes.
fn start(notes: &[(u64, u64)], since: u64) -> Option<u64> {
    let bytes: Vec<u8> = notes.iter().flat_map(|(seconds, size)| note(at(*seconds), MARK, *size)).collect();
    Index::of(&[bytes], at(since)).start(MARK)
}

#[test]
fn the_place_is_exact_to_the_interval_of_the_notes_and_never_too_late() {
    // Written at 100, 105, and then at 300 and 310.
    let notes = [(100, 0), (300, 50), (310, 70)];
    for (since, expected) in [
        (99, None),
        (100, Some(0)),
        (109, Some(0)),
        (110, Some(50)),
        (299, Some(50)),
        (300, Some(50)),
        (310, Some(70)),
        (9999, Some(70)),
    ] {
        assert_eq!(start(&notes, since), expected, "{since}");
    }
}

#[test]
fn a_gap_a_torn_note_and_a_clock_that_was_set_back_only_show_more() {
    let lines = |middle: &[u8]| {
        let notes = [note(at(100), MARK, 0), middle.to_vec(), note(at(300), MARK, 50)];
        Index::of(&[notes.concat()], at(200)).start(MARK)
    };
    assert_eq!(lines(b""), Some(50));
    assert_eq!(lines(GAP), Some(0));
    assert_eq!(lines(b"visord: 68 bytes of output dropped: no space\n"), Some(0));
    assert_eq!(lines(&note(at(250), MARK, 20)[..30]), Some(0), "the torn one swallows the next");
    let set_back = [note(at(100), MARK, 0), GAP.to_vec(), note(at(500), MARK, 10), GAP.to_vec()];
    let notes = [set_back.concat(), note(at(200), MARK, 20), note(at(210), MARK, 30)].concat();
    assert_eq!(Index::of(&[notes], at(250)).start(MARK), Some(0));
    let second = 1_000_000_000;
    assert!(!was_set(5, 5 + second) && !was_set(5 + second, 5) && was_set(5, 6 + second));
}

#[test]
fn a_file_that_was_emptied_begins_anew_and_another_file_of_the_same_number_is_another() {
    assert_eq!(start(&[(100, 0), (200, 90), (300, 5)], 250), None);
    assert_eq!(start(&[(100, 0), (200, 90), (300, 5)], 305), Some(5));
    let index = Index::of(&[note(at(100), MARK, 40)], at(200));
    assert_eq!(index.start(Mark { born_ns: 10, ..MARK }), None);
    let unborn = Mark { born_ns: 0, ..MARK };
    assert_eq!(Index::of(&[note(at(100), unborn, 40)], at(200)).start(unborn), None);
}

#[test]
fn both_generations_are_read_and_a_note_has_its_length() {
    let notes = [note(at(100), MARK, 10), note(at(200), MARK, 20)];
    assert_eq!(notes[0].len(), NOTE_BYTES);
    assert_eq!(Index::of(&notes, at(205)).start(MARK), Some(20));
}

fn touch(path: &Path, seconds: u64) -> io::Result<()> {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    fs::File::options().append(true).open(path)?.set_modified(at)
}

#[test]
fn without_notes_whole_files_are_left_out_by_the_time_of_their_last_byte() -> io::Result<()> {
    let directory = tempfile::tempdir()?;
    let (path, backup) = (directory.path().join("log"), directory.path().join("log.1"));
    let position = |since: u64| Index::of(&[], at(since)).position(&path);
    assert_eq!(position(0), None);
    fs::write(&path, "new\n")?;
    fs::write(&backup, "older\n")?;
    touch(&backup, 1000)?;
    touch(&path, 2000)?;
    let mark = |path: &Path| follow::open(path).map(|(_, mark, _)| mark);
    let (new, old) = (mark(&path), mark(&backup));
    for (since, file, offset) in
        [(3000, new, 4), (1500, new, 0), (900, old, 0), (1001, old, 0), (1002, new, 0)]
    {
        let found = position(since);
        assert_eq!((found.map(|at| at.mark), found.map(|at| at.offset)), (file, Some(offset)), "{since}");
    }
    Ok(())
}

#[test]
fn reading_begins_with_a_line() -> io::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("log");
    fs::write(&path, "one\ntwo\nthree\n")?;
    let file = fs::File::open(&path)?;
    for (offset, expected) in [(0, 0), (3, 0), (4, 4), (6, 4), (14, 14)] {
        assert_eq!(line_start(&file, offset)?, expected);
    }
    fs::write(&path, "x".repeat(LINE_MAX_BYTES as usize + 9))?;
    let file = fs::File::open(&path)?;
    let end = LINE_MAX_BYTES;
    assert_eq!((line_start(&file, end)?, line_start(&file, end + 1)?), (0, end + 1));
    Ok(())
}
