//! Storing a batch.

use std::sync::Arc;
use std::time::Instant;

use luminate_model::{Offset, Source};
use luminate_storage::{Batch, BatchRecord, Resume, Span, StorageError, Stored};
use rocksdb::{Direction, IteratorMode, WriteBatch};

use super::Shared;
use super::directory::{Block, Run};
use super::entry::{Entry, Place, Provenance};
use super::keys::{self, ARRIVALS, DIRECTORY, META, MetaKey};
use super::state::{KeptIdempotency, Ledger, Position, State};
use crate::block::{BlockId, EncodedBlock, encode_batch};
use crate::database::Durability;
use crate::error::DatabaseError;

impl Shared {
    /// Stores a batch: encodes it without holding anything up, then writes it whole.
    pub(crate) fn write(&self, mut batch: Batch) -> Result<Stored, StorageError> {
        self.database.check()?;
        let mut erased = 0;
        loop {
            let ledger = {
                let state = self.state();
                if state.position(&batch)? == Position::Already {
                    return Ok(Stored { already: true, ..Stored::default() });
                }
                erased += leave_out_erased(&mut batch, &state.ledger);
                state.ledger.version()
            };
            self.check_room(0)?;
            let blocks = encode_batch(&batch.records);
            // Once into the log, and once more into a table file.
            let bytes: usize = blocks.iter().flat_map(|block| &block.pages).map(Vec::len).sum();
            self.check_room(2 * bytes as u64)?;
            let mut state = self.state();
            // An erasure may have come in between, and another writer (of a revoked partition) as well.
            if state.position(&batch)? == Position::Already {
                return Ok(Stored { already: true, ..Stored::default() });
            }
            if state.ledger.version() == ledger {
                let samples = batch.samples() as u64;
                self.commit(&mut state, &batch, blocks)?;
                return Ok(Stored { already: false, samples, erased });
            }
        }
    }

    /// Where to continue with a source.
    pub(crate) fn resume(&self, source: Source) -> Result<Resume, StorageError> {
        let (next, kept) = {
            let state = self.state();
            state.check_owned(source)?;
            (state.next.get(&source).copied(), state.idempotency.get(&source).copied().unwrap_or_default())
        };
        let mut idempotency = Vec::new();
        self.for_each_idempotency(source, kept.first, |entry| {
            if entry.append_time >= kept.since {
                idempotency.push(entry);
            }
            true
        })?;
        Ok(Resume { next, idempotency })
    }

    /// Stores samples again that were lost, whatever else is stored; returns how many. Only where no writer runs, or behind it.
    pub(crate) fn restore(&self, mut batch: Batch) -> Result<u64, StorageError> {
        self.database.check()?;
        let mut state = self.state();
        let stored = state.next.get(&batch.source).copied().unwrap_or_default();
        if batch.next > stored {
            let Batch { source, first, next, .. } = batch;
            return Err(StorageError::NotContiguous { place: source, first, next, stored });
        }
        leave_out_erased(&mut batch, &state.ledger);
        let blocks = encode_batch(&batch.records);
        let bytes: usize = blocks.iter().flat_map(|block| &block.pages).map(Vec::len).sum();
        self.check_room(2 * bytes as u64)?;
        let mut write = WriteBatch::default();
        let run = self.put_blocks(&mut write, &state, &batch, blocks)?;
        self.database.write(write, Durability::Synced)?;
        self.show(&mut state, run);
        Ok(batch.samples() as u64)
    }

    /// Writes blocks, idempotency entries and next offset in one synced step, and shows them to readers.
    fn commit(&self, state: &mut State, batch: &Batch, blocks: Vec<EncodedBlock>) -> Result<(), StorageError> {
        let mut write = WriteBatch::default();
        let run = self.put_blocks(&mut write, state, batch, blocks)?;
        let kept = self.put_idempotency(&mut write, state, batch)?;
        let next = keys::next_value(batch.next, kept.since);
        write.put_cf(self.database.family(META)?, MetaKey::Next(batch.source).encode(), next);
        self.database.write(write, Durability::Synced)?;

        state.last_stored = Instant::now();
        state.next.insert(batch.source, batch.next);
        state.idempotency.insert(batch.source, kept);
        self.show(state, run);
        self.progress.send_modify(|progress| {
            progress.next.insert(batch.source, batch.next);
        });
        self.inbox.wake();
        Ok(())
    }

