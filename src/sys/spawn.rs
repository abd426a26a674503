//! Making a program: an image prepared beforehand, and the few steps between fork and exec.
//!
//! The reactor builds an [`Image`] (words, environment, limits, user) as plain bytes in a nameless file. The
//! keeper forks, and [`enter`] runs in the child: it maps the file, turns offsets into pointers in its own
//! copy, and calls only what signal-safety(7) allows. What fails is told with its stage over one pipe that all
//! children share; a record is smaller than `PIPE_BUF`, so records never mix.

use crate::model::Pid;
use crate::sys::process::Limited;
use crate::sys::{identity, process, signals};
use nix::errno::Errno;
use std::ffi::{CStr, CString};
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;

/// First word of an image: the layout's name and version.
const MAGIC: u64 = 0x0001_6567_616d_4956;
/// Number of 64-bit words in front of an image's tables.
const HEADER_WORDS: usize = 18;
/// Stands for "not asked for" in a header word.
const NONE: u64 = u64::MAX;
/// Largest image, in bytes; the kernel itself refuses more than 6 MiB of words and environment.
pub const IMAGE_SIZE_MAX: usize = 8 << 20;
/// Exit code of a child that could not become the program, as supervisord's.
pub const EXIT_NOT_SPAWNED: u8 = 127;

/// What a failed child was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading the image.
    Image = 1,
    /// Setting resource limits.
    Limits = 2,
    /// Becoming another user.
    User = 3,
    /// Changing to the working directory.
    Directory = 4,
    /// Executing the program.
    Exec = 5,
}

/// Stages with the words that follow "cannot".
pub const STAGES: [(Stage, &str); 5] = [
    (Stage::Image, "read its own instructions"),
    (Stage::Limits, "set its limits"),
    (Stage::User, "become its user"),
    (Stage::Directory, "enter its directory"),
    (Stage::Exec, "execute its command"),
];

impl Stage {
    /// Returns the stage with this number.
    #[must_use]
    pub fn by_number(number: u32) -> Option<Stage> {
        STAGES.iter().map(|row| row.0).find(|stage| *stage as u32 == number)
    }

    /// Returns the words that follow "cannot".
    #[must_use]
    pub fn words(self) -> &'static str {
        STAGES.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }
}

/// Everything a program is started with.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// The file to execute.
    pub path: CString,
    /// Its words, the first is what it is called.
    pub argv: Vec<CString>,
    /// Its environment, `NAME=value`.
    pub env: Vec<CString>,
    /// Its working directory.
    pub directory: Option<CString>,
    /// Its file creation mask.
    pub umask: Option<u32>,
    /// User id, group id and groups to become.
    pub user: Option<(u32, u32, Vec<u32>)>,
    /// Soft and hard limits to set.
    pub limits: Vec<(Limited, u64, u64)>,
}

impl Image {
    /// Writes the image into a nameless file, from where the keeper's child reads it.
    ///
    /// # Errors
    /// `E2BIG` for more than [`IMAGE_SIZE_MAX`] bytes, and as memfd_create(2) and write(2).
    pub fn store(&self) -> io::Result<File> {
        let bytes = self.encode();
        if bytes.len() > IMAGE_SIZE_MAX {
            return Err(Errno::E2BIG.into());
        }
        let file = crate::sys::memfile::create(c"spawn")?;
        file.write_all_at(&bytes, 0)?;
        Ok(file)
    }

