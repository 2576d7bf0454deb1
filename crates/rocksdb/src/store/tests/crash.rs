use luminate_storage::SampleSink;

use super::*;
use crate::store::hooks::Moment;
use crate::store::keys::{ARRIVALS, BLOCKS};

/// Copies the folder at each of the moments, and returns the copies.
fn copy_at(test: &TestStore, moments: &'static [Moment]) -> Arc<Mutex<Vec<(Moment, TempDir)>>> {
    let copies = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&copies);
    *test.store.shared.hook.lock().unwrap() = Some(Box::new(move |moment, folder| {
        if moments.contains(&moment) {
            let copy = tempfile::tempdir().unwrap();
            copy_folder(folder, copy.path());
            kept.lock().unwrap().push((moment, copy));
        }
    }));
    copies
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_merge_loses_and_doubles_nothing() {
    let test = TestStore::new();
    for at in 0..5 {
        test.store.write(batch(0, at, "acme", &rows(3000, "a"))).await.unwrap();
    }
    let expected = all(&test.store, &tenant("acme"), "cpu").await;
    let copies = copy_at(&test, &[Moment::BeforeFlip, Moment::AfterFlip]);
    test.store.merge_all().await.unwrap();
    let copies = std::mem::take(&mut *copies.lock().unwrap());
    assert_eq!(copies.len(), 2);
    for (moment, folder) in copies {
        let after = TestStore::on(folder, test.config.clone(), RetentionRules::default());
        assert!(all(&after.store, &tenant("acme"), "cpu").await == expected, "{moment:?}");
        let arrivals = after.store.stats().arrival_blocks;
        assert_eq!(arrivals > 0, moment == Moment::BeforeFlip);
        // What the crash left is removed, and the store goes on.
        after.store.write(batch(0, 5, "acme", &rows(10, "b"))).await.unwrap();
        after.store.merge_all().await.unwrap();
        let stats = after.store.stats();
        assert_eq!((stats.retired_blocks, stats.samples), (0, 15_010), "{moment:?}");
        assert_eq!(family_bytes(&after, ARRIVALS), 0);
        assert!(family_bytes(&after, BLOCKS) < stats.page_bytes + 4096, "{moment:?} {stats:?}");
        assert_eq!(count(&after.store, "acme", "cpu").await, 15_010);
    }
}

#[tokio::test]
async fn a_torn_last_write_is_as_if_it_had_not_been() {
    let test = TestStore::new();
    test.store.write(batch(0, 0, "acme", &rows(100, "a"))).await.unwrap();
    let log = |folder: &Path| {
        let logs = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut logs: Vec<_> = logs.filter(|path| path.extension().is_some_and(|e| e == "log")).collect();
        logs.sort();
        logs.pop().unwrap()
    };
    let before = std::fs::metadata(log(test.folder.path())).unwrap().len();
    test.store.write(batch(0, 1, "acme", &rows(100, "b"))).await.unwrap();
    let after = std::fs::metadata(log(test.folder.path())).unwrap().len();
    for cut in [before, before + 1, (before + after) / 2, after - 1, after] {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(test.folder.path(), folder.path());
        std::fs::OpenOptions::new().write(true).open(log(folder.path())).unwrap().set_len(cut).unwrap();
        let torn = TestStore::on(folder, test.config.clone(), RetentionRules::default());
        let next = torn.store.resume(&source(0)).await.unwrap().next.unwrap();
        assert_eq!(next, Offset(if cut == after { 2 } else { 1 }));
        assert_eq!(count(&torn.store, "acme", "cpu").await, 100 * next.0 as usize);
        // The writer repeats what was not stored.
        torn.store.write(batch(0, 1, "acme", &rows(100, "b"))).await.unwrap();
        assert_eq!(count(&torn.store, "acme", "cpu").await, 200);
    }
}
