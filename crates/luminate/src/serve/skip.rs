//! Where an operator says that an edge node shall go on: `--skip-to TOPIC:PARTITION:OFFSET`.

use std::str::FromStr;

use luminate_kafka::AssignedPartition;
use luminate_model::Offset;
use luminate_rocksdb::RocksStore;

/// A partition, and the offset to go on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SkipTo {
    topic: String,
    partition: u32,
    next: Offset,
}

impl FromStr for SkipTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (rest, next) = text.rsplit_once(':')?;
            let (topic, partition) = rest.rsplit_once(':')?;
            Some(Self { topic: topic.to_owned(), partition: partition.parse().ok()?, next: Offset(next.parse().ok()?) })
        };
        parse().filter(|skip| !skip.topic.is_empty()).ok_or_else(|| "expected TOPIC:PARTITION:OFFSET".to_owned())
    }
}

/// Has the store go on where the operator says. It never goes back, so that a flag which is left in place does nothing.
pub(super) async fn skip(store: &RocksStore, assigned: &[AssignedPartition], skips: &[SkipTo]) -> anyhow::Result<()> {
    for SkipTo { topic, partition, next } in skips {
        let is_meant = |one: &&AssignedPartition| one.topic == *topic && one.source.partition == *partition;
        let Some(AssignedPartition { source, .. }) = assigned.iter().find(is_meant) else {
            anyhow::bail!("--skip-to names {topic}:{partition}, which kafka.consumer.assign does not list");
        };
        if store.skip_to(*source, *next).await? {
            tracing::warn!(topic, partition, %next, "an operator gave up what is not stored before this offset");
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn is_read_from_a_flag() {
        let expected = SkipTo { topic: "luminate.samples.v1".to_owned(), partition: 3, next: Offset(70) };
        assert_eq!("luminate.samples.v1:3:70".parse(), Ok(expected));
        for mistake in ["", "3:70", ":3:70", "t:3", "t:x:1", "t:1:-1"] {
            assert!(mistake.parse::<SkipTo>().is_err(), "{mistake}");
        }
    }
}
