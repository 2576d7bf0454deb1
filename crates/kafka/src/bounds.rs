//! Where partitions begin and end, of each by itself: one whose broker is away has nothing to tell, and the others go on.

use std::collections::{BTreeMap, HashMap};

use luminate_model::Offset;
use luminate_queue::QueueError;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;

use crate::cluster::{KafkaCluster, Place, known_offset, missing, partition_number};
use crate::error::unavailable;
use crate::settings::REQUEST_TIMEOUT;

const DOING: &str = "ends of partitions are not told";

/// Where the records of a partition begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) begin: Offset,
    /// The offset that the next record gets.
    pub(crate) end: Offset,
}

/// Of each partition that was asked for, in their order.
type Answers<T> = Vec<Result<T, QueueError>>;

impl KafkaCluster {
    /// Where partitions begin and end, in the order of `places`. Blocks.
    pub(crate) fn bounds(&self, places: &[Place]) -> Answers<Bounds> {
        let begins = self.offsets_at(places, rdkafka::Offset::Beginning);
        // Whose beginning is not told is not asked for its end: the question would wait as long once more.
        let told: Vec<Place> =
            places.iter().zip(&begins).filter(|(_, begin)| begin.is_ok()).map(|(place, _)| place.clone()).collect();
        let mut ends = self.offsets_at(&told, rdkafka::Offset::End).into_iter();
        let bounds = |begin: Result<Offset, QueueError>| {
            let begin = begin?;
            let end = ends.next().unwrap_or_else(|| Err(QueueError::Unavailable(DOING.to_owned())))?;
            Ok(Bounds { begin, end })
        };
        begins.into_iter().map(bounds).collect()
    }

    /// Where one partition begins and ends. Blocks.
    pub(crate) fn bounds_of(&self, place: &Place) -> Result<Bounds, QueueError> {
        self.bounds(std::slice::from_ref(place)).pop().unwrap_or_else(|| Err(missing(&place.0)))
    }

    /// Where partitions end, in the order of `places`. Blocks.
    pub(crate) fn ends(&self, places: &[Place]) -> Answers<Offset> {
        self.offsets_at(places, rdkafka::Offset::End)
    }

    /// Where one partition ends. Blocks.
    pub(crate) fn end(&self, place: &Place) -> Result<Offset, QueueError> {
        self.ends(std::slice::from_ref(place)).pop().unwrap_or_else(|| Err(missing(&place.0)))
    }

    /// Asks for all at once. One partition without a leader, or with one that hangs, fails that whole question: then each leader is
    /// asked for its own.
    fn offsets_at(&self, places: &[Place], at: rdkafka::Offset) -> Answers<Offset> {
        match self.ask_for_offsets(places, at) {
            Ok(answers) => answers,
            Err(error) => self.offsets_by_leader(places, at).unwrap_or_else(|_| refused(places, &error)),
        }
    }

    fn offsets_by_leader(&self, places: &[Place], at: rdkafka::Offset) -> Result<Answers<Offset>, QueueError> {
        let leaders = self.leaders()?;
        let mut by_leader: BTreeMap<i32, Vec<Place>> = BTreeMap::new();
        for place in places {
            if let Some(leader) = leaders.get(place) {
                by_leader.entry(*leader).or_default().push(place.clone());
            }
        }
        let mut told = HashMap::new();
        for of_leader in by_leader.into_values() {
            let answers = self.ask_for_offsets(&of_leader, at);
            let answers = answers.unwrap_or_else(|error| refused(&of_leader, &error));
            told.extend(of_leader.into_iter().zip(answers));
        }
        let leaderless =
            |(topic, partition): &Place| QueueError::Unavailable(format!("{DOING}: {topic}/{partition} has no leader"));
        Ok(places.iter().map(|place| told.remove(place).unwrap_or_else(|| Err(leaderless(place)))).collect())
    }

    /// The brokers that lead partitions; those that have none are left out.
    pub(crate) fn leaders(&self) -> Result<HashMap<Place, i32>, QueueError> {
        self.serve();
        let metadata = self.inspector().fetch_metadata(None, REQUEST_TIMEOUT);
        let metadata = metadata.map_err(|error| self.unanswered("leaders of partitions are not told", &error))?;
        let mut leaders = HashMap::new();
        for topic in metadata.topics() {
            for partition in topic.partitions().iter().filter(|partition| partition.leader() >= 0) {
                if let Ok(number) = u32::try_from(partition.id()) {
                    leaders.insert((topic.name().to_owned(), number), partition.leader());
                }
            }
        }
        Ok(leaders)
    }

    /// Kafka's request for offsets by time takes the beginning and the end as special times, for many partitions at once.
    fn ask_for_offsets(&self, places: &[Place], at: rdkafka::Offset) -> Result<Answers<Offset>, QueueError> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        self.serve();
        let mut list = TopicPartitionList::with_capacity(places.len());
        for (topic, partition) in places {
            list.add_partition_offset(topic, partition_number(*partition), at)
                .map_err(|error| unavailable(DOING, &error))?;
        }
        let answer = self.inspector().offsets_for_times(list, REQUEST_TIMEOUT);
        let answer = answer.map_err(|error| self.unanswered(DOING, &error))?;
        let offset = |(topic, partition): &Place| {
            let place = || format!("{DOING}: {topic}/{partition}");
            let element = answer.find_partition(topic, partition_number(*partition));
            let element = element.ok_or_else(|| QueueError::Unavailable(place()))?;
            element.error().map_err(|error| unavailable(&place(), &error))?;
            known_offset(element.offset()).ok_or_else(|| QueueError::Unavailable(place()))
        };
        Ok(places.iter().map(offset).collect())
    }
}

/// The same error for each of them, with its name.
fn refused(places: &[Place], error: &QueueError) -> Answers<Offset> {
    let reason = match error {
        QueueError::Unavailable(reason) => reason.clone(),
        other => other.to_string(),
    };
    let named = |(topic, partition): &Place| QueueError::Unavailable(format!("{topic}/{partition}: {reason}"));
    places.iter().map(|place| Err(named(place))).collect()
}
