//! Whether batches were refused lately. A server with a full disk or without a grant answers, and stores nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use luminate_storage::{Permit, StorageError};

/// How long a refusal is told if nothing comes after it: a writer tries again long before, unless the partition went to another
/// one, which then has its own story to tell.
const TOLD_FOR: Duration = Duration::from_secs(60);

/// What became of each shard's batch before, if it was refused.
#[derive(Default)]
pub(super) struct LastRefusals {
    /// By shard: the reason, and when.
    known: Mutex<BTreeMap<String, (String, Duration)>>,
}

impl LastRefusals {
    /// Notes what became of a batch.
    pub(super) fn note<T>(&self, shard: &str, outcome: Result<T, StorageError>) -> Result<T, StorageError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match &outcome {
            Ok(_) => drop(known.remove(shard)),
            Err(error) if error.is_retryable() && !matches!(error, StorageError::PermitExpired) => {
                known.insert(shard.to_owned(), (error.to_string(), Permit::now()));
            }
            // Of this batch alone, or of the writer's permission: it says nothing of the servers.
            Err(_) => {}
        }
        drop(known);
        outcome
    }

    /// A reason, while it is news.
    pub(super) fn check(&self) -> Result<(), String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = |(_, at): &&(String, Duration)| Permit::now().saturating_sub(*at) < TOLD_FOR;
        known.values().find(is_news).map_or(Ok(()), |(reason, _)| Err(reason.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_until_its_shard_takes_a_batch() {
        let last = LastRefusals::default();
        assert_eq!(last.check(), Ok(()));
        assert!(last.note("a", Err::<(), _>(StorageError::DiskFull("no room".to_owned()))).is_err());
        assert!(last.check().is_err_and(|reason| reason.contains("no room")));
        assert!(last.note("a", Err::<(), _>(StorageError::PermitExpired)).is_err());
        assert!(last.note("b", Ok(())).is_ok());
        assert!(last.check().is_err());
        assert!(last.note("a", Ok(())).is_ok());
        assert_eq!(last.check(), Ok(()));
        assert!(last.note("a", Err::<(), _>(StorageError::Damaged("half a batch".to_owned()))).is_err());
        assert_eq!(last.check(), Ok(()), "of one batch");
    }
}