    fn encode(&self) -> Vec<u8> {
        let (argc, envc) = (self.argv.len(), self.env.len());
        let groups = self.user.as_ref().map_or(&[][..], |user| &user.2);
        let argv_at = HEADER_WORDS * 8;
        let env_at = argv_at + (argc + 1) * 8;
        let groups_at = env_at + (envc + 1) * 8;
        let mut text = Text { at: groups_at + groups.len().next_multiple_of(2) * 4, bytes: Vec::new() };
        let mut words = vec![0_u64; HEADER_WORDS];
        words[0] = MAGIC;
        (words[2], words[3]) = (argv_at as u64, argc as u64);
        (words[4], words[5]) = (env_at as u64, envc as u64);
        words[6] = text.put(&self.path);
        words[7] = self.directory.as_ref().map_or(NONE, |directory| text.put(directory));
        words[8] = self.umask.map_or(NONE, u64::from);
        words[9] = self.user.as_ref().map_or(NONE, |user| u64::from(user.0));
        words[10] = self.user.as_ref().map_or(NONE, |user| u64::from(user.1));
        (words[11], words[12]) = (groups_at as u64, groups.len() as u64);
        words[13..17].fill(NONE);
        for (limited, soft, hard) in &self.limits {
            let at = if *limited == Limited::Files { 13 } else { 15 };
            (words[at], words[at + 1]) = (*soft, *hard);
        }
        for list in [&self.argv, &self.env] {
            words.extend(list.iter().map(|word| text.put(word)));
            words.push(0);
        }
        words[1] = (text.at + text.bytes.len()) as u64;
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        groups.iter().for_each(|gid| bytes.extend(gid.to_ne_bytes()));
        bytes.resize(text.at, 0);
        bytes.extend(text.bytes);
        bytes
    }
}

/// The strings at the end of an image.
struct Text {
    at: usize,
    bytes: Vec<u8>,
}

impl Text {
    fn put(&mut self, text: &CStr) -> u64 {
        let offset = self.at + self.bytes.len();
        self.bytes.extend(text.to_bytes_with_nul());
        offset as u64
    }
}

/// The descriptors that a child is given.
pub struct ChildStreams<'a> {
    /// Becomes descriptor 0.
    pub stdin: BorrowedFd<'a>,
    /// Becomes descriptor 1.
    pub stdout: BorrowedFd<'a>,
    /// Becomes descriptor 2.
    pub stderr: BorrowedFd<'a>,
}

/// Size in bytes of what a failed child tells: run, stage, errno.
pub const NOTE_SIZE_BYTES: usize = 16;

/// Reads what a failed child told.
#[must_use]
pub fn decode_note(note: &[u8; NOTE_SIZE_BYTES]) -> (u64, u32, i32) {
    let word = |at: usize| u64::from_ne_bytes(std::array::from_fn(|i| note[at + i]));
    (word(0), (word(8) & 0xffff_ffff) as u32, (word(8) >> 32) as i32)
}

/// Becomes the program; called in the child of a fork with all signals blocked, and never returns.
///
/// Nothing is executed, and nothing said, when `parent` is no longer its parent.
/// A failure is written to descriptor 2 in supervisord's words, told over `notes`, and ends in exit code 127.
pub fn enter(
    run: u64,
    parent: Pid,
    image: BorrowedFd<'_>,
    streams: &ChildStreams<'_>,
    notes: BorrowedFd<'_>,
) -> ! {
    signals::reset_own();
    process::new_session();
    let (stage, errno) = match become_program(image, streams, parent) {
        Err(failed) => failed,
        Ok(never) => match never {},
    };
    let mut note = [0; NOTE_SIZE_BYTES];
    note[..8].copy_from_slice(&run.to_ne_bytes());
    let packed = u64::from(stage as u32) | (u64::from(errno as u32) << 32);
    note[8..].copy_from_slice(&packed.to_ne_bytes());
    let _ = nix::unistd::write(notes, &note);
    // SAFETY: _exit ends the process and takes a number.
    unsafe { libc::_exit(i32::from(EXIT_NOT_SPAWNED)) }
}

type Failure = (Stage, i32);

