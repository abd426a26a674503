//! Pipe sizes: a user's pipe pages are limited (pipe(7), `pipe-user-pages-soft`).

use std::os::fd::AsFd;

/// Size of a pipe nobody floods, in bytes: one page.
#[cfg(target_os = "linux")]
const PAGE_SIZE_BYTES: i32 = 4096;
/// Size of an output pipe where there are many programs, in bytes.
#[cfg(target_os = "linux")]
const SHARED_SIZE_BYTES: i32 = 16 * 1024;

/// Makes a pipe as small as it can be.
pub fn shrink_to_a_page(pipe: &impl AsFd) {
    #[cfg(target_os = "linux")]
    let _ = nix::fcntl::fcntl(pipe, nix::fcntl::FcntlArg::F_SETPIPE_SZ(PAGE_SIZE_BYTES));
    #[cfg(not(target_os = "linux"))]
    let _ = pipe;
}

/// Makes a pipe small enough that a thousand of them fit into a user's share.
pub fn shrink_for_many(pipe: &impl AsFd) {
    #[cfg(target_os = "linux")]
    let _ = nix::fcntl::fcntl(pipe, nix::fcntl::FcntlArg::F_SETPIPE_SZ(SHARED_SIZE_BYTES));
    #[cfg(not(target_os = "linux"))]
    let _ = pipe;
}
