//! What a daemon must remember about a process to survive the death of its reactor.
//!
//! The core writes one [`ProcessRecord`] per process into a slot of a shared file whenever something in it
//! changes, and a new reactor restores the core from them. A slot has a fixed size, so that it is rewritten in
//! place, and a checksum, because the writer may die in the middle. Knows bytes, and nothing of their meaning.
//!
//! Example: `file.write_at(&record.encode(), slot * RECORD_SIZE_BYTES)`, and later `ProcessRecord::decode`.

use super::{ExitStatus, RunId, Signal, State, Time, WallTime};
use serde::{Deserialize, Serialize};

/// Size of an encoded record in bytes: the fields, both texts at their limits, and room to grow.
pub const RECORD_SIZE_BYTES: usize = 512;

/// Most bytes of [`ProcessRecord::failure`] that are stored: file names in it may be long, the words are not.
pub const FAILURE_SIZE_MAX_BYTES: usize = 256;

/// Most bytes of [`ProcessRecord::cause`] that are stored.
pub const CAUSE_SIZE_MAX_BYTES: usize = 96;

/// First bytes of every slot in use; the last one is the version of the layout.
const MAGIC: [u8; 4] = [b'V', b'R', b'c', 1];

/// Where the checksum stands: right behind [`MAGIC`], over everything after itself.
const CHECKSUM_AT: usize = MAGIC.len();

/// Where the fields begin.
const BODY_AT: usize = CHECKSUM_AT + 4;

/// A process in a form that can be stored and restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// Which group of the header it belongs to: a slot may still hold the record of a process before it.
    pub serial: u32,
    /// The state that clients see.
    pub state: State,
    /// The core's finer step within that state; opaque to everybody else.
    pub step: u8,
    /// Whether the user or the policy wants it up.
    pub wanted: bool,
    /// Whether the last exit was expected.
    pub expected: bool,
    /// The current run, or the ended one whose left-overs are watched; 0 when none.
    pub run: RunId,
    /// The kernel's number of that run; 0 when unknown or none.
    pub pid: i32,
    /// Failed starts in a row.
    pub attempt: u32,
    /// Processes that the run left behind, where they were counted.
    pub left: Option<u32>,
    /// When the next step of stopping or sweeping is due; 0 when none.
    pub deadline: Time,
    /// When the next automatic start is due; 0 when none.
    pub retry_at: Time,
    /// When the current run started, on the monotonic clock; 0 when none.
    pub started: Time,
    /// The core's account of recent starts, which bounds their rate.
    pub rate: Time,
    /// When it was last started, for people; 0 never.
    pub started_wall: WallTime,
    /// When it last stopped, for people; 0 never.
    pub stopped_wall: WallTime,
    /// When its state last changed, for people; 0 never.
    pub changed_wall: WallTime,
    /// How the last run ended, where that is known.
    pub exit: Option<ExitStatus>,
    /// supervisord's `exitstatus`, which is 0 again after a start and after an early exit.
    pub exitstatus: i32,
    /// Who caused the last change, in the core's code; opaque to everybody else.
    pub actor: u64,
    /// Where the conversation with an event listener stands, in the core's code; opaque to everybody else.
    pub dialogue: u8,
    /// The event that it is to answer: its number in the pool.
    pub awaited: u64,
    /// supervisord's `spawnerr`: why the last start failed; empty when it did not.
    pub failure: String,
    /// Why its state last changed, in words.
    pub cause: String,
    /// Starts by itself since somebody asked for one.
    pub restarts: u32,
    /// How the run before the current one ended, where the current one was started because of that.
    pub previous: Option<ExitStatus>,
}

