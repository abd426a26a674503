//! Who descends from whom: what a program started and left behind.
//!
//! On Linux the answer is read from `/proc`; elsewhere from the process table. Nothing here signals anybody.

use crate::model::Pid;

/// Name of the variable that marks every process of a run, unless the process threw its environment away.
pub const TAG: &str = "VISOR_RUN";

/// What the process table says of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The process.
    pub pid: Pid,
    /// Its parent.
    pub parent: Pid,
    /// Its process group.
    pub group: Pid,
    /// Its session.
    pub session: Pid,
    /// Whether it has ended and waits to be reaped.
    pub zombie: bool,
    /// When it started, in clock ticks since boot.
    pub started_ticks: u64,
}

pub use platform::{all, children, children_of_one_thread, entry, environment, name, tag};

/// Returns `roots` and everything that descends from them, each once, parents first. Bounded by the table.
#[must_use]
pub fn descend(roots: &[Pid]) -> Vec<Pid> {
    let mut found: Vec<Pid> = roots.to_vec();
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        next += 1;
        for child in children(pid) {
            if !found.contains(&child) {
                found.push(child);
            }
        }
    }
    found
}

/// Whether the process of this number is still the one that started then; 0 stands for any.
#[must_use]
pub fn is_same(pid: Pid, started_ticks: u64) -> bool {
    entry(pid).is_some_and(|now| started_ticks == 0 || now.started_ticks == started_ticks)
}

#[cfg(target_os = "linux")]
mod platform {
    use super::{Entry, Pid, TAG};
    use std::ffi::{OsStr, OsString};
    use std::fs;
    use std::io::{self, Read};
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    /// Room for the numbers of some hundred children, or for most environments, in bytes; there may be more.
    const TEXT_BYTES: usize = 4096;

    /// Returns the children of a process, those of all its threads.
    #[must_use]
    pub fn children(parent: Pid) -> Vec<Pid> {
        if crate::sys::portable() {
            return scan(parent);
        }
        let Ok(tasks) = fs::read_dir(format!("/proc/{parent}/task")) else { return Vec::new() };
        let mut found = Vec::new();
        for task in tasks.flatten() {
            let Ok(children) = read_children(&task.path().join("children")) else { return scan(parent) };
            found.extend(children);
        }
        found
    }

    /// Returns the children of a process that has one thread, in half the time.
    #[must_use]
    pub fn children_of_one_thread(parent: Pid) -> Vec<Pid> {
        let path = format!("/proc/{parent}/task/{parent}/children");
        if crate::sys::portable() {
            return scan(parent);
        }
        read_children(path.as_ref()).unwrap_or_else(|_| scan(parent))
    }

    fn read_children(path: &Path) -> io::Result<Vec<Pid>> {
        let text = read_whole(path)?;
        let numbers =
            text.split(|byte| *byte == b' ').filter_map(|n| std::str::from_utf8(n).ok()?.parse().ok());
        Ok(numbers.map(Pid).collect())
    }

