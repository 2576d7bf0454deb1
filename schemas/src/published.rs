//! The schemas that were published: every version of both, for all of which records may be read.

use std::sync::LazyLock;

use crate::canonical::canonical_form;
use crate::{sample_columns, sample_rows};

/// The Avro schema of the values that gateways write, as published.
pub const SAMPLE_COLUMNS_V1: &str = include_str!("../avro/SampleColumns.v1.avsc");

/// The Avro schema of the values that direct producers write, as published.
pub const SAMPLE_ROWS_V1: &str = include_str!("../avro/SampleRows.v1.avsc");

/// The longest text of a registered schema that is looked at, in bytes.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;

/// A schema that this version reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishedSchema {
    /// Samples column by column, what gateways write.
    SampleColumnsV1,
    /// Samples one after another, what direct producers write.
    SampleRowsV1,
}

/// Why records with a registered schema cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableSchema {
    /// Nothing is known of numbers.
    #[error("no schema registry is configured")]
    NoRegistry,
    /// The registry does not know the number.
    #[error("the schema registry does not know it")]
    NotRegistered,
    /// It is written in another language, which the registry names.
    #[error("it is no Avro schema")]
    NotAvro,
    /// It is larger than any that is read.
    #[error("it has {bytes} bytes, the limit is {MAX_SCHEMA_BYTES}")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// What was wrong with it was found out before, and not noted.
    #[error("it was of no use when the record was judged first")]
    NotUsable,
    /// It is none of the published schemas.
    #[error("it is none of the published schemas, {}", known_schemas())]
    NotPublished,
}

impl PublishedSchema {
    /// Every published schema.
    pub const ALL: [Self; 2] = [Self::SampleColumnsV1, Self::SampleRowsV1];

    /// The schema of this fingerprint.
    #[must_use]
    pub fn of_fingerprint(fingerprint: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|schema| schema.fingerprint() == fingerprint)
    }

    /// The schema of this [`name`](Self::name).
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|schema| schema.name() == name)
    }

    /// The published schema that a registered one equals: their parsing canonical forms are the same, so documentation,
    /// defaults, aliases, logical types and the order of attributes may differ, and the bytes of values cannot.
    ///
    /// # Errors
    /// [`UnusableSchema`]
    pub fn of_text(text: &str) -> Result<Self, UnusableSchema> {
        static CANONICAL: LazyLock<[Option<String>; PublishedSchema::ALL.len()]> =
            LazyLock::new(|| PublishedSchema::ALL.map(|schema| canonical_form(schema.text())));
        if text.len() > MAX_SCHEMA_BYTES {
            return Err(UnusableSchema::TooLarge { bytes: text.len() });
        }
        let canonical = canonical_form(text).ok_or(UnusableSchema::NotPublished)?;
        let same = |of: &Option<String>| of.as_ref() == Some(&canonical);
        let at = CANONICAL.iter().position(same).ok_or(UnusableSchema::NotPublished)?;
        Self::ALL.get(at).copied().ok_or(UnusableSchema::NotPublished)
    }

    /// CRC-64-AVRO of the parsing canonical form.
    #[must_use]
    pub const fn fingerprint(self) -> u64 {
        match self {
            Self::SampleColumnsV1 => sample_columns::FINGERPRINT_V1,
            Self::SampleRowsV1 => sample_rows::FINGERPRINT_V1,
        }
    }

    /// The schema as published, in JSON.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::SampleColumnsV1 => SAMPLE_COLUMNS_V1,
            Self::SampleRowsV1 => SAMPLE_ROWS_V1,
        }
    }

    /// Name and version, as the files are named.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SampleColumnsV1 => "SampleColumns.v1",
            Self::SampleRowsV1 => "SampleRows.v1",
        }
    }
}

/// The published schemas with their fingerprints, for messages.
pub(crate) fn known_schemas() -> String {
    let known = PublishedSchema::ALL.map(|schema| format!("{} ({:016x})", schema.name(), schema.fingerprint()));
    known.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_fingerprint_text_and_name() {
        for schema in PublishedSchema::ALL {
            assert_eq!(PublishedSchema::of_fingerprint(schema.fingerprint()), Some(schema));
            assert_eq!(PublishedSchema::of_text(schema.text()), Ok(schema));
            assert_eq!(PublishedSchema::of_name(schema.name()), Some(schema));
        }
        assert_eq!((PublishedSchema::of_fingerprint(0), PublishedSchema::of_name("")), (None, None));
    }

    #[test]
    fn what_a_java_producer_registers_is_the_published_one() {
        let java = r#"{"namespace":"luminate","type":"record","name":"SampleRows","fields":[
            {"name":"tenant","type":["null",{"type":"string","avro.java.string":"String"}]},
            {"name":"samples","aliases":["points"],"type":{"type":"array","items":{"name":"luminate.Sample","type":"record","fields":[
                {"name":"name","type":{"avro.java.string":"String","type":"string"},"default":""},
                {"name":"timestamp","type":{"type":"long","logicalType":"timestamp-millis"}},
                {"name":"value","type":"double","order":"ignore"},
                {"name":"dimensions","type":{"type":"map","values":{"type":"string"}}}]}}}]}"#;
        assert_eq!(PublishedSchema::of_text(java), Ok(PublishedSchema::SampleRowsV1));
    }

    #[test]
    fn another_schema_is_refused() {
        let text = SAMPLE_ROWS_V1;
        let others = [
            text.replace("\"double\"", "\"float\""),
            text.replace("\"luminate\"", "\"other\""),
            text.replace("[\"null\", \"string\"]", "[\"string\", \"null\"]"),
            text.replace("\"timestamp\"", "\"time\""),
            text[1..].to_owned(),
            "\"string\"".to_owned(),
            "[".repeat(20_000),
        ];
        for other in others {
            assert_eq!(PublishedSchema::of_text(&other), Err(UnusableSchema::NotPublished), "{other}");
        }
        let large = " ".repeat(MAX_SCHEMA_BYTES + 1);
        assert_eq!(PublishedSchema::of_text(&large), Err(UnusableSchema::TooLarge { bytes: MAX_SCHEMA_BYTES + 1 }));
    }
}
