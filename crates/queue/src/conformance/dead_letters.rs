//! Identity, lists, replay, purge.

use bytes::Bytes;
use luminate_model::{Offset, Source};

use super::{Ending, OpenQueue, QueueFactory, numbered, of, partitions, publish, read, soon, tenant};
use crate::{DeadLetter, DeadLetterFilter, DeadLetterId};

/// One source of the queue.
async fn some_source(queue: &OpenQueue) -> Source {
    publish(queue.producer.as_ref(), numbered("a", 0..1)).await[0].source
}

fn letter(source: Source, offset: u64, index: Option<u32>, tenant_name: Option<&str>, code: &str) -> DeadLetter {
    DeadLetter {
        id: DeadLetterId { source, offset: Offset(offset), index },
        code: code.to_owned(),
        detail: format!("detail of {offset}"),
        tenant: tenant_name.map(tenant),
        append_time: 1_700_000_000_000,
        key: Bytes::from_static(b"a/0"),
        headers: vec![("luminate-one".to_owned(), Bytes::from_static(b"\x00\x01"))],
        bytes: Bytes::from(format!("bytes-{offset}")),
        full_size: format!("bytes-{offset}").len() as u64,
        replayed_at: None,
    }
}

async fn all(queue: &OpenQueue, filter: &DeadLetterFilter) -> Vec<DeadLetter> {
    let page = soon(queue.dead_letters.list(filter, None, 1000)).await.unwrap();
    assert_eq!(page.after, None);
    page.letters
}

/// A dead letter that is put again is the same one: nothing is doubled, and its replay is not forgotten.
pub async fn a_second_copy_is_the_same(factory: &mut impl QueueFactory) {
    let queue = factory.open().await;
    let source = some_source(&queue).await;
    let first = letter(source, 0, None, Some("a"), "record_malformed");
    let part = letter(source, 0, Some(0), Some("a"), "invalid_name");
    queue.dead_letters.put(vec![first.clone(), part.clone()]).await.unwrap();
    queue.dead_letters.replay(first.id, 5).await.unwrap().unwrap();
    queue.dead_letters.put(vec![first.clone()]).await.unwrap();
    let marked = DeadLetter { replayed_at: Some(5), ..first };
    assert_eq!(all(&queue, &DeadLetterFilter::default()).await, [marked, part]);
}

