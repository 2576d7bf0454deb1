//! Where to begin with assigned partitions: what was committed (unless commits are hints), else where the partition begins.
//! Positions are compared with what the topic holds; nothing is skipped silently.
//!
//! A partition that brokers do not tell enough of (its topic is new to the one that was asked, or it has no leader) holds up no
//! other: it is kept, paused, in `unopened`, and looked up again until it can be opened or is taken away.

use std::collections::BTreeSet;
use std::sync::Arc;

use luminate_queue::{Committed, QueueError};
use rdkafka::TopicPartitionList;

use super::Commits;
use super::owned::OwnedPartition;
use super::session::{Client, Session};
use crate::cluster::{Place, missing, native_offset, partition_number};
use crate::settings::REQUEST_TIMEOUT;
use crate::topics::TopicRole;

/// Where partitions stand of which it is not known where to begin: they are paused, so that nothing is fetched from here.
const NOWHERE: rdkafka::Offset = rdkafka::Offset::Offset(0);

/// Finds out where to begin with partitions that were just assigned, and writes it into the list. What cannot be opened now is
/// kept for later.
pub(crate) fn open(session: &Arc<Session>, list: &mut TopicPartitionList) -> Vec<Arc<OwnedPartition>> {
    let Some(client) = session.client() else { return Vec::new() };
    let places = list
        .elements()
        .iter()
        .filter_map(|element| Some((element.topic().to_owned(), u32::try_from(element.partition()).ok()?)))
        .collect::<Vec<Place>>();
    let (foreign, ours): (Vec<Place>, Vec<Place>) = places.into_iter().partition(|place| is_foreign(session, place));
    for (topic, partition) in foreign {
        // Nobody reads its queue, so that nothing is fetched beyond its bound.
        tracing::warn!(topic, partition, "a topic is not read: its name has no tenant's name");
        drop(client.split_partition_queue(&topic, partition_number(partition)));
    }
    let mut opened = Vec::with_capacity(ours.len());
    let looked_up = look_up(session, &ours);
    for (place, found) in ours.into_iter().zip(looked_up) {
        match found.and_then(|owned| attach(&client, &owned).map(|()| owned)) {
            Ok(owned) => opened.push(owned),
            Err(reason) => {
                // Its records, should any be fetched, come the way of no other partition.
                drop(client.split_partition_queue(&place.0, partition_number(place.1)));
                session.keep_unopened(place, &reason);
            }
        }
    }
    begin_at(session, list, &opened);
    opened
}

/// Tries again to open what could not be opened.
pub(crate) fn open_late(session: &Arc<Session>) {
    let waiting = session.unopened();
    let Some(client) = session.client() else { return };
    let places: Vec<Place> = waiting.iter().map(|(place, _)| place.clone()).collect();
    for ((place, ticket), found) in waiting.into_iter().zip(look_up(session, &places)) {
        let opened = found.and_then(|owned| session.open_late(&client, ticket, owned));
        if let Err(reason) = opened {
            session.keep_waiting(&place, ticket, &reason);
        }
    }
}

/// Has the partition's records come to it and to nothing else; before it is assigned, so that this holds for every one.
pub(super) fn attach(client: &Arc<Client>, owned: &OwnedPartition) -> Result<(), QueueError> {
    let (topic, partition) = owned.place();
    let queue = client.split_partition_queue(&topic, partition_number(partition));
    owned.set_queue(queue.ok_or_else(|| QueueError::Unavailable(format!("{topic}/{partition} has no queue")))?);
    Ok(())
}

/// Where an opened partition is fetched from. One that cannot be read on stands at its end, where nothing is fetched that nobody
/// reads.
pub(super) fn start_of(owned: &OwnedPartition) -> rdkafka::Offset {
    if owned.fault().is_none() { native_offset(owned.position()) } else { rdkafka::Offset::End }
}

/// What the configuration assigns is ours, whatever its name.
fn is_foreign(session: &Session, (topic, _): &Place) -> bool {
    !session.is_assigned_by_configuration() && session.cluster.names().role(topic) == TopicRole::Foreign
}

/// What brokers tell of each of the places, in their order. Blocks.
fn look_up(session: &Session, places: &[Place]) -> Vec<Result<Arc<OwnedPartition>, QueueError>> {
    if places.is_empty() {
        return Vec::new();
    }
    match try_look_up(session, places) {
        Ok(found) => found,
        Err(error) => {
            let reason = error.to_string();
            places.iter().map(|_| Err(QueueError::Unavailable(reason.clone()))).collect()
        }
    }
}

fn try_look_up(
    session: &Session,
    places: &[Place],
) -> Result<Vec<Result<Arc<OwnedPartition>, QueueError>>, QueueError> {
    let names: BTreeSet<String> = places.iter().map(|(topic, _)| topic.clone()).collect();
    let topics = session.cluster.describe_told(&names.into_iter().collect::<Vec<_>>())?;
    let there: Vec<Place> = places.iter().filter(|(topic, _)| topics.named(topic).is_some()).cloned().collect();
    session.pulse.beat();
    let committed = match session.commits {
        Commits::Decide => session.cluster.committed_each(&there, REQUEST_TIMEOUT)?,
        Commits::Hint => there.iter().map(|_| Ok(Committed::default())).collect(),
    };
    session.pulse.beat();
    let mut found = committed.into_iter().zip(session.cluster.bounds(&there));
    session.pulse.beat();
    let open = |(name, partition): &Place| {
        let topic = topics.named(name).ok_or_else(|| missing(name))?;
        let (committed, bounds) = found.next().ok_or_else(|| missing(name))?;
        Ok(Arc::new(OwnedPartition::new(Arc::clone(topic), *partition, committed?, bounds?)))
    };
    Ok(places.iter().map(open).collect())
}

fn begin_at(session: &Session, list: &TopicPartitionList, opened: &[Arc<OwnedPartition>]) {
    for mut element in list.elements() {
        let (topic, partition) = (element.topic(), element.partition());
        let owned =
            opened.iter().find(|owned| owned.topic.name == topic && partition_number(owned.partition) == partition);
        let start = match owned {
            Some(owned) => start_of(owned),
            None if session.is_unopened(topic, partition) => NOWHERE,
            None => rdkafka::Offset::End,
        };
        if let Err(error) = element.set_offset(start) {
            tracing::error!(%error, topic = element.topic(), partition, "no place to begin");
        }
    }
}
