//! Dead letters are bounded in bytes, and none is dropped.

use luminate_queue::{DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetters as _, QueueError};

use super::*;

fn letter(queue: &EmbeddedQueue, offset: u64, bytes: usize) -> DeadLetter {
    let source = queue.core().source(0);
    DeadLetter {
        id: DeadLetterId { source, offset: Offset(offset), index: None },
        code: if offset.is_multiple_of(2) { "a_code" } else { "b_code" }.to_owned(),
        detail: String::new(),
        tenant: None,
        append_time: 0,
        key: Bytes::new(),
        headers: Vec::new(),
        bytes: vec![7; bytes].into(),
        full_size: bytes as u64,
        replayed_at: None,
    }
}

async fn kept(queue: &EmbeddedQueue) -> Vec<u64> {
    let page = queue.list(&DeadLetterFilter::default(), None, 100).await.unwrap();
    page.letters.iter().map(|letter| letter.id.offset.0).collect()
}

fn is_full(outcome: &Result<(), QueueError>) -> bool {
    matches!(outcome, Err(error @ QueueError::DeadLettersFull { .. }) if error.is_retryable())
}

/// They are written a few at a time; what is counted is what is there, also where the last does not fit.
#[tokio::test]
async fn large_ones_are_all_kept_and_counted() {
    const SIZE: usize = 5 << 20;
    let folder = TempDir::new().unwrap();
    let open = || open_with_limits(folder.path(), |limits| limits.dead_letter_bytes = 4 * SIZE as u64);
    let queue = open();
    let letters: Vec<_> = (0..4).map(|offset| letter(&queue, offset, SIZE)).collect();
    for _ in 0..2 {
        assert!(is_full(&queue.put(letters.clone()).await));
        for letter in &letters[..3] {
            assert_eq!(queue.get(letter.id).await.unwrap().as_ref(), Some(letter));
        }
        assert_eq!(queue.get(letters[3].id).await.unwrap(), None);
        let held = queue.stats().dead_letter_bytes as usize;
        assert!((3 * SIZE..3 * SIZE + 1000).contains(&held), "{held} bytes");
    }
    let held = queue.stats().dead_letter_bytes;
    drop(queue);
    assert_eq!(open().stats().dead_letter_bytes, held, "a start finds out what is held");
}

#[tokio::test]
async fn beyond_their_bound_they_are_refused_until_some_are_purged() {
    let folder = TempDir::new().unwrap();
    let open = || open_with_limits(folder.path(), |limits| limits.dead_letter_bytes = 3500);
    let queue = open();
    let letters = |range: std::ops::Range<u64>| range.map(|offset| letter(&queue, offset, 1000)).collect::<Vec<_>>();
    assert!(queue.takes_dead_letters().is_ok());
    // Those that fit are kept; a repeat brings only what is missing.
    for _ in 0..2 {
        assert!(is_full(&queue.put(letters(0..5)).await));
        assert_eq!(kept(&queue).await, [0, 1, 2]);
    }
    assert!(queue.takes_dead_letters().unwrap_err().contains("queue.maxDeadLetterBytes is 3500"));
    queue.put(letters(0..3)).await.unwrap();
    let held = queue.stats().dead_letter_bytes;
    assert!((3000..=3500).contains(&held), "{held} bytes");
    assert!(is_full(&queue.put(letters(3..4)).await));

    let of_one_code = DeadLetterFilter { code: Some("b_code".to_owned()), ..DeadLetterFilter::default() };
    assert_eq!(queue.purge(&of_one_code).await.unwrap(), 1);
    assert!(queue.takes_dead_letters().is_ok(), "there is room");
    assert_eq!(queue.stats().dead_letter_bytes, held / 3 * 2);
    assert!(is_full(&queue.put(letters(3..5)).await));
    assert_eq!(kept(&queue).await, [0, 2, 3]);

    drop(queue);
    let queue = open();
    assert_eq!(queue.stats().dead_letter_bytes, held, "a start finds out what is held");
    assert!(is_full(&queue.put(vec![letter(&queue, 4, 1000)]).await));
    assert_eq!(queue.purge(&DeadLetterFilter::default()).await.unwrap(), 3);
    assert_eq!(queue.stats().dead_letter_bytes, 0);
    queue.put(vec![letter(&queue, 4, 10_000)]).await.unwrap();
    assert_eq!(kept(&queue).await, [4], "one is always taken, or nothing could ever help");
}

#[tokio::test]
async fn what_was_kept_before_anybody_counted_is_counted_at_a_start() {
    let folder = TempDir::new().unwrap();
    let queue = open(folder.path(), &small());
    queue.put(vec![letter(&queue, 0, 1000), letter(&queue, 1, 500)]).await.unwrap();
    let held = queue.stats().dead_letter_bytes;
    let log = &queue.core().log;
    let mut batch = rocksdb::WriteBatch::default();
    let meta = log.family(super::super::layout::META).unwrap();
    batch.delete_cf(meta, super::super::layout::DEAD_LETTER_BYTES_KEY);
    log.write_synced(batch).unwrap();
    drop(queue);
    assert_eq!(open(folder.path(), &small()).stats().dead_letter_bytes, held);
}

/// A mark takes the place of one of its size.
#[tokio::test]
async fn a_replay_takes_no_room() {
    let folder = TempDir::new().unwrap();
    let queue = open(folder.path(), &small());
    publish_one(&queue, "record").await.unwrap();
    queue.put(vec![letter(&queue, 0, 1000)]).await.unwrap();
    let held = queue.stats().dead_letter_bytes;
    assert_eq!(queue.replay(letter(&queue, 0, 0).id, 5).await.unwrap(), Some(Offset(1)));
    let marked = queue.get(letter(&queue, 0, 0).id).await.unwrap().unwrap();
    assert_eq!((marked.replayed_at, queue.stats().dead_letter_bytes), (Some(5), held));
    queue.purge(&DeadLetterFilter::default()).await.unwrap();
    assert_eq!(queue.stats().dead_letter_bytes, 0);
}
