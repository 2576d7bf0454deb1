//! The records of the partition in one incarnation of its topic, and what must become of each.

use luminate_model::{Incarnation, Offset, Source};
use luminate_queue::{ConsumedRecord, IdempotencyHeaders};
use luminate_schemas::{confluent, sample_rows, single_object};
use std::collections::BTreeSet;

use crate::idempotency::WINDOW_MS;
use crate::test_records::{columns, consumed};

const DAY_MS: i64 = 86_400_000;
/// The number of the only registered schema.
pub(super) const SCHEMA: u32 = 9;

/// What must become of a record.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    /// These samples are stored, known by their timestamps.
    Stored(Vec<i64>),
    /// It is a dead letter.
    Dead,
    /// One of the two, as whoever judged it first was told by the schema registry.
    StoredOrDead(Vec<i64>),
    /// It is a repeat.
    Repeat,
}

/// The records of the partition in one incarnation of its topic. Offsets may be left out.
#[derive(Default)]
pub(super) struct Log {
    /// How often the topic was made before.
    number: u8,
    pub(super) records: Vec<(ConsumedRecord, Fate)>,
    /// What lies before was removed by retention.
    begin: Offset,
    next: u64,
    now: i64,
    samples: i64,
    /// Key and body of the keyed records, with their append times.
    keyed: Vec<(u8, u8, i64)>,
}

impl Log {
    /// The topic is made again: without records. No sample is one of the former log.
    pub(super) fn again(&self) -> Self {
        Self { number: self.number + 1, now: self.now, samples: self.samples, ..Self::default() }
    }

    pub(super) fn source(&self) -> Source {
        Source { incarnation: Incarnation([self.number; 16]), partition: 0 }
    }

    pub(super) fn begin(&self) -> Offset {
        self.begin
    }

    /// Retention removes what lies before an offset and is too old to decide of what lies after it, or is still to come.
    pub(super) fn lose_old(&mut self, settled: Offset) {
        let now = self.at(settled).map_or(self.now, |unsettled| unsettled.append_time);
        let is_old = |record: &ConsumedRecord| record.offset < settled && now - record.append_time > WINDOW_MS;
        let old = self.records.iter().filter(|(record, _)| is_old(record));
        self.begin = old.map(|(record, _)| record.offset.next()).max().unwrap_or_default().max(self.begin);
    }

    pub(super) fn end(&self) -> Offset {
        Offset(self.next)
    }

    /// The first record at or after an offset.
    pub(super) fn at(&self, offset: Offset) -> Option<&ConsumedRecord> {
        let at = self.records.partition_point(|(record, _)| record.offset < offset);
        self.records.get(at).map(|(record, _)| record)
    }

    pub(super) fn pass(&mut self, ms: i64) {
        self.now += ms;
    }

    /// Offsets that hold nothing for a consumer, as a transaction's marker.
    pub(super) fn leave_hole(&mut self) {
        self.next += 1;
    }

    pub(super) fn append_broken(&mut self) {
        self.push(consumed(self.next, "acme/0", "broken"), Fate::Dead);
    }

    /// A record with samples of so many days.
    pub(super) fn append(&mut self, days: i64) {
        let samples = self.fresh(days);
        let record = consumed(self.next, "acme/0", luminate_schemas::encode(&columns(&samples)));
        self.push(record, Fate::Stored(samples));
    }

    /// A record with a key.
    pub(super) fn append_keyed(&mut self, key: u8, body: u8) {
        let samples = self.fresh(1);
        let known: Vec<_> =
            self.keyed.iter().filter(|known| known.0 == key && self.now - known.2 <= WINDOW_MS).collect();
        let fate = if known.is_empty() {
            Fate::Stored(samples.clone())
        } else if known.iter().any(|known| known.1 == body) {
            Fate::Repeat
        } else {
            Fate::Dead
        };
        self.keyed.push((key, body, self.now));
        let mut record = consumed(self.next, "acme/0", luminate_schemas::encode(&columns(&samples)));
        record.headers = IdempotencyHeaders { key: key.into(), body: body.into(), part: 0, parts: 1 }.to_headers();
        self.push(record, fate);
    }

    /// A record whose schema is registered.
    pub(super) fn append_registered(&mut self) {
        let samples = self.fresh(1);
        let value = sample_rows::encode(None, &columns(&samples));
        let value = [&confluent::header(SCHEMA)[..], &value[single_object::HEADER_BYTES..]].concat();
        self.push(consumed(self.next, "acme/0", value), Fate::StoredOrDead(samples));
    }

    /// What must be stored of the records before an offset, and which dead letters there must be, where these are.
    pub(super) fn settled_before(
        &self,
        offset: Offset,
        letters: &BTreeSet<Offset>,
    ) -> (BTreeSet<i64>, BTreeSet<Offset>) {
        let (mut stored, mut dead) = (BTreeSet::new(), BTreeSet::new());
        for (record, fate) in self.records.iter().filter(|(record, _)| record.offset < offset) {
            match fate {
                Fate::Stored(samples) => stored.extend(samples),
                Fate::Dead => drop(dead.insert(record.offset)),
                Fate::StoredOrDead(_) if letters.contains(&record.offset) => drop(dead.insert(record.offset)),
                Fate::StoredOrDead(samples) => stored.extend(samples),
                Fate::Repeat => {}
            }
        }
        (stored, dead)
    }

    /// Samples that no other record has, one a day.
    fn fresh(&mut self, days: i64) -> Vec<i64> {
        self.samples += 1;
        (0..days).map(|day| day * DAY_MS + self.samples).collect()
    }

    fn push(&mut self, mut record: ConsumedRecord, fate: Fate) {
        record.append_time = self.now;
        self.next += 1;
        self.records.push((record, fate));
    }
}

/// The slice that a sample lands in.
pub(super) const fn slice_of(timestamp: i64) -> i64 {
    timestamp.div_euclid(DAY_MS)
}
