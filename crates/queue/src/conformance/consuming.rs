//! Polls, seeks, commits, offsets over restarts, closing.

use std::time::Duration;

use bytes::Bytes;
use luminate_model::Offset;

use super::{Ending, QueueFactory, is_out_of_range, numbered, of, offsets, partitions, publish, read, record, soon};
use crate::QueueError;

/// Key, headers and value come out as they went in, empty and binary ones too.
pub async fn what_was_published_is_what_is_read(factory: &mut impl QueueFactory) {
    let mut queue = factory.open().await;
    let mut rich = record("a", (0..=255).collect::<Vec<u8>>());
    rich.headers = vec![
        ("luminate-one".to_owned(), Bytes::from_static(b"\x00\xff")),
        ("luminate-two".to_owned(), Bytes::new()),
        ("luminate-one".to_owned(), Bytes::from_static(b"again")),
    ];
    let placements = publish(queue.producer.as_ref(), vec![rich.clone(), record("a", "")]).await;
    let mut partitions = partitions(queue.consumer.as_mut()).await;
    let read = read(of(&mut partitions, placements[0].source), 2).await;
    assert_eq!((read[0].key.as_ref(), &read[0].headers, &read[0].value), (&b"a/0"[..], &rich.headers, &rich.value));
    assert_eq!((read[1].headers.len(), read[1].value.len()), (0, 0));
}

/// Append times of a partition never decrease, also over a restart.
pub async fn append_times_never_decrease(factory: &mut impl QueueFactory) {
    let queue = factory.open().await;
    for number in 0..10 {
        publish(queue.producer.as_ref(), numbered("a", number..number + 1)).await;
    }
    let mut queue = factory.reopen(queue, Ending::Crash).await;
    let source = publish(queue.producer.as_ref(), numbered("a", 10..12)).await[0].source;
    let mut partitions = partitions(queue.consumer.as_mut()).await;
    let times: Vec<_> = read(of(&mut partitions, source), 12).await.iter().map(|record| record.append_time).collect();
    assert!(times.is_sorted() && times[0] > 0, "{times:?}");
}

/// A poll returns about as many bytes as asked for, and one record where that is larger.
pub async fn polls_are_bounded(factory: &mut impl QueueFactory) {
    let mut queue = factory.open().await;
    let records: Vec<_> = (0..20).map(|_| record("a", vec![0; 1000])).collect();
    let source = publish(queue.producer.as_ref(), records).await[0].source;
    let mut partitions = partitions(queue.consumer.as_mut()).await;
    let partition = of(&mut partitions, source);
    assert_eq!(soon(partition.poll(1)).await.unwrap().len(), 1);
    let some = soon(partition.poll(5000)).await.unwrap();
    assert!((1..=5).contains(&some.len()), "{} records for 5000 bytes", some.len());
    let rest = soon(partition.poll(usize::MAX)).await.unwrap();
    assert_eq!(rest.first().unwrap().offset, some.last().unwrap().offset.next());
}

/// A poll of an empty partition waits, and returns when a record comes.
pub async fn polls_wait_for_records(factory: &mut impl QueueFactory) {
    let mut queue = factory.open().await;
    let mut partitions = partitions(queue.consumer.as_mut()).await;
    let waiting: Vec<_> =
        partitions.drain(..).map(|mut partition| tokio::spawn(async move { partition.poll(1000).await })).collect();
    tokio::task::yield_now().await;
    assert!(waiting.iter().all(|poll| !poll.is_finished()));
    let placement = publish(queue.producer.as_ref(), numbered("a", 0..1)).await[0];
    let records = soon(waiting.into_iter().nth(placement.source.partition as usize).unwrap()).await.unwrap().unwrap();
    assert_eq!(records[0].offset, placement.offset);
}

/// Polls that are cancelled at any moment lose no record and repeat none.
pub async fn cancelled_polls_lose_nothing(factory: &mut impl QueueFactory) {
    let mut queue = factory.open().await;
    let mut partitions = partitions(queue.consumer.as_mut()).await;
    let source = publish(queue.producer.as_ref(), numbered("a", 0..1)).await[0].source;
    let partition = of(&mut partitions, source);
    let producer = queue.producer.clone();
    let publishing = tokio::spawn(async move {
        for number in 1..200 {
            publish(producer.as_ref(), numbered("a", number..number + 1)).await;
        }
    });
    let mut read = Vec::new();
    let mut turn = 0_u64;
    while read.len() < 200 {
        turn += 1;
        let patience = Duration::from_micros(turn % 7 * 40);
        if let Ok(records) = tokio::time::timeout(patience, partition.poll(200)).await {
            read.extend(records.unwrap().into_iter().map(|record| record.offset.0));
        }
        assert!(turn < 1_000_000, "records are missing after {}", read.len());
    }
    soon(publishing).await.unwrap();
    assert!(read.into_iter().eq(0..200));
}

/// Seeking works to where records are and to the end; what is gone or never was is refused.
pub async fn seeks_go_where_records_are(factory: &mut impl QueueFactory) {
    let mut queue = factory.open().await;
    let source = publish(queue.producer.as_ref(), numbered("a", 0..10)).await[0].source;
    let mut partitions = partitions(queue.consumer.as_mut()).await;
    let partition = of(&mut partitions, source);
    read(partition, 10).await;
    partition.seek(Offset(4)).await.unwrap();
    assert_eq!(read(partition, 6).await[0].offset, Offset(4));
    partition.seek(Offset(10)).await.unwrap();
    assert!(is_out_of_range(partition.seek(Offset(11)).await, Offset(11)), "never was");
    partition.commit(Offset(6), "").await.unwrap();
    partition.seek(Offset(6)).await.unwrap();
    assert_eq!(read(partition, 4).await[0].offset, Offset(6));
}