fn become_program(
    image: BorrowedFd<'_>,
    streams: &ChildStreams<'_>,
    parent: Pid,
) -> Result<std::convert::Infallible, Failure> {
    let last = |error: io::Error| error.raw_os_error().unwrap_or(0);
    for (fd, target) in [(&streams.stdin, 0), (&streams.stdout, 1), (&streams.stderr, 2)] {
        crate::sys::fd::replace(fd, target).map_err(|e| (Stage::Image, last(e)))?;
    }
    let mapped = Mapped::open(image).map_err(|errno| (Stage::Image, errno))?;
    for (at, limited) in [(13, Limited::Files), (15, Limited::Processes)] {
        let (soft, hard) = (mapped.word(at), mapped.word(at + 1));
        if soft != NONE {
            limited.set(soft, hard).map_err(|e| (Stage::Limits, last(e)))?;
        }
    }
    if mapped.word(9) != NONE {
        let (uid, gid) = (mapped.word(9) as u32, mapped.word(10) as u32);
        if let Err(why) = take_user(uid, gid, mapped.groups()) {
            say(format_args!("supervisor: couldn't setuid to {uid}: {}\n", why.1));
            return Err((Stage::User, why.0));
        }
    }
    if mapped.word(7) != NONE {
        let directory = mapped.text(mapped.word(7));
        if let Err(errno) = nix::unistd::chdir(directory) {
            say(format_args!("supervisor: couldn't chdir to {}: {errno:?}\n", Shown(directory)));
            return Err((Stage::Directory, errno as i32));
        }
    }
    if mapped.word(8) != NONE {
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mapped.word(8) as libc::mode_t));
    }
    let path = mapped.text(mapped.word(6));
    signals::unblock_all();
    // A parent that died could tell nobody of this child, which bears no mark before it executes: it would be asked
    // for a second time.
    if nix::unistd::getppid().as_raw() != parent.0 {
        // SAFETY: _exit ends the process and takes a number.
        unsafe { libc::_exit(i32::from(EXIT_NOT_SPAWNED)) }
    }
    let errno = mapped.exec(path);
    say(format_args!("supervisor: couldn't exec {}: {:?}\n", Shown(path), Errno::from_raw(errno)));
    Err((Stage::Exec, errno))
}

/// Becomes the user, or says why not as supervisord does.
fn take_user(uid: u32, gid: u32, groups: &[u32]) -> Result<(), (i32, &'static str)> {
    if identity::uid() == uid {
        return Ok(());
    }
    if !identity::is_root() {
        return Err((libc::EPERM, "Can't drop privilege as nonroot user"));
    }
    let failed = |e: io::Error| (e.raw_os_error().unwrap_or(0), "Can't switch to the user or its groups");
    identity::become_user(uid, gid, groups).map_err(failed)
}

/// Writes a line to descriptor 2 without allocating, and supervisord's second line after it.
fn say(text: fmt::Arguments<'_>) {
    struct Line {
        bytes: [u8; 1024],
        used: usize,
    }
    impl fmt::Write for Line {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let count = text.len().min(self.bytes.len() - self.used);
            self.bytes[self.used..self.used + count].copy_from_slice(&text.as_bytes()[..count]);
            self.used += count;
            Ok(())
        }
    }
    let mut line = Line { bytes: [0; 1024], used: 0 };
    let _ = line.write_fmt(text);
    let _ = line.write_str("supervisor: child process was not spawned\n");
    // SAFETY: descriptor 2 is the child's stderr, put there before anything could fail.
    let stderr = unsafe { BorrowedFd::borrow_raw(2) };
    let _ = nix::unistd::write(stderr, &line.bytes[..line.used]);
}

/// Shows a path without allocating; bytes that are not UTF-8 become question marks.
struct Shown<'a>(&'a CStr);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.to_str() {
            Ok(text) => f.write_str(text),
            Err(_) => self
                .0
                .to_bytes()
                .iter()
                .try_for_each(|b| f.write_char(if b.is_ascii() { *b as char } else { '?' })),
        }
    }
}

/// A private, writable copy of an image in memory.
struct Mapped {
    base: *mut u8,
    size: usize,
}