impl ProcessRecord {
    /// Returns the record as the bytes of a slot. Texts over their limit lose their end, at a character.
    #[must_use]
    pub fn encode(&self) -> [u8; RECORD_SIZE_BYTES] {
        let mut out = Writer { bytes: [0; RECORD_SIZE_BYTES], at: BODY_AT };
        out.put(&self.serial.to_le_bytes());
        out.put(&self.state.code().to_le_bytes());
        out.put(&[self.step, u8::from(self.wanted), u8::from(self.expected)]);
        out.put(&self.run.0.to_le_bytes());
        out.put(&self.pid.to_le_bytes());
        out.put(&self.attempt.to_le_bytes());
        out.put(&[u8::from(self.left.is_some())]);
        out.put(&self.left.unwrap_or(0).to_le_bytes());
        for time in [self.deadline, self.retry_at, self.started, self.rate] {
            out.put(&time.0.to_le_bytes());
        }
        for wall in [self.started_wall, self.stopped_wall, self.changed_wall] {
            out.put(&wall.0.to_le_bytes());
        }
        let (kind, number) = exit_to_code(self.exit);
        out.put(&[kind]);
        out.put(&number.to_le_bytes());
        out.put(&self.exitstatus.to_le_bytes());
        out.put(&self.actor.to_le_bytes());
        out.put_text(&self.failure, FAILURE_SIZE_MAX_BYTES);
        out.put_text(&self.cause, CAUSE_SIZE_MAX_BYTES);
        // What came later stands last: an older record has zeros there, which mean none.
        out.put(&self.restarts.to_le_bytes());
        let (kind, number) = exit_to_code(self.previous);
        out.put(&[kind]);
        out.put(&number.to_le_bytes());
        out.put(&[self.dialogue]);
        out.put(&self.awaited.to_le_bytes());
        out.seal()
    }

    /// Returns the record that [`ProcessRecord::encode`] wrote, or nothing when the bytes are not whole: an
    /// unused slot, one half written, one of another version.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<ProcessRecord> {
        let mut from = Reader::open(bytes)?;
        let record = ProcessRecord {
            serial: from.u32()?,
            state: State::by_code(from.u16()?)?,
            step: from.u8()?,
            wanted: from.bool()?,
            expected: from.bool()?,
            run: RunId(from.u64()?),
            pid: from.i32()?,
            attempt: from.u32()?,
            left: {
                let counted = from.bool()?;
                let left = from.u32()?;
                counted.then_some(left)
            },
            deadline: Time(from.u64()?),
            retry_at: Time(from.u64()?),
            started: Time(from.u64()?),
            rate: Time(from.u64()?),
            started_wall: WallTime(from.i64()?),
            stopped_wall: WallTime(from.i64()?),
            changed_wall: WallTime(from.i64()?),
            exit: exit_from_code(from.u8()?, from.i32()?)?,
            exitstatus: from.i32()?,
            actor: from.u64()?,
            failure: from.text(FAILURE_SIZE_MAX_BYTES)?,
            cause: from.text(CAUSE_SIZE_MAX_BYTES)?,
            restarts: from.u32()?,
            previous: exit_from_code(from.u8()?, from.i32()?)?,
            dialogue: from.u8()?,
            awaited: from.u64()?,
        };
        Some(record)
    }
}

/// Returns an exit as kind and number: none 0, code 1, signal 2, signal with core file 3, unknown 4.
fn exit_to_code(exit: Option<ExitStatus>) -> (u8, i32) {
    match exit {
        None => (0, 0),
        Some(ExitStatus::Code(code)) => (1, i32::from(code)),
        Some(ExitStatus::Signaled { signal, core }) => (if core { 3 } else { 2 }, signal.0),
        Some(ExitStatus::Unknown) => (4, 0),
    }
}

fn exit_from_code(kind: u8, number: i32) -> Option<Option<ExitStatus>> {
    match kind {
        0 => Some(None),
        1 => Some(Some(ExitStatus::Code(u8::try_from(number).ok()?))),
        2 | 3 => Some(Some(ExitStatus::Signaled { signal: Signal(number), core: kind == 3 })),
        4 => Some(Some(ExitStatus::Unknown)),
        _ => None,
    }
}

