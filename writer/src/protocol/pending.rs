//! A closed batch on its way to the store.

use std::sync::Arc;

use luminate_model::{Offset, Source};
use luminate_queue::DeadLetter;
use luminate_storage::{Batch, Permit, StoreTarget, Stored};

use super::event::{Operation, StoredBatch};
use super::metadata::{CommitMetadata, Intent};
use crate::batch::ClosedBatch;
use crate::schema_registry::NotedSchemas;

/// What is to be done next for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask where it goes.
    Target,
    /// Commit its intent, for the first time or to prolong the permit.
    Intent,
    /// Keep its dead letters.
    DeadLetters,
    /// Store it.
    Store,
}

/// A closed batch on its way to the store.
#[derive(Debug)]
pub(super) struct Pending {
    source: Source,
    first: Offset,
    next: Offset,
    samples: usize,
    /// `None` once it was handed to a store that stores in one step, which is never given the same batch twice.
    batch: Option<Arc<Batch>>,
    dead_letters: Arc<Vec<DeadLetter>>,
    repeated: u64,
    bytes: usize,
    oldest_append_time: i64,
    /// The first keyed record that was remembered when its first record was judged.
    keyed: Option<Offset>,
    /// How many keyed records were remembered at most.
    window: usize,
    /// What the registered schemas meant by which its records were judged.
    schemas: NotedSchemas,
    target: Option<StoreTarget>,
    permit: Permit,
    dead_letters_kept: bool,
    is_noted: bool,
    /// Whether something may be stored of it already.
    in_doubt: bool,
    pub(super) step: Step,
}

impl Pending {
    /// A batch that was never tried; its first step is `step`.
    pub(super) fn new(
        closed: ClosedBatch,
        keyed: Option<Offset>,
        window: usize,
        schemas: NotedSchemas,
        step: Step,
    ) -> Self {
        let ClosedBatch { dead_letters, batch, repeated, bytes, oldest_append_time } = closed;
        Self {
            source: batch.source,
            first: batch.first,
            next: batch.next,
            samples: batch.samples(),
            batch: Some(Arc::new(batch)),
            dead_letters: Arc::new(dead_letters),
            repeated,
            bytes,
            oldest_append_time,
            keyed,
            window,
            schemas,
            target: None,
            permit: Permit::unlimited(),
            dead_letters_kept: false,
            is_noted: false,
            in_doubt: false,
            step,
        }
    }

    /// The rebuilt batch of an intent that another writer, or a former life of this one, has noted.
    pub(super) fn of_intent(closed: ClosedBatch, intent: Intent) -> Self {
        let mut pending = Self::new(closed, intent.keyed, intent.window, intent.schemas, Step::Intent);
        pending.target = Some(intent.target);
        pending.in_doubt = true;
        pending.is_noted = true;
        pending
    }

    pub(super) fn next(&self) -> Offset {
        self.next
    }

    pub(super) fn set_target(&mut self, target: StoreTarget) {
        self.target = Some(target);
        self.step = Step::Intent;
    }

    /// Whether its intent is committed.
    pub(super) fn is_noted(&self) -> bool {
        self.is_noted
    }

    /// Its intent is committed, and so is everything before it.
    pub(super) fn permit(&mut self, permit: Permit) {
        self.is_noted = true;
        self.permit = permit;
        self.step = Step::DeadLetters;
    }

    pub(super) fn dead_letters_kept(&mut self) {
        self.dead_letters_kept = true;
        self.step = Step::Store;
    }

    /// The store was asked and gave no good answer. Whether anything was stored is for the next attempt to find out, under a
    /// permit of its own.
    pub(super) fn store_failed(&mut self, anything_sent: bool) {
        self.in_doubt |= anything_sent;
        self.step = Step::Intent;
    }

    /// What to do for it now; `None` where nothing is left to do.
    pub(super) fn operation(&mut self) -> Option<Operation> {
        match (self.step, &self.target) {
            (Step::Target, _) => Some(Operation::FindTarget),
            (Step::Intent, Some(target)) => Some(self.commit_intent(target.clone())),
            (Step::DeadLetters, _) if !self.dead_letters.is_empty() && !self.dead_letters_kept => {
                Some(Operation::KeepDeadLetters(Arc::clone(&self.dead_letters)))
            }
            (_, None) => self.batch.take().map(|batch| Operation::Write(Arc::unwrap_or_clone(batch))),
            (_, Some(target)) => {
                let (batch, target) = (Arc::clone(self.batch.as_ref()?), target.clone());
                let store = if self.in_doubt { Operation::Settle } else { Operation::Insert };
                Some(store(batch, target, self.permit))
            }
        }
    }

    fn commit_intent(&self, target: StoreTarget) -> Operation {
        let intent = Intent {
            to: self.next,
            incarnation: self.source.incarnation,
            target,
            window: self.window,
            keyed: self.keyed,
            schemas: self.schemas.clone(),
        };
        let metadata = CommitMetadata::Intent(intent).encode();
        Operation::Commit { next: self.first, metadata, keep_from: self.keyed }
    }

    pub(super) fn stored(self, stored: Stored) -> StoredBatch {
        StoredBatch {
            next: self.next,
            stored,
            samples: self.samples,
            bytes: self.bytes,
            oldest_append_time: self.oldest_append_time,
            repeated: self.repeated,
            dead_letters: self.dead_letters.iter().map(|letter| letter.code.clone()).collect(),
        }
    }
}
