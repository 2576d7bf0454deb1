use luminate_storage::{Erased, IdempotencyEntry, NotedErasure, SampleSink, Stored};

use super::*;
use crate::store::hooks::Moment;

const MARKER: &str = "MARKER-of-the-erased";

/// Whether some file below a folder holds these bytes.
fn found_in_files(folder: &Path, marker: &[u8]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(found_in_files(&path, marker));
        } else if std::fs::read(&path).unwrap().windows(marker.len()).any(|window| window == marker) {
            found.push(path);
        }
    }
    found
}

/// An erasure of all that is stored.
fn all_of(name: &str) -> NotedErasure {
    NotedErasure { tenant: tenant(name), up_to: Vec::new() }
}

fn marked(count: usize) -> Vec<Row> {
    let row = |at: usize| ("MARKER-of-the-erased", NOW - at as i64, at as f64, format!("{MARKER}-{at}"));
    (0..count).map(row).collect()
}

#[tokio::test]
async fn an_erased_tenant_is_in_no_file() {
    let test = TestStore::new();
    let (mine, others) = (marked(300), rows(300, "a"));
    test.store.write(batch_of(0, 0, &[("gone", 0, &mine), ("acme", 0, &others)])).await.unwrap();
    test.store.merge_all().await.unwrap();
    let mut second = batch_of(0, 2, &[("gone", 0, &mine), ("acme", 0, &others)]);
    second.idempotency = vec![IdempotencyEntry {
        tenant: tenant("gone"),
        key: u128::from_be_bytes(*b"MARKER-of-the-er"),
        part: 0,
        body: 1,
        append_time: NOW,
        offset: Offset(2),
    }];
    test.store.write(second).await.unwrap();
    assert!(!found_in_files(test.folder.path(), MARKER.as_bytes()).is_empty(), "the test would find it");

    let erased = test.store.erase(&tenant("gone"), &[(source(0), Offset(4))]).await.unwrap();
    assert_eq!(erased, Erased { samples: 600 });
    assert_eq!(count(&test.store, "gone", MARKER).await, 0);
    assert_eq!(count(&test.store, "acme", "cpu").await, 600);
    assert_eq!(found_in_files(test.folder.path(), b"MARKER-of-the-er"), [] as [std::path::PathBuf; 0]);
    assert_eq!(test.store.resume(&source(0)).await.unwrap().idempotency, []);

    let test = test.reopen().await;
    assert_eq!(count(&test.store, "gone", MARKER).await, 0);
    assert_eq!(count(&test.store, "acme", "cpu").await, 600);
    assert_eq!(test.store.erase(&tenant("gone"), &[]).await.unwrap(), Erased::default());
}

#[tokio::test]
async fn replays_do_not_bring_back_what_was_erased() {
    let test = TestStore::new();
    let (mine, others) = (marked(10), rows(10, "a"));
    test.store.write(batch_of(0, 0, &[("gone", 0, &mine)])).await.unwrap();
    // The ledger reaches beyond what is stored: records that wait in the queue are covered as well.
    test.store.erase(&tenant("gone"), &[(source(0), Offset(3))]).await.unwrap();
    let test = test.reopen().await;
    let replay = batch_of(0, 1, &[("gone", 0, &mine), ("acme", 0, &others), ("gone", 0, &mine)]);
    let stored = test.store.write(replay).await.unwrap();
    assert_eq!(stored, Stored { already: false, samples: 20, erased: 10 });
    assert_eq!(count(&test.store, "gone", MARKER).await, 10, "what came after the erasure is kept");
    assert_eq!(count(&test.store, "acme", "cpu").await, 10);
}

#[tokio::test]
async fn what_a_tenant_sends_after_its_erasure_survives_it() {
    let test = TestStore::new();
    test.store.write(batch_of(0, 0, &[("gone", 0, &marked(10))])).await.unwrap();
    test.store.write(batch_of(0, 1, &[("gone", 0, &marked(20))])).await.unwrap();
    let erased = test.store.erase(&tenant("gone"), &[(source(0), Offset(1))]).await.unwrap();
    assert_eq!(erased, Erased { samples: 10 });
    assert_eq!(count(&test.store, "gone", MARKER).await, 20);
}

#[tokio::test]
async fn a_crash_in_the_middle_of_an_erasure_is_mended_by_a_repeat() {
    let test = TestStore::new();
    test.store.write(batch_of(0, 0, &[("gone", 0, &marked(100)), ("acme", 0, &rows(100, "a"))])).await.unwrap();
    let copies = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&copies);
    *test.store.shared.hook.lock().unwrap() = Some(Box::new(move |moment, folder| {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder, copy.path());
        kept.lock().unwrap().push((moment, copy));
    }));
    test.store.erase(&tenant("gone"), &[]).await.unwrap();
    let copies = std::mem::take(&mut *copies.lock().unwrap());
    let moments: Vec<Moment> = copies.iter().map(|(moment, _)| *moment).collect();
    assert_eq!(moments, [Moment::ErasureNoted, Moment::BeforeFlip, Moment::AfterFlip]);
    for (moment, folder) in copies {
        let after = TestStore::on(folder, test.config.clone(), RetentionRules::default());
        after.store.erase(&tenant("gone"), &[]).await.unwrap();
        assert_eq!(count(&after.store, "gone", MARKER).await, 0, "{moment:?}");
        assert_eq!(count(&after.store, "acme", "cpu").await, 100, "{moment:?}");
        assert_eq!(found_in_files(after.folder.path(), MARKER.as_bytes()).len(), 0, "{moment:?}");
    }
}

