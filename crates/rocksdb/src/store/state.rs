//! What the store knows beside its blocks: how far each source is stored, and what was erased.

use std::collections::BTreeMap;
use std::time::Instant;

use luminate_model::{Offset, Source, TenantId};
use luminate_storage::{Batch, Span, StorageError};

use super::entry::Provenance;
use super::owned::Owned;
use crate::block::BlockId;

/// The part of the store's state that writes change, in memory as it stands in the database.
#[derive(Debug)]
pub(crate) struct State {
    /// For each source everything before this offset is stored.
    pub(crate) next: BTreeMap<Source, Offset>,
    /// Which partitions the database belongs to.
    pub(crate) owned: Owned,
    /// What was erased.
    pub(crate) ledger: Ledger,
    /// For tenants of which something is to be removed: samples that were stored when that was noted.
    pub(crate) noted_samples: BTreeMap<TenantId, u64>,
    /// The number that the next block gets.
    pub(crate) next_block: u64,
    /// For each source which idempotency entries are left.
    pub(crate) idempotency: BTreeMap<Source, KeptIdempotency>,
    /// When the last batch was stored, or the store was opened.
    pub(crate) last_stored: Instant,
}

/// Which idempotency entries of a source are left. Offsets and append times mostly ascend together, but not always: so what
/// is removed is a range of offsets, and what is forgotten is judged by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeptIdempotency {
    /// There are none before; looking for old ones begins here and not at removed ones.
    pub(crate) first: Offset,
    /// Those that were appended before this time (ms since 1970) are forgotten, whether or not they are removed.
    pub(crate) since: i64,
}

impl Default for KeptIdempotency {
    fn default() -> Self {
        Self { first: Offset(0), since: i64::MIN }
    }
}

/// How a batch relates to what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// It continues it.
    Next,
    /// All of it is stored.
    Already,
}

impl State {
    /// Of a store that holds nothing.
    pub(crate) fn empty() -> Self {
        Self {
            next: BTreeMap::new(),
            owned: Owned::default(),
            ledger: Ledger::default(),
            noted_samples: BTreeMap::new(),
            next_block: 0,
            idempotency: BTreeMap::new(),
            last_stored: Instant::now(),
        }
    }

    /// Refuses sources of partitions that the database does not belong to.
    pub(crate) fn check_owned(&self, source: Source) -> Result<(), StorageError> {
        if self.owned.takes(&source) { Ok(()) } else { Err(StorageError::NotOwned { place: source }) }
    }

    /// How a batch relates to what is stored. A source that is not known may begin anywhere.
    pub(crate) fn position(&self, batch: &Batch) -> Result<Position, StorageError> {
        self.check_owned(batch.source)?;
        match self.next.get(&batch.source) {
            Some(stored) if batch.next <= *stored => Ok(Position::Already),
            Some(stored) if batch.first != *stored => Err(StorageError::NotContiguous {
                place: batch.source,
                first: batch.first,
                next: batch.next,
                stored: *stored,
            }),
            _ => Ok(Position::Next),
        }
    }
}

/// What was erased of each tenant: offsets whose records are never stored again, and blocks that may still be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    rows: BTreeMap<TenantId, Erasure>,
    version: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Erasure {
    /// For each source the offset before which nothing is ever stored again.
    ends: BTreeMap<Source, Offset>,
    /// The number of the first block that was made after the erasure was noted. It and all later ones hold nothing that
    /// is erased: writes and merges leave it out from then on.
    first_clean_block: u64,
}

impl Ledger {
    /// Notes that everything of `tenant` before `end` is erased, and that blocks from `first_clean_block` on are made without
    /// it; keeps the larger numbers where there are some.
    pub(crate) fn add(&mut self, tenant: &TenantId, source: Source, end: Offset, first_clean_block: u64) {
        let erasure = self.rows.entry(tenant.clone()).or_default();
        let known = erasure.ends.entry(source).or_default();
        *known = end.max(*known);
        erasure.first_clean_block = first_clean_block.max(erasure.first_clean_block);
        self.version += 1;
    }

    /// Whether an erasure covers what `tenant` has at `offset`.
    pub(crate) fn covers(&self, tenant: &TenantId, source: Source, offset: Offset) -> bool {
        self.end(tenant, source).is_some_and(|end| offset < end)
    }

    /// Whether an erasure covers what `tenant` has in a block of this number, made from these offsets. A block that was made
    /// before the erasure was noted is covered as soon as one of its ranges begins before the erased offsets.
    pub(crate) fn covers_block(&self, tenant: &TenantId, block: BlockId, provenance: &Provenance) -> bool {
        let Some(erasure) = self.rows.get(tenant) else { return false };
        let begins_before_end = |span: &Span| erasure.ends.get(&span.source).is_some_and(|end| span.first < *end);
        block.0 < erasure.first_clean_block && provenance.spans().iter().any(begins_before_end)
    }

    /// The tenants that something was erased of.
    pub(crate) fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.rows.keys()
    }

    /// For each tenant of which something of a source was erased, the offset before which nothing is stored again.
    pub(crate) fn ends_of(&self, source: Source) -> impl Iterator<Item = (&TenantId, Offset)> {
        self.rows.iter().filter_map(move |(tenant, erasure)| Some((tenant, *erasure.ends.get(&source)?)))
    }

    /// The offset before which nothing of the tenant is stored again.
    pub(crate) fn end(&self, tenant: &TenantId, source: Source) -> Option<Offset> {
        self.rows.get(tenant)?.ends.get(&source).copied()
    }

    /// Changes whenever the ledger does.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }
}
