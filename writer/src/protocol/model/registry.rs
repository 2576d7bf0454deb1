//! A schema registry that changes its mind, and is away at times.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use luminate_schemas::{PublishedSchema, UnusableSchema};

use super::log::SCHEMA;
use crate::schema_registry::{Lookup, SchemaRegistry, SchemaRegistryError};

/// Knows the only schema, or does not, or is away. Each writer asks it once.
#[derive(Default)]
pub(super) struct Registry {
    knows: AtomicBool,
    is_there: AtomicBool,
}

impl Registry {
    pub(super) fn set(&self, knows: bool, is_there: bool) {
        self.knows.store(knows, Ordering::Relaxed);
        self.is_there.store(is_there, Ordering::Relaxed);
    }
}

#[async_trait]
impl SchemaRegistry for Registry {
    async fn look_up(&self, id: u32) -> Result<Lookup, SchemaRegistryError> {
        assert_eq!(id, SCHEMA);
        if !self.is_there.load(Ordering::Relaxed) {
            return Err(SchemaRegistryError { id, reason: "away".to_owned() });
        }
        let knows = self.knows.load(Ordering::Relaxed);
        Ok(if knows { Ok(PublishedSchema::SampleRowsV1) } else { Err(UnusableSchema::NotRegistered) })
    }
}

/// What a future comes to that waits for nothing.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("it waits"),
    }
}