#[tokio::test]
async fn erasing_waits_for_queries_that_still_read() {
    let test = TestStore::new();
    test.store.write(batch_of(0, 0, &[("gone", 0, &marked(100))])).await.unwrap();
    let held = test.store.shared.directory();
    let gone = tenant("gone");
    let mut erasing = Box::pin(test.store.erase(&gone, &[]));
    let waits = tokio::time::timeout(Duration::from_millis(300), &mut erasing).await;
    assert!(waits.is_err(), "a query holds the erased block");
    drop(held);
    erasing.await.unwrap();
    assert_eq!(found_in_files(test.folder.path(), MARKER.as_bytes()).len(), 0);
}

#[tokio::test]
async fn merges_finish_an_erasure_that_was_cut_short_and_take_nothing_newer() {
    let test = TestStore::new();
    test.store.write(batch_of(0, 0, &[("gone", 0, &marked(10)), ("acme", 0, &rows(10, "a"))])).await.unwrap();
    // As a crash right after the ledger was written leaves it.
    test.store.shared.note_erasure(&all_of("gone")).unwrap();
    test.store.write(batch_of(0, 2, &[("gone", 0, &marked(20))])).await.unwrap();
    let test = test.reopen().await;
    test.store.merge_all().await.unwrap();
    assert_eq!(count(&test.store, "gone", MARKER).await, 20, "the older ten are gone, the newer twenty are there");
    assert_eq!(count(&test.store, "acme", "cpu").await, 10);
    let test = test.reopen().await;
    test.store.merge_all().await.unwrap();
    assert_eq!(count(&test.store, "gone", MARKER).await, 20);
}

#[tokio::test]
async fn an_erasure_noted_during_a_merge_is_not_undone_by_it_and_takes_nothing_newer() {
    let test = TestStore::new();
    test.store.write(batch_of(0, 0, &[("gone", 0, &marked(10)), ("acme", 0, &rows(10, "a"))])).await.unwrap();
    let shared = Arc::clone(&test.store.shared);
    let newer = Mutex::new(Some(batch_of(0, 2, &[("gone", 0, &marked(20))])));
    *test.store.shared.hook.lock().unwrap() = Some(Box::new(move |moment, _| {
        let newer = newer.lock().unwrap().take();
        if let (Moment::BeforeFlip, Some(newer)) = (moment, newer) {
            let before = shared.state().ledger.version();
            // A thread of its own: the hook is held while it runs, and noting an erasure looks for it.
            let erasing = Arc::clone(&shared);
            std::thread::spawn(move || erasing.note_erasure(&all_of("gone")).unwrap());
            while shared.state().ledger.version() == before {
                std::thread::yield_now();
            }
            shared.write(newer).unwrap();
        }
    }));
    test.store.merge_all().await.unwrap();
    assert_eq!(count(&test.store, "gone", MARKER).await, 20, "the older ten are gone, the newer twenty are there");
    assert_eq!(count(&test.store, "acme", "cpu").await, 10);
    // The hook holds the store.
    *test.store.shared.hook.lock().unwrap() = None;
    let test = test.reopen().await;
    assert_eq!(count(&test.store, "gone", MARKER).await, 20);
}

/// Between noting and removing, merges do the same work; what they take is counted all the same. After a restart nobody
/// knows what was there.
#[tokio::test]
async fn the_count_of_an_erasure_has_what_merges_took() {
    let test = TestStore::new();
    test.store.write(batch_of(0, 0, &[("gone", 0, &marked(10)), ("acme", 0, &rows(10, "a"))])).await.unwrap();
    test.store.note_erasure(&all_of("gone")).await.unwrap();
    test.store.merge_all().await.unwrap();
    assert_eq!(test.store.remove_erased(&tenant("gone")).await.unwrap(), Erased { samples: 10 });
    test.store.write(batch_of(0, 2, &[("gone", 0, &marked(20))])).await.unwrap();
    // Two in a row: each sample is counted once.
    test.store.note_erasure(&all_of("gone")).await.unwrap();
    test.store.write(batch_of(0, 3, &[("gone", 0, &marked(5))])).await.unwrap();
    test.store.note_erasure(&all_of("gone")).await.unwrap();
    assert_eq!(test.store.remove_erased(&tenant("gone")).await.unwrap(), Erased { samples: 25 });
    assert_eq!(test.store.remove_erased(&tenant("gone")).await.unwrap(), Erased { samples: 0 });
    let test = test.reopen().await;
    assert_eq!(test.store.unfinished_erasures().await.unwrap(), [all_of("gone")], "nobody said that it is finished");
}
