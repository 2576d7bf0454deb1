//! Where to begin with partitions that were just assigned: what was committed (unless commits are hints), else where the
//! partition begins. Positions are
//! compared with what the topic holds; nothing is skipped silently.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use luminate_queue::{Committed, QueueError};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;

use super::Commits;
use super::owned::OwnedPartition;
use super::session::{Client, Session};
use crate::cluster::{Place, missing, native_offset, partition_number};
use crate::settings::REQUEST_TIMEOUT;

/// Time between attempts while brokers do not answer.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// Finds out where to begin, and writes it into the list. Tries again until brokers answer, or the partitions are lost, or the
/// consumer stops; then nothing is opened.
pub(crate) fn open(session: &Arc<Session>, list: &mut TopicPartitionList) -> Vec<Arc<OwnedPartition>> {
    let places: Vec<Place> = list
        .elements()
        .iter()
        .filter_map(|element| Some((element.topic().to_owned(), u32::try_from(element.partition()).ok()?)))
        .collect();
    let Some(client) = session.client() else { return Vec::new() };
    let mut told = String::new();
    loop {
        match try_open(session, &client, &places) {
            Ok(opened) => {
                begin_at(list, &opened);
                return opened;
            }
            Err(error) => {
                let error = error.to_string();
                if error != told {
                    tracing::warn!(error, "assigned partitions are not opened yet");
                    told = error;
                }
            }
        }
        session.pulse.beat();
        if session.is_stopping() || client.assignment_lost() {
            return Vec::new();
        }
        std::thread::sleep(TRY_AGAIN);
    }
}

fn try_open(session: &Session, client: &Arc<Client>, places: &[Place]) -> Result<Vec<Arc<OwnedPartition>>, QueueError> {
    let names: BTreeSet<String> = places.iter().map(|(topic, _)| topic.clone()).collect();
    let topics = session.cluster.describe(&names.into_iter().collect::<Vec<_>>())?;
    let (there, foreign): (Vec<Place>, Vec<Place>) =
        places.iter().cloned().partition(|(topic, _)| topics.named(topic).is_some());
    if session.is_assigned_by_configuration()
        && let Some((topic, _)) = foreign.first()
    {
        return Err(missing(topic));
    }
    for (topic, partition) in foreign {
        // Gone again, or of no tenant. Nobody reads its queue, so that nothing is fetched beyond its bound.
        tracing::warn!(topic, partition, "a topic is not read: its name has no tenant's name, or it is gone");
        drop(client.split_partition_queue(&topic, partition_number(partition)));
    }
    let committed = match session.commits {
        Commits::Decide => session.cluster.committed(&there, REQUEST_TIMEOUT)?,
        Commits::Hint => vec![Committed::default(); there.len()],
    };
    let bounds = session.cluster.bounds(&there)?;
    let mut opened = Vec::with_capacity(there.len());
    for (((name, partition), committed), bounds) in there.into_iter().zip(committed).zip(bounds) {
        let Some(topic) = topics.named(&name) else { continue };
        let owned = OwnedPartition::new(Arc::clone(topic), partition, committed, bounds);
        // Before it is assigned, so that every record that is fetched comes here.
        let queue = client.split_partition_queue(&name, partition_number(partition));
        owned.set_queue(queue.ok_or_else(|| QueueError::Unavailable(format!("{name}/{partition} has no queue")))?);
        opened.push(Arc::new(owned));
    }
    Ok(opened)
}

/// A partition that cannot be read on is assigned at its end, where nothing is fetched that nobody reads.
fn begin_at(list: &mut TopicPartitionList, opened: &[Arc<OwnedPartition>]) {
    for mut element in list.elements() {
        let place = |owned: &&Arc<OwnedPartition>| {
            owned.topic.name == element.topic() && partition_number(owned.partition) == element.partition()
        };
        let start = match opened.iter().find(place) {
            Some(owned) if owned.fault().is_none() => native_offset(owned.position()),
            _ => rdkafka::Offset::End,
        };
        if let Err(error) = element.set_offset(start) {
            tracing::error!(%error, topic = element.topic(), partition = element.partition(), "no place to begin");
        }
    }
}
