//! Signals as bytes in a pipe: the handler only writes, everything else happens in the loop.

use crate::model::Signal;
use crate::sys::fd;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, sigaction, sigprocmask};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// The write end that the handler uses; -1 before there is one.
static PIPE: AtomicI32 = AtomicI32::new(-1);

/// The signals that are caught, as bits: a child must not run the handler, which writes into our pipe.
static CAUGHT: AtomicU64 = AtomicU64::new(0);

/// Highest signal number that dispositions are reset for.
const SIGNAL_MAX: i32 = if cfg!(target_os = "linux") { 64 } else { 31 };

/// Delivers caught signals through a pipe.
pub struct SignalPipe {
    read: OwnedFd,
    // Kept open for the handler, which knows it by number.
    _write: OwnedFd,
}

impl SignalPipe {
    /// Catches `signals` from now on.
    ///
    /// # Errors
    /// As pipe(2) and sigaction(2).
    pub fn catch(signals: &[Signal]) -> io::Result<SignalPipe> {
        let (read, write) = fd::pipe()?;
        fd::set_nonblocking(&read, true)?;
        fd::set_nonblocking(&write, true)?;
        PIPE.store(write.as_raw_fd(), Ordering::Relaxed);
        let action = SigAction::new(SigHandler::Handler(on_signal), SaFlags::SA_RESTART, SigSet::empty());
        for signal in signals {
            let signal = nix::sys::signal::Signal::try_from(signal.0)?;
            // SAFETY: the handler calls nothing but write(2) and keeps errno, so it may run at any time.
            unsafe { sigaction(signal, &action) }?;
            CAUGHT.fetch_or(1 << signal as u32, Ordering::Relaxed);
        }
        Ok(SignalPipe { read, _write: write })
    }

    /// Returns the signals that came since the last call, in order; several of one kind may come as one.
    pub fn drain(&self, mut each: impl FnMut(Signal)) {
        let mut buffer = [0; 64];
        while let Ok(count @ 1..) = nix::unistd::read(&self.read, &mut buffer) {
            buffer[..count].iter().for_each(|number| each(Signal(i32::from(*number))));
            if count < buffer.len() {
                break;
            }
        }
    }
}

impl AsFd for SignalPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

extern "C" fn on_signal(number: libc::c_int) {
    let errno = nix::errno::Errno::last_raw();
    let byte = number as u8;
    // SAFETY: write(2) is async-signal-safe; the buffer is one byte on this stack. A full pipe loses the
    // byte: one of CHLD costs nothing, as the reader is awake and reaps all; as many others are nobody's wish.
    unsafe { libc::write(PIPE.load(Ordering::Relaxed), (&raw const byte).cast(), 1) };
    nix::errno::Errno::set_raw(errno);
}

/// Blocks every signal and returns the mask that was in force; [`restore`] takes it back.
///
/// # Errors
/// None in practice.
pub fn block_all() -> io::Result<SigSet> {
    let mut old = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), Some(&mut old))?;
    Ok(old)
}

/// Puts a mask back in force.
///
/// # Errors
/// None in practice.
pub fn restore(mask: &SigSet) -> io::Result<()> {
    Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(mask), None)?)
}

/// Puts every signal back to its default disposition: what visord was started with is not the programs' business.
pub fn reset_dispositions() {
    for number in 1..=SIGNAL_MAX {
        // SAFETY: SIG_DFL for a signal number; KILL and STOP fail with EINVAL, as do the C library's own.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    // The C library keeps 32 and 33 to itself, but a parent may have left them ignored.
    #[cfg(target_os = "linux")]
    for number in 32..=33 {
        let default = [0_u64; 4]; // The kernel's struct sigaction: SIG_DFL, no flags, empty mask.
        let no_old = std::ptr::null_mut::<u64>();
        // SAFETY: the kernel reads 32 bytes of a live array and writes nothing; 8 is the size of its mask.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, number, default.as_ptr(), no_old, 8) };
    }
}

/// Puts what this process changed back to default: the caught signals, and SIGPIPE, which Rust programs ignore.
/// Async-signal-safe.
pub fn reset_own() {
    let changed = CAUGHT.load(Ordering::Relaxed) | (1 << libc::SIGPIPE);
    for number in (1..=SIGNAL_MAX).filter(|number| *number < 64 && changed & (1 << number) != 0) {
        // SAFETY: SIG_DFL for a signal number.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
}

/// Unblocks every signal. Async-signal-safe.
pub fn unblock_all() {
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// Ignores these signals in this process.
///
/// # Errors
/// As sigaction(2).
pub fn ignore(signals: &[Signal]) -> io::Result<()> {
    let action = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    for signal in signals {
        let signal = nix::sys::signal::Signal::try_from(signal.0)?;
        // SAFETY: ignoring a signal runs no code.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}
