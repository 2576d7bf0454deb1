//! What is committed beside an offset: an open intent, or how far back keyed records matter.
//!
//! | metadata | at offset | says |
//! |---|---|---|
//! | empty | `b` | everything before `b` is settled |
//! | `{"incarnation":..,"keyed":k}` | `b` | the same, of this incarnation of the topic; keyed records from `k` on are still within their ten minutes. Either may be missing |
//! | `{"to":b,"incarnation":..,"shard":..,"table":..,"format":..,"window":..,"keyed":k}` | `a` | the batch `[a, b)` may be stored, in part or whole |
//!
//! Kafka's tools commit an empty text: where a writer names the incarnation in all that it commits, an empty text is the word of an
//! operator about the topic as it is now.

use luminate_model::{Incarnation, Offset};
use luminate_storage::StoreTarget;
use serde::{Deserialize, Serialize};

/// What was committed beside an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitMetadata {
    /// Everything before the offset is settled.
    Settled {
        /// The incarnation of the topic that the offset belongs to; `None` where nobody said, as operators' tools do.
        incarnation: Option<Incarnation>,
        /// The first keyed record that a record from the offset on may repeat.
        keyed: Option<Offset>,
    },
    /// A batch from the offset on is on its way.
    Intent(Intent),
}

/// A batch that may be stored: what a writer must know to rebuild it as it was, whatever its own configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The offset after the batch.
    pub to: Offset,
    /// The incarnation of the topic that the offsets belong to.
    pub incarnation: Incarnation,
    /// Where the batch goes.
    pub target: StoreTarget,
    /// How many keyed records were remembered at most when its records were judged.
    pub window: usize,
    /// The first keyed record that was remembered when its first record was judged.
    pub keyed: Option<Offset>,
}

/// The text was not written by a writer that this one understands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the metadata of the commit cannot be read: {0}")]
pub struct UnreadableMetadata(String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettledFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    incarnation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyed: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IntentFields {
    to: u64,
    incarnation: String,
    shard: String,
    table: String,
    format: u32,
    window: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyed: Option<u64>,
}

impl CommitMetadata {
    /// The text that is committed: a few hundred bytes, where Kafka takes 4,096.
    #[must_use]
    pub fn encode(&self) -> String {
        let text = match self {
            Self::Settled { incarnation: None, keyed: None } => return String::new(),
            Self::Settled { incarnation, keyed } => serde_json::to_string(&SettledFields {
                incarnation: incarnation.map(|incarnation| incarnation.to_string()),
                keyed: keyed.map(|keyed| keyed.0),
            }),
            Self::Intent(intent) => serde_json::to_string(&IntentFields {
                to: intent.to.0,
                incarnation: intent.incarnation.to_string(),
                shard: intent.target.shard.clone(),
                table: intent.target.table.clone(),
                format: intent.target.format,
                window: intent.window,
                keyed: intent.keyed.map(|keyed| keyed.0),
            }),
        };
        // Numbers and strings: there is nothing that JSON cannot say.
        text.unwrap_or_default()
    }

    /// Reads what was committed.
    ///
    /// # Errors
    /// [`UnreadableMetadata`] where it is neither form, such as a newer writer's: it is not to be guessed at.
    pub fn decode(text: &str) -> Result<Self, UnreadableMetadata> {
        if text.is_empty() {
            return Ok(Self::Settled { incarnation: None, keyed: None });
        }
        if let Ok(fields) = serde_json::from_str::<SettledFields>(text)
            && (fields.incarnation.is_some() || fields.keyed.is_some())
        {
            let incarnation = fields.incarnation.map(|text| parse_incarnation(&text)).transpose()?;
            return Ok(Self::Settled { incarnation, keyed: fields.keyed.map(Offset) });
        }
        let fields: IntentFields = serde_json::from_str(text).map_err(|error| UnreadableMetadata(error.to_string()))?;
        let incarnation = parse_incarnation(&fields.incarnation)?;
        let target = StoreTarget { shard: fields.shard, table: fields.table, format: fields.format };
        let keyed = fields.keyed.map(Offset);
        Ok(Self::Intent(Intent { to: Offset(fields.to), incarnation, target, window: fields.window, keyed }))
    }
}

fn parse_incarnation(text: &str) -> Result<Incarnation, UnreadableMetadata> {
    text.parse().map_err(|_| UnreadableMetadata("incarnation".to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn intent(keyed: Option<Offset>) -> Intent {
        let target = StoreTarget { shard: "s".repeat(64), table: "samples".to_owned(), format: u32::MAX };
        Intent { to: Offset(u64::MAX), incarnation: Incarnation([7; 16]), target, window: usize::MAX, keyed }
    }

    #[test]
    fn is_read_back_and_small() {
        let keyed = Some(Offset(u64::MAX));
        for metadata in [
            CommitMetadata::Settled { incarnation: None, keyed: None },
            CommitMetadata::Settled { incarnation: None, keyed },
            CommitMetadata::Settled { incarnation: Some(Incarnation([9; 16])), keyed: None },
            CommitMetadata::Settled { incarnation: Some(Incarnation([9; 16])), keyed },
            CommitMetadata::Intent(intent(None)),
            CommitMetadata::Intent(intent(keyed)),
        ] {
            let text = metadata.encode();
            assert_eq!(CommitMetadata::decode(&text).unwrap(), metadata);
            assert!(text.len() < 400, "{text}");
        }
        assert_eq!(CommitMetadata::Settled { incarnation: None, keyed: None }.encode(), "");
    }

    #[test]
    fn what_another_wrote_is_not_guessed_at() {
        let newer = CommitMetadata::Intent(intent(None)).encode().replace("\"to\"", "\"until\"");
        for text in ["{}", "x", r#"{"keyed":-1}"#, r#"{"keyed":1,"more":2}"#, r#"{"incarnation":"7"}"#, newer.as_str()]
        {
            assert!(CommitMetadata::decode(text).is_err(), "{text}");
        }
    }
}
