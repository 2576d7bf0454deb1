//! Many clients share a sync.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_clients_share_syncs() {
    let folder = TempDir::new().unwrap();
    let queue = open(folder.path(), &small());
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let queue = queue.clone();
        clients.spawn(async move {
            for _ in 0..20 {
                publish_one(&queue, vec![7; 1000]).await.unwrap();
            }
        });
    }
    clients.join_all().await;
    let stats = queue.stats();
    assert_eq!((stats.publishes, stats.records), (64 * 20, 64 * 20));
    let share = stats.syncs as f64 / stats.publishes as f64;
    assert!(share < 0.3, "{share} syncs a publish");
}

#[tokio::test]
async fn one_client_waits_for_no_other() {
    let folder = TempDir::new().unwrap();
    let queue = open(folder.path(), &small());
    for _ in 0..10 {
        publish_one(&queue, "alone").await.unwrap();
    }
    assert_eq!(queue.stats().syncs, 10, "each answer follows its own sync");
}
