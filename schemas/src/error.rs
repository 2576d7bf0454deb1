//! Why a record's value cannot be decoded.

use luminate_model::columns::InvalidColumns;
use luminate_model::{Reject, RejectCode, TenantId};

use crate::published::{UnusableSchema, known_schemas};

/// The value of a record cannot be used: always the producer's fault, never worth a retry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The value does not begin by naming the schema that it was written with.
    #[error(
        "the value begins neither with C3 01 and a schema's fingerprint nor with 00 and a registered schema's number"
    )]
    NoSchema,
    /// The value was written with a schema that this version does not know.
    #[error(
        "the value was written with the schema of fingerprint {fingerprint:016x}, which is not known here; known are {}",
        known_schemas()
    )]
    SchemaUnknown {
        /// CRC-64-AVRO of the schema's parsing canonical form.
        fingerprint: u64,
    },
    /// The value was written with a registered schema by which it cannot be read.
    #[error("the value was written with the registered schema {id}: {why}")]
    RegisteredSchemaUnusable {
        /// The number under which the registry keeps it.
        id: u32,
        /// What is wrong with it.
        why: UnusableSchema,
    },
    /// The record names a tenant other than the one that its topic belongs to.
    #[error("the record names the tenant {named:?}, and belongs to {owner}")]
    TenantMismatch {
        /// The first characters of the name that the record gives.
        named: String,
        /// The tenant that the record's topic or key names.
        owner: TenantId,
    },
    /// The bytes are not what the schema says.
    #[error("{fault}, at byte {at} behind the header")]
    Malformed {
        /// What is wrong.
        fault: &'static str,
        /// Where, in bytes from the end of the header that names the schema.
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
            Self::SchemaUnknown { .. } | Self::RegisteredSchemaUnusable { .. } => RejectCode::RecordSchemaUnknown,
            Self::TenantMismatch { .. } => RejectCode::TenantMismatch,
            Self::NoSchema | Self::Malformed { .. } | Self::InvalidColumns(_) => RejectCode::RecordMalformed,
        }
    }

    /// The reject of the record: code and sentence.
    pub fn to_reject(&self) -> Reject {
        Reject::new(self.code(), self.to_string())
    }
}
