//! The suite that every store must pass. An implementation hands in a [`StoreFactory`] and names its tests with
//! [`store_conformance!`](crate::store_conformance):
//!
//! ```ignore
//! luminate_storage::store_conformance!(MyFactory::new());
//! ```
//!
//! A store that leaves it to the queue to know how far each source is stored ([`IntentSink`](crate::IntentSink)) is asked
//! everything but [`resuming`] and [`following`]:
//!
//! ```ignore
//! luminate_storage::store_conformance!(next_offset_in_queue: MyFactory::new());
//! ```
//!
//! Where a crash takes a server that the others share, `crashing` names a factory for the questions that are about crashes:
//!
//! ```ignore
//! luminate_storage::store_conformance!(next_offset_in_queue: MyFactory::new(), crashing: MyFactory::with_own_server());
//! ```
//!
//! Whether aggregates and raw samples are right is asked by `luminate_query::conformance`, over the same [`generate`]d
//! histories.
//!
//! | module | asks |
//! |---|---|
//! | [`writing`] | batches are stored once, and found again |
//! | [`resuming`] | they are stored in order; what the writer needs to go on is found again |
//! | [`erasing`] | what is erased is gone, and replays do not bring it back |
//! | [`reading`] | filters, time, retention, tenants, columns, limits |
//! | [`catalogue`] | metrics, keys and values with their counts |
//! | [`following`] | watermark and receipts |
//! | [`history`] | generated histories are read back as the oracle has them |
//!
//! | module | holds |
//! |---|---|
//! | [`generate`] | histories of batches and requests, the same for the same seed |
//! | [`dice`] | the numbers behind them |
//! | [`batches`] | single batches, by hand |
//! | [`collect`] | a consumer that holds every chunk to its contract |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is test code that others run")]

pub mod batches;
pub mod catalogue;
pub mod collect;
pub mod dice;
pub mod erasing;
pub mod following;
pub mod generate;
pub mod history;
pub mod reading;
pub mod resuming;
pub mod writing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use luminate_model::{Incarnation, Source};

use crate::context::{QueryContext, QueryLimits};
use crate::sink::SampleSink;
use crate::source::SampleSource;

pub use dice::Dice;
pub use generate::NOW;

/// The queue that stores under test read.
pub const INCARNATION: Incarnation = Incarnation(*b"queue under test");

/// How a process ends before it starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It closes its store.
    Close,
    /// It is killed: what the store has not made durable by itself is gone. A store that cannot play this closes.
    Crash,
}

/// Makes a store that reads the queue of [`INCARNATION`], takes [`NOW`] for now, and has no retention set.
#[async_trait]
pub trait StoreFactory: Send {
    /// The store.
    type Store: SampleSink + SampleSource;

    /// Opens the store for the first time.
    async fn open(&mut self) -> Arc<Self::Store>;

    /// Ends the process that holds the store, and opens it again.
    async fn reopen(&mut self, store: Arc<Self::Store>, ending: Ending) -> Arc<Self::Store>;
}

/// Makes a test of each question of the suite. The argument is an expression that makes a fresh [`StoreFactory`]; the crate
/// needs `tokio` with `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! store_conformance {
    ($factory:expr) => {
        $crate::store_conformance!(next_offset_in_queue: $factory);
        $crate::store_conformance!(@tests $factory;
            resuming::what_does_not_continue_is_refused,
            resuming::a_first_batch_may_start_anywhere,
            resuming::sources_go_on_by_themselves,
            resuming::a_batch_without_samples_moves_on,
            resuming::the_next_offset_survives_repeats_and_crashes,
            resuming::idempotency_entries_are_found_again_until_forgotten,
            resuming::an_erasure_leaves_the_next_offset,
            following::the_watermark_follows_the_batches,
            following::a_receipt_is_reached_when_its_batch_is_stored,
            following::a_receipt_of_another_queue_is_never_reached,
        );
    };
    (next_offset_in_queue: $factory:expr) => {
        $crate::store_conformance!(next_offset_in_queue: $factory, crashing: $factory);
    };
    (next_offset_in_queue: $factory:expr, crashing: $crashing:expr) => {
        $crate::store_conformance!(@tests $crashing;
            writing::a_repeat_is_stored_once,
            writing::what_is_written_survives_a_crash,
            erasing::a_replay_does_not_undo_an_erasure,
            erasing::an_erasure_that_was_noted_survives_a_crash,
        );
        $crate::store_conformance!(@tests $factory;
            writing::a_batch_is_read_back,
            erasing::an_erased_tenant_is_gone_and_others_stay,
            erasing::an_erasure_reaches_into_what_is_to_come,
            erasing::an_erasure_may_be_repeated,
            reading::each_filter_finds_its_samples,
            reading::all_filters_must_hold,
            reading::ranges_of_time_are_half_open,
            reading::the_earliest_samples_are_yielded,
            reading::ties_and_duplicates_are_samples_of_their_own,
            reading::retention_hides_what_has_expired,
            reading::tenants_and_metrics_are_apart,
            reading::only_what_is_asked_for_is_yielded,
            reading::named_dimensions_come_in_the_order_asked_for,
            reading::a_consumer_can_end_a_scan,
            reading::a_cancelled_query_ends,
            reading::a_query_reads_no_more_than_it_may,
            catalogue::names_come_with_their_samples,
            catalogue::pages_follow_each_other,
            catalogue::time_and_retention_narrow_the_catalogue,
            catalogue::tenants_have_catalogues_of_their_own,
            history::generated_histories_are_read_back,
        );
    };
    (@tests $factory:expr; $($module:ident::$question:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $question() {
                $crate::conformance::$module::$question(&mut $factory).await;
            }
        )+
    };
}

/// A partition of the queue under test.
#[must_use]
pub const fn source(partition: u32) -> Source {
    Source { incarnation: INCARNATION, partition }
}

/// A query whose limits nothing in the suite reaches.
#[must_use]
pub fn ample() -> QueryContext {
    QueryContext::new(QueryLimits {
        timeout: Duration::from_secs(60),
        memory_bytes: 1 << 30,
        samples: u64::MAX >> 1,
        workers: 2,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryStore;

    struct Memory;

    #[async_trait]
    impl StoreFactory for Memory {
        type Store = MemoryStore;

        async fn open(&mut self) -> Arc<MemoryStore> {
            Arc::new(MemoryStore::of_incarnation(INCARNATION))
        }

        async fn reopen(&mut self, store: Arc<MemoryStore>, _: Ending) -> Arc<MemoryStore> {
            store
        }
    }

    crate::store_conformance!(Memory);
}
