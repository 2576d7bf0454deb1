//! Waiting on conditions, never on time alone.

use std::time::{Duration, Instant};

/// Longer than anything takes on a loaded machine; reaching it is a failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` gives something; panics with `what` where it does not within [`PATIENCE`].
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
