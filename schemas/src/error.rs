//! Why a record's value cannot be decoded.

use luminate_model::columns::InvalidColumns;
use luminate_model::{Reject, RejectCode};

/// The value of a record cannot be used: always the producer's fault, never worth a retry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The value does not begin as a single-object encoded value does.
    #[error("the value does not begin with C3 01 and a schema's fingerprint")]
    NotSingleObject,
    /// The value was written with a schema that this version does not know.
    #[error("the value was written with the schema of fingerprint {fingerprint:016x}, which is not known here")]
    SchemaUnknown {
        /// CRC-64-AVRO of the schema's parsing canonical form.
        fingerprint: u64,
    },
    /// The bytes are not what the schema says.
    #[error("{fault} at byte {at} of the value")]
    Malformed {
        /// What is wrong.
        fault: &'static str,
        /// Where, in bytes from the value's beginning.
        at: usize,
    },
    /// The bytes are columns, but these contradict each other or the limits of the record format.
    #[error(transparent)]
    InvalidColumns(#[from] InvalidColumns),
}

impl DecodeError {
    /// The stable reason for which the record goes to the dead letters.
    #[must_use]
    pub const fn code(&self) -> RejectCode {
        match self {
            Self::SchemaUnknown { .. } => RejectCode::RecordSchemaUnknown,
            Self::NotSingleObject | Self::Malformed { .. } | Self::InvalidColumns(_) => RejectCode::RecordMalformed,
        }
    }

    /// The reject of the record: code and sentence.
    pub fn to_reject(&self) -> Reject {
        Reject::new(self.code(), self.to_string())
    }
}
