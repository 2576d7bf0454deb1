//! Decode: from the bytes of a body to samples, one decoder for each protocol.
//!
//! | module | holds |
//! |---|---|
//! | `json` | `{"metrics": [...]}` in one document |
//! | `ndjson` | one metric a line |
//! | `metric` | one metric, which both have in common |
//! | `scanner` | JSON, token by token |
//!
//! Decoders borrow from the body and allocate nothing for a sample, escapes in strings aside. They know the form of a
//! protocol, and what is wrong with the form of a single sample; whether a sample is valid is judged behind them.

mod json;
mod metric;
mod ndjson;
mod scanner;

use std::borrow::Cow;

use luminate_model::Reject;

pub use json::JsonDecoder;
pub use ndjson::NdjsonDecoder;

/// Dimension keys that a decoder takes of one sample, those with empty values included. What has more is rejected as it is
/// read, because the limit on dimensions is judged only when all are in memory.
pub const MAX_DECODED_DIMENSIONS: usize = 1024;

/// A sample as a client wrote it, borrowed from the body.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DecodedSample<'b> {
    /// The metric's name.
    pub name: Cow<'b, str>,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The value.
    pub value: f64,
    /// Keys and values in the order in which they were written.
    pub dimensions: Vec<(Cow<'b, str>, Cow<'b, str>)>,
}

/// Takes samples from a decoder, in their order in the body. The first one has index 0, and each call is one sample.
pub trait SampleSink<'b> {
    /// Takes a sample, or why it is none. `at` is where it begins in the body, in bytes. The sink may change the sample; its
    /// memory serves for the next one.
    ///
    /// # Errors
    /// [`RequestFault`] where the request as a whole is refused; the decoder stops then.
    fn take(&mut self, at: usize, sample: Result<&mut DecodedSample<'b>, Reject>) -> Result<(), RequestFault>;
}

/// Decodes the bodies of one protocol.
pub trait Decoder: Send + Sync {
    /// Decodes a body and gives every sample to the sink.
    ///
    /// # Errors
    /// [`RequestFault`] where the body as a whole cannot be used, whatever was given to the sink before.
    fn decode<'b>(&self, body: &'b [u8], sink: &mut dyn SampleSink<'b>) -> Result<(), RequestFault>;
}

/// Why a body as a whole cannot be used: the client's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestFault {
    /// The body is not JSON.
    #[error("{fault} at byte {at} (line {line}, column {column})")]
    MalformedJson {
        /// What is wrong.
        fault: &'static str,
        /// Where, in bytes from the beginning.
        at: usize,
        /// The line, from 1.
        line: usize,
        /// The byte in its line, from 1.
        column: usize,
    },
    /// The body is JSON, but not of the form that a write request has.
    #[error("{0}")]
    InvalidRequest(String),
    /// There are more samples than a request may have.
    #[error("the request has more than {limit} samples; send them in several requests")]
    TooManySamples {
        /// The limit.
        limit: usize,
    },
}

impl RequestFault {
    /// The stable name, snake_case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::MalformedJson { .. } => "malformed_json",
            Self::InvalidRequest(_) => "invalid_request",
            Self::TooManySamples { .. } => "too_many_samples",
        }
    }

    /// Malformed JSON at byte `at` of `body`.
    fn malformed_json(body: &[u8], fault: &'static str, at: usize) -> Self {
        let before = body.get(..at).unwrap_or(body);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        Self::MalformedJson { fault, at, line, column }
    }
}

#[cfg(test)]
mod tests;
