//! The store behind writer and query-api, as traits: [`SampleSink`] takes batches, [`SampleSource`] answers scans,
//! aggregates and the catalogue. RocksDB and ClickHouse stand behind them; [`memory`] is the oracle that both are
//! compared with, and [`conformance`] the suite that all of them pass.
//!
//! | module | holds |
//! |---|---|
//! | [`batch`] | what a writer stores in one step |
//! | [`sink`] | [`SampleSink`]: storing, resuming, erasing |
//! | [`intent`] | [`IntentSink`]: storing what an intent was noted of, for stores that do not know their next offset |
//! | [`permit`] | [`Permit`]: until when a writer may store |
//! | [`watermarks`] | [`Watermarks`]: how far sources are stored, for stores that leave it to the queue |
//! | [`request`] | what a query asks of a store; nothing can be asked without a tenant |
//! | [`filter`] | conditions on dimensions |
//! | [`pattern`] | [`Pattern`]: regular expressions in RE2's language |
//! | [`chunk`] | [`ScanChunk`]: the columns that a scan yields |
//! | [`context`] | [`QueryContext`]: deadline, cancellation, memory and counters of one query |
//! | [`source`] | [`SampleSource`]: answering |
//! | [`provenance`] | [`ProvenanceSource`]: what is stored, by where each row came from |
//! | [`block_provenance`] | [`BlockProvenance`]: the same for stores that know it of blocks alone |
//! | [`error`] | [`StorageError`] |

pub mod batch;
pub mod block_provenance;
pub mod chunk;
pub mod conformance;
pub mod context;
pub mod error;
pub mod filter;
pub mod intent;
pub mod memory;
pub mod pattern;
pub mod permit;
pub mod provenance;
pub mod request;
pub mod sink;
pub mod source;
pub mod watermarks;

pub use batch::{Batch, BatchRecord, IdempotencyEntry};
pub use block_provenance::{BlockProvenance, BlockRow, Span, StoredBlock};
pub use chunk::{ChunkConsumer, DictionaryColumn, ScanChunk};
pub use context::{CancelOnDrop, QueryContext, QueryCounters, QueryLimits};
pub use error::StorageError;
pub use filter::{DimensionFilter, DimensionTest};
pub use intent::{IntentSink, StoreTarget};
pub use pattern::{InvalidPattern, Pattern};
pub use permit::Permit;
pub use provenance::{ProvenanceScope, ProvenanceSource, RowsDigest, StoredRow, StoredRows, row_fingerprint};
pub use request::{
    AggregateFunction, AggregateRequest, CatalogueRequest, Direction, Earliest, GroupOrder, ScanColumns, ScanRequest,
    Step,
};
pub use sink::{Erased, NotedErasure, Resume, SampleSink, Stored};
pub use source::{AggregateAnswer, AggregateGroup, CatalogueEntry, CataloguePage, ReachError, SampleSource};
pub use watermarks::Watermarks;
