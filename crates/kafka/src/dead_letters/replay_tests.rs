//! A replay that did not come to its end, against real brokers.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use luminate_model::TenantId;
use luminate_queue::QueueAdmin as _;

use super::*;
use crate::KafkaAdmin;
use crate::tests::{cluster, config, shared_brokers};

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_did_not_come_to_its_end_is_not_repeated_unasked() {
    let cluster = cluster(config(shared_brokers().await)).await;
    let letters = KafkaDeadLetters::new(&cluster).unwrap();
    let admin = KafkaAdmin::new(&cluster);
    let source = admin.ends().await.unwrap()[0].0;
    let id = DeadLetterId { source, offset: Offset(3), index: None };
    let letter = DeadLetter {
        id,
        code: "record_malformed".to_owned(),
        detail: "it is broken".to_owned(),
        tenant: Some(TenantId::parse("acme").unwrap()),
        append_time: 5,
        key: Bytes::from_static(b"acme/0"),
        headers: Vec::new(),
        bytes: Bytes::from_static(b"record"),
        full_size: 6,
        replayed_at: None,
    };
    letters.put(vec![letter.clone()]).await.unwrap();
    let appended = async || admin.ends().await.unwrap().iter().map(|(_, end)| end.0).sum::<u64>();

    // As it is left where the record was put back and its mark was not written.
    letters.mark(id, Some(ReplayMark::Begun)).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(letters.replay(id, 7).await, Err(QueueError::ReplayInDoubt)));
    }
    assert_eq!(appended().await, 0, "nothing is put back");
    assert_eq!(letters.get(id).await.unwrap(), Some(letter));

    letters.forget_doubtful_replay(id).await.unwrap();
    assert_eq!(letters.replay(id, 7).await.unwrap(), Some(Offset(0)));
    assert_eq!(appended().await, 1);
    assert_eq!(letters.get(id).await.unwrap().unwrap().replayed_at, Some(7));
    // Nothing is in doubt: there is nothing to forget, and another replay is the operator's wish.
    letters.forget_doubtful_replay(id).await.unwrap();
    assert_eq!(letters.get(id).await.unwrap().unwrap().replayed_at, Some(7));
    assert_eq!(letters.replay(id, 8).await.unwrap(), Some(Offset(1)));
}