impl Mapped {
    fn open(image: BorrowedFd<'_>) -> Result<Mapped, i32> {
        let size = nix::sys::stat::fstat(image).map_err(|e| e as i32)?.st_size as usize;
        if !(HEADER_WORDS * 8..=IMAGE_SIZE_MAX).contains(&size) {
            return Err(libc::EINVAL);
        }
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let fd = image.as_raw_fd();
        // SAFETY: a new private mapping anywhere; nothing is overlaid.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), size, protection, libc::MAP_PRIVATE, fd, 0) };
        if base == libc::MAP_FAILED {
            return Err(Errno::last_raw());
        }
        let mapped = Mapped { base: base.cast(), size };
        if mapped.word(0) != MAGIC || mapped.word(1) != size as u64 {
            return Err(libc::EINVAL);
        }
        Ok(mapped)
    }

    /// Returns a pointer into the mapping; an offset outside leads to its start, which ends no process of ours.
    fn at(&self, offset: u64, length: usize) -> *mut u8 {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let inside = offset.checked_add(length).is_some_and(|end| end <= self.size);
        // SAFETY: the sum was just checked to lie inside the mapping.
        unsafe { self.base.add(if inside { offset } else { 0 }) }
    }

    fn word(&self, index: usize) -> u64 {
        let at = self.at(index as u64 * 8, 8).cast::<u64>();
        // SAFETY: inside the mapping, which is page-aligned, so a multiple of 8 is aligned.
        unsafe { at.read() }
    }

    fn text(&self, offset: u64) -> &CStr {
        let at = self.at(offset, 1).cast::<libc::c_char>();
        // SAFETY: `encode` ends every text with a NUL inside the image, and the mapping outlives the borrow.
        unsafe { CStr::from_ptr(at) }
    }

    fn groups(&self) -> &[u32] {
        let count = self.word(12) as usize;
        let at = self.at(self.word(11), count * 4).cast::<u32>();
        // SAFETY: inside the mapping by `at`, aligned by `encode`, and never written.
        unsafe { std::slice::from_raw_parts(at, count) }
    }

    /// Turns a table of offsets into the table of pointers that execve wants.
    fn pointers(&self, at: u64, count: u64) -> *const *const libc::c_char {
        let table = self.at(at, (count as usize + 1) * 8).cast::<u64>();
        for index in 0..count as usize {
            // SAFETY: the table lies inside the mapping by `at`.
            let slot = unsafe { table.add(index) };
            // SAFETY: aligned, and inside the mapping.
            let offset = unsafe { slot.read() };
            // SAFETY: as above, and the mapping is private and writable.
            unsafe { slot.write(self.at(offset, 1) as u64) };
        }
        table.cast_const().cast()
    }

