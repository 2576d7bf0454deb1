//! The client's faults, by name.

use std::fmt;

/// Makes an enum whose variants carry a stable snake_case code and a sentence for the documentation.
macro_rules! reject_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal,)+) => {
        /// Why a sample or a record cannot be used. The code is the same string in answers, metric labels, logs, dead
        /// letters and the docs; it never changes its meaning. A reject is never retried.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum RejectCode {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl RejectCode {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable name, snake_case.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// One sentence for the documentation.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

reject_codes! {
    /// The sample is not a JSON object, or the line is not valid JSON.
    InvalidSample = "invalid_sample",
    /// The sample has a field that is none of name, timestamp, value and dimensions.
    UnknownField = "unknown_field",
    /// A field or a dimension's key is given twice.
    DuplicateKey = "duplicate_key",
    /// The sample has no name.
    MissingName = "missing_name",
    /// The name is not a string, is empty, or holds control characters.
    InvalidName = "invalid_name",
    /// The name is longer than the limit.
    NameTooLong = "name_too_long",
    /// The sample has no timestamp.
    MissingTimestamp = "missing_timestamp",
    /// The timestamp is not an integer of milliseconds between the years 1900 and 2300.
    InvalidTimestamp = "invalid_timestamp",
    /// The timestamp is older than the oldest age that this server takes.
    TimestampTooOld = "timestamp_too_old",
    /// The timestamp lies further in the future than this server takes.
    TimestampTooNew = "timestamp_too_new",
    /// The tenant's retention would already have dropped the sample.
    RetentionExceeded = "retention_exceeded",
    /// The sample has no value.
    MissingValue = "missing_value",
    /// The value is not a number.
    InvalidValue = "invalid_value",
    /// The value is NaN, infinite, or does not fit a 64-bit float.
    ValueNotFinite = "value_not_finite",
    /// The dimensions are not an object of strings.
    InvalidDimensions = "invalid_dimensions",
    /// A dimension's key is empty or holds control characters.
    InvalidDimensionKey = "invalid_dimension_key",
    /// A dimension's key is longer than the limit.
    DimensionKeyTooLong = "dimension_key_too_long",
    /// A dimension's value is longer than the limit.
    DimensionValueTooLong = "dimension_value_too_long",
    /// The sample has more dimensions than the limit.
    TooManyDimensions = "too_many_dimensions",
    /// The record's bytes cannot be decoded.
    RecordMalformed = "record_malformed",
    /// The record was written with a schema that this version does not know.
    RecordSchemaUnknown = "record_schema_unknown",
    /// The record's key does not name a tenant and a shard.
    RecordKeyInvalid = "record_key_invalid",
    /// The record is larger than a record may be.
    RecordTooLarge = "record_too_large",
    /// The record names a tenant other than the one that its key or topic belongs to.
    TenantMismatch = "tenant_mismatch",
    /// The same idempotency key was used with another body.
    IdempotencyConflict = "idempotency_conflict",
    /// The record's idempotency headers cannot be read.
    IdempotencyHeadersInvalid = "idempotency_headers_invalid",
}

impl fmt::Display for RejectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why one sample was rejected. It must reach what counts it: the errors of an answer, or a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a reject must be counted and reported"]
pub struct Reject {
    /// The stable reason.
    pub code: RejectCode,
    /// A sentence for the client that names the field, the limit and the value's size; never the tenant's secrets.
    pub detail: String,
}

impl Reject {
    /// A reject with its sentence.
    pub fn new(code: RejectCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_distinct_and_snake_case() {
        let codes: BTreeSet<_> = RejectCode::ALL.iter().map(|code| code.code()).collect();
        assert_eq!(codes.len(), RejectCode::ALL.len());
        for code in codes {
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        }
    }

    #[test]
    fn descriptions_are_sentences() {
        for code in RejectCode::ALL {
            assert!(code.description().ends_with('.') && !code.description().starts_with(' '), "{code}");
        }
    }
}
