//! How large a terminal is.
//!
//! Example: `terminal::rows(std::io::stdout())` is how many lines a list may have to be seen whole.

use std::os::fd::{AsFd, AsRawFd};

/// Returns how many lines a terminal shows; nothing where `fd` is none, or it does not say.
#[must_use]
pub fn rows(fd: impl AsFd) -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the call writes a winsize, and `size` is one that lives through it.
    let done = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (done == 0 && size.ws_row > 0).then_some(usize::from(size.ws_row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::{Winsize, openpty};

    #[test]
    fn a_terminal_tells_its_size_and_a_file_has_none() -> std::io::Result<()> {
        let size = |ws_row| Winsize { ws_row, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        assert_eq!(rows(&openpty(Some(&size(33)), None)?.slave), Some(33));
        assert_eq!(rows(&openpty(Some(&size(0)), None)?.slave), None);
        assert_eq!(rows(std::fs::File::open("/dev/null")?), None);
        Ok(())
    }
}