/// Lists go by id, in pages, and show what the filter means.
pub async fn lists_are_paged_and_filtered(factory: &mut impl QueueFactory) {
    let queue = factory.open().await;
    let source = some_source(&queue).await;
    let mut letters = Vec::new();
    for offset in [0, 1, 2, 255, 256, 70_000] {
        for (index, tenant) in [(None, Some("a")), (Some(0), Some("b")), (Some(300), None)] {
            let code = if offset < 2 { "record_malformed" } else { "invalid_name" };
            letters.push(letter(source, offset, index, tenant, code));
        }
    }
    let other = Source { partition: (source.partition + 1) % super::PARTITIONS, ..source };
    letters.push(letter(other, 1, None, Some("a"), "record_malformed"));
    queue.dead_letters.put(letters.iter().rev().cloned().collect()).await.unwrap();
    letters.sort_by_key(|letter| letter.id);
    assert_eq!(all(&queue, &DeadLetterFilter::default()).await, letters);

    let filters = [
        DeadLetterFilter::default(),
        DeadLetterFilter { tenant: Some(tenant("a")), code: None },
        DeadLetterFilter { tenant: None, code: Some("invalid_name".to_owned()) },
        DeadLetterFilter { tenant: Some(tenant("b")), code: Some("record_malformed".to_owned()) },
        DeadLetterFilter { tenant: Some(tenant("nobody")), code: None },
    ];
    for filter in filters {
        let meant: Vec<_> = letters.iter().filter(|letter| filter.matches(letter)).cloned().collect();
        let mut paged = Vec::new();
        let mut after = None;
        loop {
            let page = soon(queue.dead_letters.list(&filter, after, 2)).await.unwrap();
            assert!(page.letters.len() <= 2);
            paged.extend(page.letters);
            after = page.after;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(paged, meant, "{filter:?}");
    }
}

/// A dead letter is durable once it was put.
pub async fn they_survive(factory: &mut impl QueueFactory) {
    let queue = factory.open().await;
    let source = some_source(&queue).await;
    let kept = letter(source, 0, None, None, "record_key_invalid");
    queue.dead_letters.put(vec![kept.clone()]).await.unwrap();
    let queue = factory.reopen(queue, Ending::Crash).await;
    assert_eq!(queue.dead_letters.get(kept.id).await.unwrap(), Some(kept.clone()));
    assert_eq!(queue.dead_letters.get(DeadLetterId { index: Some(1), ..kept.id }).await.unwrap(), None);
}

/// A replay is a new record of the partition that the first one came from, and is noted, durably.
pub async fn a_replay_goes_to_its_partition_and_is_marked(factory: &mut impl QueueFactory) {
    let queue = factory.open().await;
    let source = some_source(&queue).await;
    // The key is another partition's: the place of the first record decides.
    for partition in 0..super::PARTITIONS {
        let place = Source { partition, ..source };
        let wanted = letter(place, 9, None, Some("a"), "record_malformed");
        queue.dead_letters.put(vec![wanted.clone()]).await.unwrap();
        let offset = soon(queue.dead_letters.replay(wanted.id, 77)).await.unwrap().unwrap();
        assert_eq!(offset, Offset(u64::from(place == source)), "it is the partition's next record");
    }
    let mut queue = factory.reopen(queue, Ending::Crash).await;
    assert_eq!(all(&queue, &DeadLetterFilter::default()).await.len(), 3);
    assert!(all(&queue, &DeadLetterFilter::default()).await.iter().all(|letter| letter.replayed_at == Some(77)));
    let mut partitions = partitions(queue.consumer.as_mut()).await;
    for partition in 0..super::PARTITIONS {
        let place = Source { partition, ..source };
        let count = 1 + usize::from(place == source);
        let record = read(of(&mut partitions, place), count).await.pop().unwrap();
        let expected = letter(place, 9, None, None, "");
        assert_eq!((record.key, record.headers, record.value), (expected.key, expected.headers, expected.bytes));
    }
}

/// A dead letter whose bytes were cut, or that is not there, is not replayed.
pub async fn what_was_cut_is_not_replayed(factory: &mut impl QueueFactory) {
    let queue = factory.open().await;
    let source = some_source(&queue).await;
    let mut cut = letter(source, 0, None, None, "record_too_large");
    cut.full_size += 1;
    queue.dead_letters.put(vec![cut.clone()]).await.unwrap();
    assert_eq!(queue.dead_letters.replay(cut.id, 1).await.unwrap(), None);
    let unknown = DeadLetterId { index: Some(1), ..cut.id };
    assert_eq!(queue.dead_letters.replay(unknown, 1).await.unwrap(), None);
    assert_eq!(queue.dead_letters.get(cut.id).await.unwrap(), Some(cut.clone()));
    let ends = queue.admin.ends().await.unwrap();
    assert_eq!(ends.iter().map(|(_, end)| end.0).sum::<u64>(), 1, "nothing was appended");
}

/// Purging removes what the filter means, for good, and says how many that were.
pub async fn purged_ones_are_gone(factory: &mut impl QueueFactory) {
    let queue = factory.open().await;
    let source = some_source(&queue).await;
    let of_tenant = |offset, name| letter(source, offset, None, Some(name), "record_malformed");
    let letters: Vec<_> = (0..20).map(|offset| of_tenant(offset, if offset % 4 == 0 { "b" } else { "a" })).collect();
    queue.dead_letters.put(letters.clone()).await.unwrap();
    let only_a = DeadLetterFilter { tenant: Some(tenant("a")), code: None };
    assert_eq!(queue.dead_letters.purge(&only_a).await.unwrap(), 15);
    assert_eq!(queue.dead_letters.purge(&only_a).await.unwrap(), 0);
    let queue = factory.reopen(queue, Ending::Crash).await;
    let left: Vec<_> = letters.into_iter().filter(|letter| !only_a.matches(letter)).collect();
    assert_eq!(all(&queue, &DeadLetterFilter::default()).await, left);
    assert_eq!(queue.dead_letters.purge(&DeadLetterFilter::default()).await.unwrap(), 5);
    assert_eq!(all(&queue, &DeadLetterFilter::default()).await, []);
}
