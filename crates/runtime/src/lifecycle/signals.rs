//! SIGTERM and SIGINT: the first asks, the second ends.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::phase::StopReason;
use super::supervisor::Lifecycle;

impl Lifecycle {
    /// From now on SIGTERM and SIGINT ask for an orderly stop, and a second one ends the process at once, with the exit code
    /// that shells give to a process that the signal killed (143, 130). Both are safe: what was acknowledged is on disk.
    ///
    /// # Errors
    /// Where the operating system refuses the handlers.
    pub fn handle_signals(&self) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let lifecycle = self.clone();
        tokio::spawn(async move {
            let (first, _) = next(&mut terminate, &mut interrupt).await;
            tracing::info!(signal = first, "stopping; a second signal ends at once");
            lifecycle.request_stop(StopReason::Signal(first));
            let (second, number) = next(&mut terminate, &mut interrupt).await;
            tracing::warn!(signal = second, "ending at once");
            end_at_once(128 + number);
        });
        Ok(())
    }
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> (&'static str, i32) {
    tokio::select! {
        _ = terminate.recv() => ("SIGTERM", libc::SIGTERM),
        _ = interrupt.recv() => ("SIGINT", libc::SIGINT),
    }
}

/// Ends the process without running what other threads may be in the middle of: `exit` would run the destructors of RocksDB's
/// statics under its working threads.
fn end_at_once(code: i32) -> ! {
    // SAFETY: _exit takes any code and does not return; open files are closed by the kernel.
    #[allow(unsafe_code, reason = "std has no way to leave without running destructors and say the exit code")]
    unsafe {
        libc::_exit(code)
    }
}