    /// Reads a file that says that it is empty: with room from the start, or it is read in crumbs.
    fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
        let mut text = Vec::with_capacity(TEXT_BYTES);
        fs::File::open(path)?.read_to_end(&mut text)?;
        Ok(text)
    }

    /// The slow way, for kernels built without the list of children: asks every process for its parent.
    fn scan(parent: Pid) -> Vec<Pid> {
        all().into_iter().filter(|pid| entry(*pid).is_some_and(|e| e.parent == parent)).collect()
    }

    /// Returns every process that can be seen.
    #[must_use]
    pub fn all() -> Vec<Pid> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).map(Pid).collect()
    }

    /// Returns what the table says of a process, where it is there (proc(5), `/proc/PID/stat`).
    #[must_use]
    pub fn entry(pid: Pid) -> Option<Entry> {
        let text = read_whole(format!("/proc/{pid}/stat").as_ref()).ok()?;
        let text = String::from_utf8_lossy(&text);
        // The name stands in parentheses and may hold anything, parentheses included.
        let mut words = text.rsplit_once(')')?.1.split_ascii_whitespace();
        let zombie = matches!(words.next()?, "Z" | "X");
        let mut number = || words.next()?.parse::<i64>().ok();
        let (parent, group, session) = (number()?, number()?, number()?);
        let started_ticks = number_after(&mut number, 15)?;
        Some(Entry {
            pid,
            parent: Pid(parent as i32),
            group: Pid(group as i32),
            session: Pid(session as i32),
            zombie,
            started_ticks: u64::try_from(started_ticks).ok()?,
        })
    }

    fn number_after(number: &mut impl FnMut() -> Option<i64>, skipped: usize) -> Option<i64> {
        (0..skipped).try_for_each(|_| number().map(drop))?;
        number()
    }

    /// Returns the name that a process shows in the process table; it may say anything.
    #[must_use]
    pub fn name(pid: Pid) -> Option<String> {
        let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
        Some(String::from_utf8_lossy(&name).trim_end().to_owned())
    }

    /// Returns the environment a process was started with, where it can be read and was not written over.
    #[must_use]
    pub fn environment(pid: Pid) -> Option<Vec<(OsString, OsString)>> {
        let environ = read_whole(format!("/proc/{pid}/environ").as_ref()).ok()?;
        let text = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
        let entry = |entry: &[u8]| {
            let at = memchr::memchr(b'=', entry)?;
            Some((text(&entry[..at]), text(&entry[at + 1..])))
        };
        Some(environ.split(|byte| *byte == 0).filter_map(entry).collect())
    }

    /// Returns the value of [`TAG`] in the environment a process was started with, where it can be read.
    #[must_use]
    pub fn tag(pid: Pid) -> Option<String> {
        let environ = read_whole(format!("/proc/{pid}/environ").as_ref()).ok()?;
        let mut entries = environ.split(|byte| *byte == 0);
        let value = entries.find_map(|e| e.strip_prefix(TAG.as_bytes())?.strip_prefix(b"="))?;
        String::from_utf8(value.to_vec()).ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use super::{Entry, Pid};

    /// Most processes that are looked at; the system's own limit is far lower.
    const PROCESSES_MAX: usize = 100_000;

    /// Returns the children of a process.
    #[must_use]
    pub fn children(parent: Pid) -> Vec<Pid> {
        all().into_iter().filter(|pid| entry(*pid).is_some_and(|e| e.parent == parent)).collect()
    }

    /// Returns the children of a process; the number of its threads makes no difference here.
    #[must_use]
    pub fn children_of_one_thread(parent: Pid) -> Vec<Pid> {
        children(parent)
    }

    /// Returns every process that can be seen.
    #[must_use]
    pub fn all() -> Vec<Pid> {
        let mut pids: Vec<libc::pid_t> = vec![0; PROCESSES_MAX];
        let size = (pids.len() * size_of::<libc::pid_t>()) as libc::c_int;
        // SAFETY: pointer and size describe the vector, which the call fills.
        let count = unsafe { libc::proc_listallpids(pids.as_mut_ptr().cast(), size) };
        pids.truncate(usize::try_from(count).unwrap_or(0));
        pids.into_iter().filter(|pid| *pid > 0).map(Pid).collect()
    }

    /// Returns what the table says of a process, where it is there.
    #[must_use]
    pub fn entry(pid: Pid) -> Option<Entry> {
        // SAFETY: a C struct of numbers, for which all zeroes is a value.
        let mut info: libc::proc_bsdinfo = unsafe { std::mem::zeroed() };
        let size = size_of::<libc::proc_bsdinfo>() as libc::c_int;
        // SAFETY: pointer and size describe the struct, which the call fills.
        let got =
            unsafe { libc::proc_pidinfo(pid.0, libc::PROC_PIDTBSDINFO, 0, (&raw mut info).cast(), size) };
        if got != size {
            return None;
        }
        let session = nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(pid.0))).ok()?;
        Some(Entry {
            pid,
            parent: Pid(info.pbi_ppid as i32),
            group: Pid(info.pbi_pgid as i32),
            session: Pid(session.as_raw()),
            zombie: info.pbi_status == 5, // SZOMB of sys/proc.h.
            started_ticks: info.pbi_start_tvsec * 100 + info.pbi_start_tvusec / 10_000,
        })
    }

    /// Returns the name that a process shows in the process table; it may say anything.
    #[must_use]
    pub fn name(pid: Pid) -> Option<String> {
        /// Longest name that the system keeps, in bytes (`2 * MAXCOMLEN` of sys/param.h).
        const NAME_MAX_BYTES: usize = 32;
        let mut name = [0_u8; NAME_MAX_BYTES];
        // SAFETY: pointer and size describe the array, which the call fills.
        let length = unsafe { libc::proc_name(pid.0, name.as_mut_ptr().cast(), NAME_MAX_BYTES as u32) };
        let length = usize::try_from(length).ok().filter(|length| *length > 0)?;
        Some(String::from_utf8_lossy(name.get(..length)?).into_owned())
    }

    /// Returns nothing, as [`tag`].
    #[must_use]
    pub fn environment(_pid: Pid) -> Option<Vec<(std::ffi::OsString, std::ffi::OsString)>> {
        None
    }

    /// Returns nothing: an environment cannot be read here without parsing the argument area, and session
    /// and parentage find the tree.
    #[must_use]
    pub fn tag(_pid: Pid) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    #[test]
    fn a_child_is_found_with_its_tag_and_its_own_children() -> std::io::Result<()> {
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 1000 & echo $!; read gone; kill $!"])
            .env(TAG, "9-x")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = shell.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let grandchild = Pid(line.trim().parse().unwrap_or(0));
        let pid = Pid(shell.id() as i32);
        let own = Pid(std::process::id() as i32);
        assert!(children(own).contains(&pid));
        assert_eq!(children_of_one_thread(pid), [grandchild]);
        assert_eq!(descend(&[pid]), [pid, grandchild]);
        if cfg!(target_os = "linux") {
            assert_eq!(tag(pid).as_deref(), Some("9-x"));
            let all = environment(pid).unwrap_or_default();
            assert!(all.contains(&(TAG.into(), "9-x".into())), "{all:?}");
            // Between fork and exec it bears the name of the shell.
            let end = Instant::now() + Duration::from_secs(10);
            while name(grandchild).as_deref() != Some("sleep") {
                assert!(Instant::now() < end, "{:?}", name(grandchild));
                std::thread::yield_now();
            }
        }
        let entry = entry(pid).map(|e| (e.parent, e.zombie));
        assert_eq!(entry, Some((own, false)));
        drop(shell.stdin.take());
        shell.wait()?;
        Ok(())
    }
}
