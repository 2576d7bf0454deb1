//! How far samples are stored, if the queue tells in time: a query has its answer all the same.

use std::sync::Arc;
use std::time::Duration;

use luminate_model::Receipt;
use luminate_storage::{StorageError, Watermarks};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The longest wait for it.
const PATIENCE: Duration = Duration::from_millis(500);

/// Questions that the queue is asked at once, those included that nobody waits for any more.
const AT_ONCE: usize = 8;

/// Asks the queue, with little patience and not too often at once.
pub(super) struct PromptWatermarks {
    watermarks: Arc<dyn Watermarks>,
    at_once: Arc<Semaphore>,
}

impl PromptWatermarks {
    pub(super) fn new(watermarks: Arc<dyn Watermarks>) -> Self {
        Self { watermarks, at_once: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The queue's answer.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] where there is none in time.
    pub(super) async fn ask(&self) -> Result<Receipt, StorageError> {
        let late =
            || StorageError::Unavailable("the queue does not tell in time how far samples are stored".to_owned());
        let asked = async {
            let permit = Arc::clone(&self.at_once).acquire_owned().await.map_err(|_| late())?;
            let watermarks = Arc::clone(&self.watermarks);
            // A question to a queue that is away takes as long as the queue's own time-out, whoever waits.
            let asking = tokio::spawn(async move {
                let told = watermarks.watermark().await;
                drop(permit);
                told
            });
            asking.await.map_err(|_| late())?
        };
        timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(late()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use luminate_storage::ReachError;

    use super::*;

    /// Never answers, and counts how often it was asked.
    #[derive(Default)]
    struct Silent(AtomicUsize);

    #[async_trait]
    impl Watermarks for Silent {
        async fn watermark(&self) -> Result<Receipt, StorageError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            std::future::pending().await
        }

        async fn reach(&self, _: &Receipt) -> Result<(), ReachError> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_is_silent_is_given_up_soon_and_not_asked_without_end() {
        let silent = Arc::new(Silent::default());
        let watermarks = PromptWatermarks::new(silent.clone());
        let started = tokio::time::Instant::now();
        for _ in 0..2 * AT_ONCE {
            assert!(matches!(watermarks.ask().await, Err(StorageError::Unavailable(_))));
        }
        assert_eq!(started.elapsed(), 2 * AT_ONCE as u32 * PATIENCE);
        assert_eq!(silent.0.load(Ordering::Relaxed), AT_ONCE);
    }
}