/// Next offset and metadata of the last commit are found at the next assignment, and there the records go on.
pub async fn commits_survive_with_their_metadata(factory: &mut impl QueueFactory) {
    let mut queue = factory.open().await;
    let source = publish(queue.producer.as_ref(), numbered("a", 0..10)).await[0].source;
    {
        let mut partitions = partitions(queue.consumer.as_mut()).await;
        for partition in &partitions {
            assert_eq!(partition.committed().next, None);
            assert_eq!(partition.committed().metadata, "");
        }
        let partition = of(&mut partitions, source);
        read(partition, 10).await;
        partition.commit(Offset(3), "first").await.unwrap();
        partition.commit(Offset(7), "{\"open\":9}").await.unwrap();
    }
    let mut queue = factory.reopen(queue, Ending::Close).await;
    let mut partitions = partitions(queue.consumer.as_mut()).await;
    let partition = of(&mut partitions, source);
    assert_eq!(partition.committed().next, Some(Offset(7)));
    assert_eq!(partition.committed().metadata, "{\"open\":9}");
    assert_eq!(read(partition, 3).await[0].offset, Offset(7));
}

/// After everything was consumed and committed, offsets go on where they were.
pub async fn offsets_go_on_after_a_close(factory: &mut impl QueueFactory) {
    offsets_go_on(factory, Ending::Close).await;
}

/// The same where the process was killed.
pub async fn offsets_go_on_after_a_crash(factory: &mut impl QueueFactory) {
    offsets_go_on(factory, Ending::Crash).await;
}

async fn offsets_go_on(factory: &mut impl QueueFactory, ending: Ending) {
    let mut queue = factory.open().await;
    let mut next = 0;
    for _ in 0..3 {
        let placements = publish(queue.producer.as_ref(), numbered("a", 0..5)).await;
        assert_eq!(offsets(&placements), (next..next + 5).collect::<Vec<_>>(), "no offset is used twice");
        next += 5;
        {
            let mut partitions = partitions(queue.consumer.as_mut()).await;
            let partition = of(&mut partitions, placements[0].source);
            partition.seek(placements[0].offset).await.unwrap();
            read(partition, 5).await;
            partition.commit(Offset(next), "").await.unwrap();
        }
        queue.admin.scrub().await.unwrap();
        queue = factory.reopen(queue, ending).await;
    }
}

/// Acknowledged records that nobody read are there after a crash.
pub async fn unread_records_survive(factory: &mut impl QueueFactory) {
    let queue = factory.open().await;
    let source = publish(queue.producer.as_ref(), numbered("a", 0..50)).await[0].source;
    let mut queue = factory.reopen(queue, Ending::Crash).await;
    let mut partitions = partitions(queue.consumer.as_mut()).await;
    let read = read(of(&mut partitions, source), 50).await;
    assert!(read.iter().zip(0..).all(|(record, number)| record.value == format!("a-{number}")));
}

/// Operators see every partition with its end, and so does the consumer.
pub async fn ends_are_told(factory: &mut impl QueueFactory) {
    let mut queue = factory.open().await;
    let source = publish(queue.producer.as_ref(), numbered("a", 0..5)).await[0].source;
    let partitions = partitions(queue.consumer.as_mut()).await;
    let mut ends = queue.admin.ends().await.unwrap();
    ends.sort();
    let known = || {
        let mut known: Vec<_> = partitions.iter().map(|partition| (partition.source(), partition.end())).collect();
        known.sort();
        known
    };
    // A service's consumer looks every now and then.
    soon(async {
        while factory.is_service() && known() != ends {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(known(), ends);
    assert!(ends.iter().all(|(place, end)| end.0 == if *place == source { 5 } else { 0 }), "{ends:?}");
}

/// A queue that was closed takes nothing more, gives what is left (unless that stays with a service), and then says that it is
/// closed.
pub async fn a_closed_queue_gives_what_is_left(factory: &mut impl QueueFactory) {
    let mut queue = factory.open().await;
    let mut partitions = partitions(queue.consumer.as_mut()).await;
    let source = publish(queue.producer.as_ref(), numbered("a", 0..5)).await[0].source;
    let (with, without): (Vec<_>, Vec<_>) = partitions.drain(..).partition(|partition| partition.source() == source);
    let waiting: Vec<_> =
        without.into_iter().map(|mut partition| tokio::spawn(async move { partition.poll(1000).await })).collect();
    tokio::task::yield_now().await;
    soon(factory.close()).await;
    for poll in waiting {
        assert!(matches!(soon(poll).await.unwrap(), Err(QueueError::Closed)), "a waiting poll ends");
    }
    let mut partition = with.into_iter().next().unwrap();
    if !factory.is_service() {
        read(partition.as_mut(), 5).await;
    }
    assert!(matches!(soon(partition.poll(1000)).await, Err(QueueError::Closed)));
    assert!(matches!(soon(queue.consumer.assignment()).await, Err(QueueError::Closed)));
    let refused = soon(queue.producer.publish(numbered("a", 5..6))).await.remove(0).unwrap_err();
    assert_eq!(refused.code(), "queue_unavailable");
    assert!(queue.producer.available().is_err());
}
