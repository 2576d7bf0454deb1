//! How the system's allocator behaves in a server.
//!
//! glibc keeps up to eight heaps a processor, and raises the size from which memory goes back to the system at once
//! whenever a larger piece is freed. A writer that handles tens of megabytes a batch, on whichever thread is free, then
//! holds several times what it needs: 785 and 920 MiB at the peak of two runs of `luminate bench` with 11 million samples,
//! against 353 MiB in a run with the limits below.

/// Heaps; more than the threads that work hard at one time.
const ARENAS: i32 = 4;

/// Pieces from this size on are taken from the system and given back to it at once, in bytes. Smaller, and the bodies of
/// requests would cost page faults.
const MMAP_THRESHOLD: i32 = 4 << 20;

/// Free memory at the end of a heap beyond this goes back to the system, in bytes.
const TRIM_THRESHOLD: i32 = 8 << 20;

/// Bounds what the allocator keeps. Does nothing where another C library is in use, nor for a limit that the user has set
/// by glibc's own variables. Called before threads are started.
pub(crate) fn bound() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (variable, parameter, value) in [
        ("MALLOC_ARENA_MAX", libc::M_ARENA_MAX, ARENAS),
        ("MALLOC_MMAP_THRESHOLD_", libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD),
        ("MALLOC_TRIM_THRESHOLD_", libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD),
    ] {
        if std::env::var_os(variable).is_none() {
            // SAFETY: mallopt() takes two integers and changes settings of the allocator; it is called before other
            // threads exist. A refusal (0) leaves the default.
            #[allow(unsafe_code)]
            let _ = unsafe { libc::mallopt(parameter, value) };
        }
    }
}
