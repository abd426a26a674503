//! Memory that was needed for a moment goes back to the system.

/// Returns what the allocator keeps for later; called after a configuration was read.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: takes a number and touches only free memory of the C library's allocator.
        unsafe { libc::malloc_trim(0) };
    }
}
