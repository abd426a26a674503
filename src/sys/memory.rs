//! Memory that was needed for a moment goes back to the system.

/// Returns what the allocator keeps for later, and lets go of the code that only the start or the reading of a
/// configuration needed; called after either.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: takes a number and touches only free memory of the C library's allocator.
        unsafe { libc::malloc_trim(0) };
    }
    forget_code();
}

/// Unmaps the pages of our own code: they stay in the page cache, and what is still needed is mapped again when it is
/// run. A supervisor that sleeps runs little of what it has.
pub fn forget_code() {
    #[cfg(target_os = "linux")]
    if let Some((start, len)) = std::fs::read_to_string("/proc/self/maps").ok().and_then(|maps| code(&maps)) {
        // SAFETY: the range is a private mapping of a file that was never writable (`r-xp`), so that every page of it
        // can be had from the file again.
        unsafe { libc::madvise(start as *mut libc::c_void, len, libc::MADV_DONTNEED) };
    }
}

/// Finds the mapping of this very code in the text of `/proc/self/maps` (proc(5)): start and length in bytes.
#[cfg(target_os = "linux")]
fn code(maps: &str) -> Option<(usize, usize)> {
    let here = trim as fn() as usize;
    maps.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
        ((start..end).contains(&here) && words.next() == Some("r-xp")).then_some((start, end - start))
    })
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_is_forgotten_and_it_still_runs() {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("proc(5)");
        let (start, len) = code(&maps).expect("we run somewhere");
        assert!((start..start + len).contains(&(code as fn(&str) -> Option<(usize, usize)> as usize)));
        assert_eq!(code(&maps.replace("r-xp", "rwxp")), None, "what may have been written is kept");
        trim();
        forget_code();
        assert_eq!(code(&maps), Some((start, len)));
    }
}
