//! The words of Luminate as types: what a tenant, a sample, a series, a record's place and a reject are.
//!
//! No I/O, no clock, no configuration: every other crate builds on this one.
//!
//! | module | holds |
//! |---|---|
//! | [`tenant`] | [`TenantId`]: the owner of data |
//! | [`sample`] | [`Sample`] and [`Dimensions`]: one timestamped value, row by row |
//! | [`series`] | canonical bytes of a series and [`SeriesId`] |
//! | [`columns`] | [`SampleColumns`]: many samples of one tenant, column by column |
//! | [`strings`] | [`StringTable`]: many strings in two allocations |
//! | [`time`] | [`TimeRange`], UTC days, retention arithmetic |
//! | [`retention`] | how long samples are kept |
//! | [`validation`] | what makes a sample valid, decided in one place |
//! | [`reject`] | [`RejectCode`]: the stable names of the client's faults |
//! | [`provenance`] | [`Source`], [`Offset`], [`Incarnation`]: where a record stands |
//! | [`receipt`] | [`Receipt`]: what a writer of samples can wait for |

pub mod columns;
pub mod provenance;
pub mod receipt;
pub mod reject;
pub mod retention;
pub mod sample;
pub mod series;
pub mod strings;
pub mod tenant;
pub mod time;
pub mod validation;

pub use columns::{SampleColumns, SampleColumnsBuilder};
pub use provenance::{Incarnation, Offset, Source};
pub use receipt::{Receipt, ReceiptError};
pub use reject::{Reject, RejectCode};
pub use retention::{RetentionRules, TenantRetention};
pub use sample::{Dimensions, Sample};
pub use series::SeriesId;
pub use strings::StringTable;
pub use tenant::{InvalidTenant, TenantId};
pub use time::TimeRange;