/// Returns FNV-1a of the bytes: enough to tell a torn slot, which nobody forges in our own memory.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Returns the longest beginning of `text` of at most `limit` bytes that ends at a character.
fn truncate(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

struct Writer {
    bytes: [u8; RECORD_SIZE_BYTES],
    at: usize,
}

impl Writer {
    fn put(&mut self, field: &[u8]) {
        self.bytes[self.at..self.at + field.len()].copy_from_slice(field);
        self.at += field.len();
    }

    fn put_text(&mut self, text: &str, limit: usize) {
        let text = truncate(text, limit);
        self.put(&u16::try_from(text.len()).unwrap_or(0).to_le_bytes());
        self.put(text.as_bytes());
    }

    fn seal(mut self) -> [u8; RECORD_SIZE_BYTES] {
        let sum = checksum(&self.bytes[BODY_AT..]);
        self.bytes[..CHECKSUM_AT].copy_from_slice(&MAGIC);
        self.bytes[CHECKSUM_AT..BODY_AT].copy_from_slice(&sum.to_le_bytes());
        self.bytes
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn open(bytes: &'a [u8]) -> Option<Reader<'a>> {
        let bytes = bytes.get(..RECORD_SIZE_BYTES)?;
        let sum = u32::from_le_bytes(bytes[CHECKSUM_AT..BODY_AT].try_into().ok()?);
        let whole = bytes.starts_with(&MAGIC) && sum == checksum(&bytes[BODY_AT..]);
        whole.then_some(Reader { rest: &bytes[BODY_AT..] })
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*field)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_le_bytes)
    }

    fn bool(&mut self) -> Option<bool> {
        self.u8().map(|byte| byte != 0)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }

    fn text(&mut self, limit: usize) -> Option<String> {
        let size = usize::from(self.u16()?);
        let text = self.rest.get(..size).filter(|_| size <= limit)?;
        self.rest = &self.rest[size..];
        String::from_utf8(text.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ProcessRecord {
        ProcessRecord {
            serial: 12,
            state: State::Unknown,
            step: 3,
            wanted: true,
            expected: true,
            run: RunId(u64::MAX),
            pid: i32::MAX,
            attempt: 7,
            left: Some(2),
            deadline: Time(u64::MAX),
            retry_at: Time(1),
            started: Time(2),
            rate: Time(3),
            started_wall: WallTime(-4),
            stopped_wall: WallTime(i64::MAX),
            changed_wall: WallTime(5),
            exit: Some(ExitStatus::Signaled { signal: Signal::SEGV, core: true }),
            exitstatus: -1,
            actor: 99,
            dialogue: 3,
            awaited: u64::MAX - 1,
            failure: "can't find command 'x'".to_owned(),
            cause: "start requested".to_owned(),
            restarts: 8,
            previous: Some(ExitStatus::Code(9)),
        }
    }

    #[test]
    fn every_field_comes_back() {
        for exit in [None, Some(ExitStatus::Code(255)), Some(ExitStatus::Unknown), record().exit] {
            let record = ProcessRecord { exit, previous: exit, ..record() };
            assert_eq!(ProcessRecord::decode(&record.encode()), Some(record));
        }
    }

    #[test]
    fn texts_are_cut_at_their_limit_on_a_character() {
        let long = ProcessRecord { failure: "ö".repeat(200), cause: "x".repeat(97), ..record() };
        let back = ProcessRecord::decode(&long.encode()).unwrap();
        assert_eq!((back.failure.len(), back.cause.len()), (FAILURE_SIZE_MAX_BYTES, CAUSE_SIZE_MAX_BYTES));
        let odd = ProcessRecord { failure: format!("x{}", "ö".repeat(200)), ..record() };
        let back = ProcessRecord::decode(&odd.encode()).unwrap();
        assert_eq!(back.failure.len(), FAILURE_SIZE_MAX_BYTES - 1);
        let whole = ProcessRecord { failure: "y".repeat(FAILURE_SIZE_MAX_BYTES), ..record() };
        assert_eq!(ProcessRecord::decode(&whole.encode()), Some(whole));
    }

    #[test]
    fn a_torn_slot_is_told() {
        let old = record().encode();
        let new = ProcessRecord { pid: 4711, attempt: 8, cause: "exited".to_owned(), ..record() }.encode();
        for cut in 1..RECORD_SIZE_BYTES {
            let mut torn = old;
            torn[..cut].copy_from_slice(&new[..cut]);
            if torn != old && torn != new {
                assert_eq!(ProcessRecord::decode(&torn), None, "torn at byte {cut}");
            }
        }
        assert_eq!(ProcessRecord::decode(&[0; RECORD_SIZE_BYTES]), None);
        assert_eq!(ProcessRecord::decode(&old[..RECORD_SIZE_BYTES - 1]), None);
    }
}
