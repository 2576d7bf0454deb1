//! What the model does not look at: how much is read.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use luminate_model::{Incarnation, Source};
use luminate_queue::Committed;
use luminate_storage::{StorageError, StoreTarget, Stored};

use super::{Action, Event, Operation, Outcome, PartitionProtocol, ProtocolRules, Ticket};
use crate::batch::BatchLimits;
use crate::decode::RecordDecoder;
use crate::error::WriterError;
use crate::schema_registry::RegisteredSchemas;
use crate::test_records::consumed;

/// Hands an event in, and all that follows from it, up to an operation of the store or a pause.
fn up_to_the_store(protocol: &mut PartitionProtocol, event: Event) -> Option<(Ticket, Operation)> {
    let mut actions = protocol.handle(event);
    loop {
        let asked = actions.into_iter().find_map(|action| match action {
            Action::Do(ticket, operation) => Some((ticket, operation)),
            Action::End(end) => panic!("the partition ended: {end:?}"),
            _ => None,
        });
        let (ticket, operation) = asked?;
        let outcome = match operation {
            Operation::FindLastBatch => Outcome::LastBatch(None),
            Operation::FindTarget => {
                Outcome::Target(StoreTarget { shard: "1".to_owned(), table: "samples".to_owned(), format: 1 })
            }
            Operation::Commit { .. } => Outcome::Committed { sent: Duration::ZERO },
            Operation::KeepDeadLetters(_) => Outcome::DeadLettersKept,
            operation => return Some((ticket, operation)),
        };
        actions = protocol.handle(Event::Done(ticket, outcome));
    }
}

#[test]
fn nothing_is_read_while_the_store_is_away() {
    let source = Source { incarnation: Incarnation([1; 16]), partition: 0 };
    let rules = ProtocolRules {
        topic: None,
        by_intent: true,
        session_timeout: None,
        limits: BatchLimits { samples: 100, bytes: 1 << 20, dead_letter_bytes: 1 << 20 },
        max_keyed_records: 10,
        first_delay: Duration::from_secs(1),
        max_delay: Duration::from_secs(4),
    };
    let decoder = RecordDecoder::new(None, Arc::new(RegisteredSchemas::new(None)));
    let mut protocol = PartitionProtocol::new(source, decoder, rules);
    let none_committed = Committed { next: None, metadata: String::new() };
    assert!(up_to_the_store(&mut protocol, Event::Begin(none_committed)).is_none());
    assert!(protocol.wants_records());
    assert!(up_to_the_store(&mut protocol, Event::Record(consumed(0, "acme/0", "no record"))).is_none());

    let (insert, operation) = up_to_the_store(&mut protocol, Event::BatchDue).unwrap();
    assert!(matches!(operation, Operation::Insert(..)), "{operation:?}");
    assert!(protocol.wants_records(), "the next batch is read while one is stored");
    let away = WriterError::Storage(StorageError::Unavailable("away".to_owned()));
    let (mut ticket, _) = up_to_the_store(&mut protocol, Event::Done(insert, Outcome::Failed(away))).unwrap();
    for _ in 0..3 {
        assert!(!protocol.wants_records(), "what is read while the store is away takes memory alone");
        let (settle, operation) = up_to_the_store(&mut protocol, Event::Done(ticket, Outcome::Waited)).unwrap();
        assert!(matches!(operation, Operation::Settle(..)), "{operation:?}");
        assert!(!protocol.wants_records(), "nobody knows yet whether the store is back");
        let away = WriterError::Storage(StorageError::Unavailable("away".to_owned()));
        (ticket, _) = up_to_the_store(&mut protocol, Event::Done(settle, Outcome::Failed(away))).unwrap();
    }
    let (settle, _) = up_to_the_store(&mut protocol, Event::Done(ticket, Outcome::Waited)).unwrap();
    up_to_the_store(&mut protocol, Event::Done(settle, Outcome::Stored(Stored::default())));
    assert!(protocol.wants_records());
}