    /// Adds the blocks of a batch, with the number that the next block gets.
    fn put_blocks(
        &self,
        write: &mut WriteBatch,
        state: &State,
        batch: &Batch,
        blocks: Vec<EncodedBlock>,
    ) -> Result<Run, DatabaseError> {
        let first_block = state.next_block;
        let place = Place::Arrival { run: first_block };
        let provenance = Provenance::of(Span { source: batch.source, first: batch.first, next: batch.next });
        let mut run = Run { blocks: Vec::with_capacity(blocks.len()) };
        for (id, block) in (first_block..).map(BlockId).zip(blocks) {
            for (number, page) in (0..).zip(&block.pages) {
                write.put_cf(self.database.family(ARRIVALS)?, keys::page_key(id, number), page);
            }
            let entry = Entry { place, provenance: provenance.clone(), summary: block.summary };
            write.put_cf(self.database.family(DIRECTORY)?, keys::block_key(id), entry.encode());
            run.blocks.push(Block::new(id, entry, Arc::clone(&self.inbox)));
        }
        let next_block = first_block + run.blocks.len() as u64;
        write.put_cf(self.database.family(META)?, MetaKey::NextBlock.encode(), next_block.to_be_bytes());
        Ok(run)
    }

    /// Shows the blocks of a batch, which are durable now.
    fn show(&self, state: &mut State, run: Run) {
        state.next_block += run.blocks.len() as u64;
        self.replace_directory(state, |directory| directory.with_arrival(run, Instant::now()));
    }

    /// Adds the batch's idempotency entries and removes those that will not be asked for any more; returns what is left then.
    fn put_idempotency(
        &self,
        write: &mut WriteBatch,
        state: &State,
        batch: &Batch,
    ) -> Result<KeptIdempotency, StorageError> {
        let meta = self.database.family(META)?;
        let known = state.idempotency.get(&batch.source).copied().unwrap_or_default();
        let since = known.since.max(batch.forget_idempotency_before);
        let mut first = batch.next;
        self.for_each_idempotency(batch.source, known.first, |entry| {
            let kept = entry.append_time >= since;
            if kept {
                first = first.min(entry.offset);
            }
            !kept
        })?;
        for entry in &batch.idempotency {
            let erased = state.ledger.covers(&entry.tenant, batch.source, entry.offset);
            if entry.append_time >= since && !erased {
                first = first.min(entry.offset);
                let key = MetaKey::Idempotency(batch.source, entry).encode();
                write.put_cf(meta, key, keys::idempotency_value(entry));
            }
        }
        if first > known.first {
            let key = |offset| keys::idempotency_key(batch.source, offset);
            write.delete_range_cf(meta, key(known.first), key(first));
        }
        Ok(KeptIdempotency { first, since })
    }

    /// Calls `each` with a source's idempotency entries from an offset on, in the order of their offsets, until it answers
    /// false.
    pub(crate) fn for_each_idempotency(
        &self,
        source: Source,
        from: Offset,
        mut each: impl FnMut(luminate_storage::IdempotencyEntry) -> bool,
    ) -> Result<(), DatabaseError> {
        let from = keys::idempotency_key(source, from);
        let end = keys::idempotency_key(source, Offset(u64::MAX));
        let mode = IteratorMode::From(&from, Direction::Forward);
        for item in self.database.rocks().iterator_cf(self.database.family(META)?, mode) {
            let (key, value) = self.database.judge(item)?;
            if *key >= *end {
                break;
            }
            let entry = keys::read_idempotency(&key, &value);
            let (_, entry) = entry.ok_or_else(|| DatabaseError::Damaged("an idempotency entry".to_owned()))?;
            if !each(entry) {
                break;
            }
        }
        Ok(())
    }
}

/// Takes out the records that an erasure covers; returns how many samples they had.
fn leave_out_erased(batch: &mut Batch, ledger: &Ledger) -> u64 {
    let mut erased = 0;
    let source = batch.source;
    batch.records.retain(|record: &BatchRecord| {
        let covered = ledger.covers(&record.tenant, source, record.offset);
        if covered {
            erased += record.samples.len() as u64;
        }
        !covered
    });
    erased
}
