//! The query language: what a request may say, what is to be done for it, and the doing, over any store.
//!
//! The way of a query: [`QueryRequest::parse`] reads the body, [`plan()`] adds tenant, retention and the time of day and
//! gives a [`Plan`], [`execute()`] carries it out over a [`SampleSource`](luminate_storage::SampleSource) and gives an
//! [`Answer`], which serialises as the body of the response.
//!
//! | module | holds |
//! |---|---|
//! | [`request`] | the native request as JSON, every fault of it with a code |
//! | [`limits`] | what a request and an answer may be at most |
//! | [`mod@plan`] | request, tenant and time to what is asked of a store |
//! | [`cursor`] | where a page of raw samples ended |
//! | [`mod@execute`] | aggregates and raw samples, computed from a store's scans |
//! | [`answer`] | the response |
//! | [`error`] | [`QueryError`] |
//! | [`conformance`] | the comparison of any store with the in-memory oracle |

pub mod answer;
pub mod conformance;
pub mod cursor;
pub mod error;
pub mod execute;
pub mod limits;
pub mod plan;
pub mod request;

pub use answer::{Answer, Rows, Stats};
pub use error::{ErrorKind, QueryError};
pub use execute::{execute, watermark};
pub use limits::RequestLimits;
pub use plan::{Plan, plan};
pub use request::QueryRequest;
