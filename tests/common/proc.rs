//! Processes as /proc shows them.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs;

/// The fields of /proc/PID/stat after the name, or nothing when the process is gone.
fn stat(pid: i32) -> Option<Vec<String>> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let rest = &text[text.rfind(')')? + 2..];
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn stat_number(pid: i32, field: usize) -> Option<i32> {
    stat(pid)?.get(field)?.parse().ok()
}

/// The state letter: `R`, `S`, `T`, `Z`, or nothing when the process is gone.
pub(crate) fn state(pid: i32) -> Option<char> {
    stat(pid)?.first()?.chars().next()
}

/// Whether the process exists and is not a zombie.
pub(crate) fn alive(pid: i32) -> bool {
    state(pid).is_some_and(|letter| !matches!(letter, 'Z' | 'X'))
}

/// The parent.
pub(crate) fn parent(pid: i32) -> Option<i32> {
    stat_number(pid, 1)
}

/// The process group.
pub(crate) fn group(pid: i32) -> Option<i32> {
    stat_number(pid, 2)
}

/// The session.
pub(crate) fn session(pid: i32) -> Option<i32> {
    stat_number(pid, 3)
}

/// All pids of the machine.
pub(crate) fn all() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The children of a process, zombies included.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    all().into_iter().filter(|&child| parent(child) == Some(pid)).collect()
}

/// The children of a process that are zombies.
pub(crate) fn zombies(pid: i32) -> Vec<i32> {
    children(pid).into_iter().filter(|&child| state(child) == Some('Z')).collect()
}

/// The path of the program that a process runs.
pub(crate) fn exe(pid: i32) -> Option<String> {
    fs::read_link(format!("/proc/{pid}/exe")).ok().map(|path| path.to_string_lossy().into_owned())
}

/// The words of the command line, or nothing when the process is gone.
pub(crate) fn command_line(pid: i32) -> Vec<String> {
    words(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default())
}

/// The environment at exec, in its order.
pub(crate) fn environment(pid: i32) -> Vec<String> {
    words(&fs::read(format!("/proc/{pid}/environ")).unwrap_or_default())
}

fn words(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// The working directory.
pub(crate) fn directory(pid: i32) -> Option<String> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok().map(|path| path.to_string_lossy().into_owned())
}

/// Open descriptors with what they point to.
pub(crate) fn descriptors(pid: i32) -> BTreeMap<u32, String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return BTreeMap::new() };
    let number = |entry: &fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    let target =
        |entry: &fs::DirEntry| fs::read_link(entry.path()).map(|to| to.to_string_lossy().into_owned());
    entries.flatten().filter_map(|entry| Some((number(&entry)?, target(&entry).ok()?))).collect()
}

/// A line of /proc/PID/status, without its name.
pub(crate) fn status(pid: i32, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// Voluntary and involuntary context switches of all threads of a process.
pub(crate) fn switches(pid: i32) -> u64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let texts = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok());
    let count = |text: &str| -> u64 {
        text.lines()
            .filter(|line| line.contains("voluntary_ctxt_switches"))
            .filter_map(|line| line.rsplit('\t').next()?.parse::<u64>().ok())
            .sum()
    };
    texts.map(|text| count(&text)).sum()
}

/// Sends a signal; a process that is gone already is none of the test's business.
pub(crate) fn signal(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}