    /// Executes the program; returns the error number when that fails.
    fn exec(&self, path: &CStr) -> i32 {
        let argv = self.pointers(self.word(2), self.word(3));
        let env = self.pointers(self.word(4), self.word(5));
        // SAFETY: both tables are NUL-ended arrays of pointers to NUL-ended texts inside the mapping.
        unsafe { libc::execve(path.as_ptr(), argv, env) };
        Errno::last_raw()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ExitStatus;
    use std::io::Read;
    use std::os::fd::AsFd;

    fn text(s: &str) -> CString {
        CString::new(s).unwrap_or_default()
    }

    type Note = Option<(u64, u32, i32)>;

    /// Runs an image in a child whose three streams are one pipe; returns status, output and note.
    fn run(image: &Image) -> io::Result<(ExitStatus, String, Note)> {
        run_under(process::own_pid(), image)
    }

    /// The same for a child that believes this to be its parent.
    fn run_under(parent: Pid, image: &Image) -> io::Result<(ExitStatus, String, Note)> {
        let stored = image.store()?;
        let (read, write) = crate::sys::fd::pipe()?;
        let (notes_read, notes_write) = crate::sys::fd::pipe()?;
        let old = signals::block_all()?;
        // SAFETY: the child calls only `enter`, which is made for a copy of any process.
        let forked = unsafe { process::fork() }?;
        let process::Forked::Parent(pid) = forked else {
            // As a keeper does when it begins; here the test program's own must stay.
            signals::reset_dispositions();
            let streams = ChildStreams { stdin: read.as_fd(), stdout: write.as_fd(), stderr: write.as_fd() };
            enter(7, parent, stored.as_fd(), &streams, notes_write.as_fd());
        };
        signals::restore(&old)?;
        drop((write, notes_write));
        let (mut output, mut note) = (String::new(), Vec::new());
        File::from(read).read_to_string(&mut output)?;
        File::from(notes_read).read_to_end(&mut note)?;
        let note = <[u8; NOTE_SIZE_BYTES]>::try_from(note).ok().map(|n| decode_note(&n));
        Ok((process::wait_for(pid)?, output, note))
    }

    fn shell(script: &str) -> Image {
        Image {
            path: text("/bin/sh"),
            argv: vec![text("sh"), text("-c"), text(script)],
            env: vec![text("A=1"), text("PATH=/bin:/usr/bin")],
            ..Image::default()
        }
    }

    #[test]
    fn a_program_gets_its_words_environment_directory_and_mask() -> io::Result<()> {
        let image = Image {
            directory: Some(text("/")),
            umask: Some(0o27),
            ..shell("echo $0 $A; pwd; umask; exit 5")
        };
        let (status, output, note) = run(&image)?;
        assert_eq!((status, output.as_str(), note), (ExitStatus::Code(5), "sh 1\n/\n0027\n", None));
        Ok(())
    }

    #[test]
    fn nothing_is_executed_once_the_parent_has_died() -> io::Result<()> {
        let (status, output, note) = run_under(Pid(1), &shell("echo started"))?;
        assert_eq!((status, output.as_str(), note), (ExitStatus::Code(EXIT_NOT_SPAWNED), "", None));
        Ok(())
    }

    #[test]
    fn it_leads_a_session_of_its_own_with_clean_signals() -> io::Result<()> {
        let (_, output, _) =
            run(&shell("ps -o pid=,sid= -p $$; grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status"))?;
        let mut words = output.split_whitespace();
        assert_eq!(words.next(), words.next(), "sid = pid");
        assert!(output.contains("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000"), "{output}");
        Ok(())
    }

    #[test]
    fn each_failed_stage_is_told_with_words_and_errno() -> io::Result<()> {
        let missing = Image { path: text("/no/such"), ..shell("") };
        let nowhere = Image { directory: Some(text("/no/dir")), ..shell("") };
        let end = "supervisor: child process was not spawned\n";
        for (image, words, stage) in [
            (missing, "supervisor: couldn't exec /no/such: ENOENT\n", Stage::Exec),
            (nowhere, "supervisor: couldn't chdir to /no/dir: ENOENT\n", Stage::Directory),
        ] {
            let (status, output, note) = run(&image)?;
            assert_eq!(status, ExitStatus::Code(EXIT_NOT_SPAWNED));
            assert_eq!(output, format!("{words}{end}"));
            assert_eq!(note, Some((7, stage as u32, libc::ENOENT)));
        }
        Ok(())
    }

    #[test]
    fn an_image_at_the_limit_is_stored_and_one_beyond_is_refused() -> io::Result<()> {
        let filler = |size: usize| Image { env: vec![text(&"x".repeat(size))], ..shell("") };
        let rest = filler(0).encode().len();
        assert!(filler(IMAGE_SIZE_MAX - rest).store().is_ok());
        let error = filler(IMAGE_SIZE_MAX - rest + 1).store().map(drop).map_err(|e| e.raw_os_error());
        assert_eq!(error, Err(Some(libc::E2BIG)));
        Ok(())
    }
}
