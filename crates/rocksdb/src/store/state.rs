//! What the store knows beside its blocks: how far each source is stored, and what was erased.

use std::collections::BTreeMap;
use std::time::Instant;

use luminate_model::{Offset, Source, TenantId};
use luminate_storage::{Batch, StorageError};

/// The part of the store's state that writes change, in memory as it stands in the database.
#[derive(Debug)]
pub(crate) struct State {
    /// For each source everything before this offset is stored.
    pub(crate) next: BTreeMap<Source, Offset>,
    /// What was erased.
    pub(crate) ledger: Ledger,
    /// The number that the next block gets.
    pub(crate) next_block: u64,
    /// For each source an offset before which there are no idempotency entries, so that looking for old ones does not begin
    /// at removed ones.
    pub(crate) oldest_idempotency: BTreeMap<Source, Offset>,
    /// When the last batch was stored, or the store was opened.
    pub(crate) last_stored: Instant,
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
            ledger: Ledger::default(),
            next_block: 0,
            oldest_idempotency: BTreeMap::new(),
            last_stored: Instant::now(),
        }
    }

    /// How a batch relates to what is stored. A source that is not known may begin anywhere.
    pub(crate) fn position(&self, batch: &Batch) -> Result<Position, StorageError> {
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

/// For each erased tenant and source the offset before which nothing of the tenant is ever stored again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    rows: BTreeMap<TenantId, BTreeMap<Source, Offset>>,
    version: u64,
}

impl Ledger {
    /// Notes that everything of `tenant` before `end` is erased; keeps the larger offset where there is one.
    pub(crate) fn add(&mut self, tenant: &TenantId, source: Source, end: Offset) {
        let known = self.rows.entry(tenant.clone()).or_default().entry(source).or_default();
        *known = end.max(*known);
        self.version += 1;
    }

    /// Whether an erasure covers what `tenant` has at `offset`.
    pub(crate) fn covers(&self, tenant: &TenantId, source: Source, offset: Offset) -> bool {
        self.end(tenant, source).is_some_and(|end| offset < end)
    }

    /// The offset before which nothing of the tenant is stored again.
    pub(crate) fn end(&self, tenant: &TenantId, source: Source) -> Option<Offset> {
        self.rows.get(tenant)?.get(&source).copied()
    }

    /// Changes whenever the ledger does.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }
}
