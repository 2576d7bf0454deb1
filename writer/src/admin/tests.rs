//! Operators' requests, over a writer that runs in memory.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use luminate_model::{Offset, Receipt};
use luminate_queue::memory::{MemoryQueue, MemoryQueueConfig};
use luminate_queue::{
    DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterPage, DeadLetters as _, QueueAdmin, QueueError,
};
use luminate_runtime::http::Authenticator;
use luminate_storage::{NotedErasure, ReachError, SampleSink as _, StorageError, Watermarks};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Admin, AdminParts, routes, test_tokens};
use crate::config::WriterConfig;
use crate::pipeline_tests::{Running, TestSink, one_partition, publish, record};
use crate::progress::Progress;
use crate::test_records::{columns, consumed, tenant};

const OPERATOR: &str = "operator";
const ADMIN: &str = "admin:acme";
const STRANGER: &str = "admin:other";
const LETTERS: &str = "/api/v1/admin/dead-letters";

/// A writer with one dead letter of the tenant `acme`, and one of nobody.
async fn with_dead_letters() -> Running {
    let running = Running::start(one_partition(), TestSink::new(), WriterConfig::default());
    running.queue.append_raw(0, consumed(0, "acme/0", "of acme")).unwrap();
    running.queue.append_raw(0, consumed(0, "no key", "of nobody")).unwrap();
    running.drained().await;
    running
}

async fn ask(routes: &Router, method: &str, path: &str, token: &str, body: Option<Value>) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
    let body = body.map(|body| Body::from(body.to_string())).unwrap_or_default();
    let response = routes.clone().oneshot(request.body(body).unwrap()).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap())
}

async fn get(running: &Running, path: &str, token: &str) -> (StatusCode, Value) {
    ask(&running.writer.admin, "GET", path, token, None).await
}

async fn post(running: &Running, path: &str, token: &str, body: Value) -> (StatusCode, Value) {
    ask(&running.writer.admin, "POST", path, token, Some(body)).await
}

/// The path of the dead letter of this offset.
fn letter_path(running: &Running, offset: u64) -> String {
    let id = format!("{}/{offset}/-", running.queue.source(0));
    format!("{LETTERS}/{}", id.replace('/', "%2F"))
}

fn codes_of(list: &Value) -> Vec<&str> {
    list["deadLetters"].as_array().unwrap().iter().map(|letter| letter["code"].as_str().unwrap()).collect()
}

async fn letters_left(queue: &MemoryQueue) -> usize {
    queue.list(&DeadLetterFilter::default(), None, 100).await.unwrap().letters.len()
}

#[tokio::test(start_paused = true)]
async fn every_route_wants_a_token_that_may() {
    let running = with_dead_letters().await;
    let letter = letter_path(&running, 0);
    let routes = [
        ("GET", LETTERS.to_owned()),
        ("GET", letter.clone()),
        ("POST", format!("{letter}/replay")),
        ("POST", format!("{LETTERS}/purge")),
        ("POST", "/api/v1/admin/erase".to_owned()),
        ("GET", "/api/v1/admin/erase/1".to_owned()),
        ("GET", "/api/v1/admin/watermarks".to_owned()),
    ];
    for (method, path) in routes {
        for (token, status, code) in [
            ("nonsense", StatusCode::UNAUTHORIZED, "token_signature_invalid"),
            ("read:acme", StatusCode::FORBIDDEN, "scope_missing"),
            ("write:acme", StatusCode::FORBIDDEN, "scope_missing"),
        ] {
            let (answered, problem) = ask(&running.writer.admin, method, &path, token, None).await;
            assert_eq!((answered, problem["code"].as_str()), (status, Some(code)), "{method} {path} {token}");
        }
    }
    assert_eq!(letters_left(&running.queue).await, 2);
}

#[tokio::test(start_paused = true)]
async fn lists_show_what_the_token_may_see() {
    let running = with_dead_letters().await;
    let (status, list) = get(&running, LETTERS, OPERATOR).await;
    assert_eq!((status, codes_of(&list)), (StatusCode::OK, vec!["record_malformed", "record_key_invalid"]));
    assert_eq!(codes_of(&get(&running, LETTERS, ADMIN).await.1), ["record_malformed"]);
    assert_eq!(codes_of(&get(&running, LETTERS, STRANGER).await.1), [""; 0]);
    let named = format!("{LETTERS}?tenant=acme");
    assert_eq!(codes_of(&get(&running, &named, OPERATOR).await.1), ["record_malformed"]);
    assert_eq!(get(&running, &named, STRANGER).await.1["code"], "tenant_forbidden");
    let by_code = format!("{LETTERS}?code=record_key_invalid");
    assert_eq!(codes_of(&get(&running, &by_code, OPERATOR).await.1), ["record_key_invalid"]);

    let (_, first) = get(&running, &format!("{LETTERS}?limit=1"), OPERATOR).await;
    assert_eq!(codes_of(&first), ["record_malformed"]);
    let after = first["after"].as_str().unwrap();
    let (_, rest) = get(&running, &format!("{LETTERS}?limit=1&after={after}"), OPERATOR).await;
    assert_eq!((codes_of(&rest), rest.get("after")), (vec!["record_key_invalid"], None));

    for bad in ["limit=x", "after=nonsense", "tenant=a/b", "unknown=1"] {
        let (status, problem) = get(&running, &format!("{LETTERS}?{bad}"), OPERATOR).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("admin_request_invalid")), "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_shown_whole_to_its_own() {
    let running = with_dead_letters().await;
    let (status, letter) = get(&running, &letter_path(&running, 0), ADMIN).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(letter["bytes"], "b2YgYWNtZQ==");
    assert_eq!((&letter["tenant"], &letter["size"], &letter["cut"]), (&json!("acme"), &json!(7), &json!(false)));
    for (path, token) in
        [(letter_path(&running, 0), STRANGER), (letter_path(&running, 1), ADMIN), (letter_path(&running, 7), OPERATOR)]
    {
        let (status, problem) = get(&running, &path, token).await;
        assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("dead_letter_unknown")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_puts_the_record_back() {
    let running = with_dead_letters().await;
    let replay = format!("{}/replay", letter_path(&running, 0));
    assert_eq!(post(&running, &replay, STRANGER, json!({})).await.1["code"], "dead_letter_unknown");
    let (status, replayed) = post(&running, &replay, ADMIN, json!({})).await;
    let source = running.queue.source(0).to_string();
    assert_eq!((status, replayed), (StatusCode::OK, json!({ "source": source, "offset": 2 })));
    running.drained().await;
    let (_, list) = get(&running, LETTERS, ADMIN).await;
    assert_eq!(codes_of(&list), ["record_malformed"; 2], "it is as broken as before");
    assert_eq!(list["deadLetters"][0]["replayedAt"], 1_700_000_000_000_i64);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_was_cut_is_not_replayed() {
    let mut config = WriterConfig::default();
    config.dead_letters.max_bytes = luminate_runtime::config::ByteSize::bytes(3);
    let running = Running::start(one_partition(), TestSink::new(), config);
    running.queue.append_raw(0, consumed(0, "acme/0", "of acme")).unwrap();
    running.drained().await;
    let (status, problem) = post(&running, &format!("{}/replay", letter_path(&running, 0)), ADMIN, json!({})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("dead_letter_cut")));
}

#[tokio::test(start_paused = true)]
async fn a_purge_removes_ones_own() {
    let running = with_dead_letters().await;
    let purge = format!("{LETTERS}/purge");
    assert_eq!(post(&running, &purge, STRANGER, json!({ "tenant": "acme" })).await.1["code"], "tenant_forbidden");
    assert_eq!(post(&running, &purge, STRANGER, json!({})).await.1, json!({ "purged": 0 }));
    assert_eq!(post(&running, &purge, ADMIN, json!({ "code": "record_key_invalid" })).await.1["purged"], 0);
    assert_eq!(post(&running, &purge, ADMIN, json!({ "tenant": null, "code": null })).await.1["purged"], 1);
    let (status, problem) = post(&running, &purge, OPERATOR, json!({ "tenants": "acme" })).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("admin_request_invalid")));
    assert_eq!(post(&running, &purge, OPERATOR, json!({})).await.1["purged"], 1);
    assert_eq!(letters_left(&running.queue).await, 0);
}

#[tokio::test(start_paused = true)]
async fn watermarks_tell_how_far_each_source_is() {
    let running = with_dead_letters().await;
    publish(&running.queue, vec![record(&[1])]).await;
    let (status, answer) = get(&running, "/api/v1/admin/watermarks", OPERATOR).await;
    let source = running.queue.source(0).to_string();
    let expected = json!({
        "source": source, "stored": 2, "end": 3, "lag": 1, "here": true, "oldestOpen": null, "stopped": false,
    });
    assert_eq!((status, answer), (StatusCode::OK, json!({ "sources": [expected] })));
}

/// What a group of writers has committed, or that it cannot be told.
struct Group(Result<Receipt, String>);

#[async_trait]
impl Watermarks for Group {
    async fn watermark(&self) -> Result<Receipt, StorageError> {
        self.0.clone().map_err(StorageError::Unavailable)
    }

    async fn reach(&self, _: &Receipt) -> Result<(), ReachError> {
        std::future::pending().await
    }
}

/// The routes of a writer without partitions, in a group that has committed this.
fn routes_in_group(queue: &MemoryQueue, group: Group) -> Router {
    let parts = AdminParts {
        dead_letters: Arc::new(queue.clone()),
        queue: Arc::new(queue.clone()),
        sink: TestSink::new(),
        progress: Progress::default(),
        watermarks: Some(Arc::new(group)),
        clock: Arc::new(|| 0),
    };
    routes(Admin::new(Authenticator::new(test_tokens::verifier()), parts))
}

#[tokio::test(start_paused = true)]
async fn watermarks_of_other_writers_partitions_are_the_groups() {
    let queue = one_partition();
    publish(&queue, vec![record(&[1]), record(&[2]), record(&[3])]).await;
    let mut committed = Receipt::default();
    committed.add(queue.source(0), Offset(2));
    let path = "/api/v1/admin/watermarks";
    let (status, answer) = ask(&routes_in_group(&queue, Group(Ok(committed))), "GET", path, OPERATOR, None).await;
    let expected = json!({
        "source": queue.source(0).to_string(), "stored": 2, "end": 3, "lag": 1, "here": false, "oldestOpen": null,
        "stopped": null,
    });
    assert_eq!((status, answer), (StatusCode::OK, json!({ "sources": [expected] })));

    let away = routes_in_group(&queue, Group(Err("broker-1:9092".to_owned())));
    let (status, problem) = ask(&away, "GET", path, OPERATOR, None).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("admin_queue_unavailable")));
    assert!(!problem.to_string().contains("broker-1"));
}

/// Asks until the erasure has ended.
async fn ended(running: &Running, id: &str) -> Value {
    for _ in 0..1000 {
        let (_, erasure) = get(running, &format!("/api/v1/admin/erase/{id}"), OPERATOR).await;
        if erasure["status"] != "running" {
            return erasure;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the erasure does not end");
}

#[tokio::test(start_paused = true)]
async fn an_erasure_takes_what_is_stored_queued_and_dead() {
    let running = with_dead_letters().await;
    publish(&running.queue, vec![record(&[1, 2])]).await;
    running.drained().await;
    // These are in the queue when the erasure begins.
    publish(&running.queue, vec![record(&[3])]).await;
    running.queue.append_raw(0, consumed(0, "acme/0", "dead in the queue")).unwrap();
    let other =
        luminate_queue::Record { key: luminate_queue::RecordKey { tenant: tenant("other"), shard: 0 }, ..record(&[7]) };
    publish(&running.queue, vec![other]).await;

    let held = running.sink.removing.write().await;
    let (status, begun) = post(&running, "/api/v1/admin/erase", ADMIN, json!({ "tenant": "acme" })).await;
    assert_eq!((status, &begun["status"]), (StatusCode::ACCEPTED, &json!("running")));
    let id = begun["id"].as_str().unwrap();
    let replay = post(&running, &format!("{}/replay", letter_path(&running, 0)), ADMIN, json!({})).await;
    assert_eq!((replay.0, &replay.1["code"]), (StatusCode::CONFLICT, &json!("erasure_running")));
    drop(held);

    let erasure = ended(&running, id).await;
    // Two were stored; the third vanished when its turn came.
    assert_eq!((&erasure["status"], &erasure["samples"]), (&json!("done"), &json!(2)));
    assert_eq!(running.lifecycle.metrics().samples_erased.get(), 1);
    assert_eq!(erasure["deadLetters"], 2);
    assert!(running.sink.store.samples(&tenant("acme")).is_empty());
    assert_eq!(running.sink.store.samples(&tenant("other")).len(), 1);
    assert_eq!(letters_left(&running.queue).await, 1, "nobody's");

    publish(&running.queue, vec![record(&[4])]).await;
    running.drained().await;
    assert_eq!(running.sink.store.samples(&tenant("acme")).len(), 1, "what comes later stays");
}

/// An erasure that waits for another one has ends of its own: what was acknowledged between the two goes.
#[tokio::test(start_paused = true)]
async fn a_second_erasure_takes_what_came_after_the_first_began() {
    let running = with_dead_letters().await;
    let begin = async || {
        let (status, begun) = post(&running, "/api/v1/admin/erase", ADMIN, json!({})).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        begun["id"].as_str().unwrap().to_owned()
    };
    publish(&running.queue, vec![record(&[1])]).await;
    let first = begin().await;
    publish(&running.queue, vec![record(&[2, 3])]).await;
    let second = begin().await;
    publish(&running.queue, vec![record(&[4])]).await;
    assert_ne!(first, second);
    assert_eq!(ended(&running, &second).await["status"], "done");
    let (_, of_first) = get(&running, &format!("/api/v1/admin/erase/{first}"), ADMIN).await;
    assert_eq!(of_first["status"], "done", "the second one waits for the first");
    running.drained().await;
    let left: Vec<i64> = running.sink.store.samples(&tenant("acme")).iter().map(|sample| sample.timestamp).collect();
    assert_eq!(left, [4], "what came after both stays");
}

/// An erasure that was answered stands in the store, so the next process goes on with it and nobody needs to ask.
#[tokio::test(start_paused = true)]
async fn an_erasure_goes_on_after_a_restart() {
    let running = with_dead_letters().await;
    publish(&running.queue, vec![record(&[1, 2])]).await;
    running.drained().await;
    // As a process leaves it that ended right after the answer. A ledger that others share names sources of other queues too.
    let elsewhere = luminate_model::Source { incarnation: luminate_model::Incarnation([99; 16]), partition: 0 };
    let up_to = vec![(running.queue.source(0), luminate_model::Offset(3)), (elsewhere, luminate_model::Offset(9))];
    let noted = luminate_storage::NotedErasure { tenant: tenant("acme"), up_to };
    running.sink.note_erasure(&noted).await.unwrap();

    let Running { queue, sink, lifecycle, .. } = running;
    let restarted = Running::start(queue, sink, WriterConfig::default());
    for _ in 0..1000 {
        if restarted.sink.unfinished_erasures().await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(restarted.sink.unfinished_erasures().await.unwrap(), []);
    assert!(restarted.sink.store.samples(&tenant("acme")).is_empty());
    assert_eq!(letters_left(&restarted.queue).await, 1, "nobody's");
    drop(lifecycle);
}

/// A client that leaves takes its request with it, wherever that stands, and nothing else.
#[tokio::test(start_paused = true)]
async fn an_erasure_whose_client_leaves_comes_to_its_end() {
    let running = with_dead_letters().await;
    publish(&running.queue, vec![record(&[1, 2])]).await;
    running.drained().await;
    let parts = AdminParts {
        dead_letters: Arc::new(running.queue.clone()),
        queue: Arc::new(running.queue.clone()),
        sink: running.sink.clone(),
        progress: running.writer.progress.clone(),
        watermarks: None,
        clock: Arc::new(|| 0),
    };
    let admin = Admin::new(Authenticator::new(test_tokens::verifier()), parts);
    let routes = routes(admin.clone());
    let replaying = admin.state().erasures.permit_replay(None).await.unwrap();
    let request = ask(&routes, "POST", "/api/v1/admin/erase", ADMIN, Some(json!({})));
    let left = tokio::time::timeout(Duration::from_millis(10), request).await;
    assert!(left.is_err(), "it waits for the replay");
    drop(replaying);
    for _ in 0..1000 {
        if running.sink.store.samples(&tenant("acme")).is_empty()
            && admin.state().erasures.permit_replay(None).await.is_some()
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(running.sink.store.samples(&tenant("acme")).is_empty(), "it was erased");
    assert!(admin.state().erasures.permit_replay(None).await.is_some(), "and has ended");
}

/// The ledger is all that one writer knows of another's erasures.
#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_not_replayed_while_another_writer_erases_its_tenant() {
    let running = with_dead_letters().await;
    let noted = NotedErasure { tenant: tenant("acme"), up_to: vec![(running.queue.source(0), Offset(2))] };
    running.sink.note_erasure(&noted).await.unwrap();
    for offset in [0, 1] {
        let replay = format!("{}/replay", letter_path(&running, offset));
        let (status, problem) = post(&running, &replay, OPERATOR, json!({})).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("erasure_running")), "{offset}");
    }
    assert_eq!(letters_left(&running.queue).await, 2);
    running.sink.finish_erasure(&noted).await.unwrap();
    let replay = format!("{}/replay", letter_path(&running, 0));
    assert_eq!(post(&running, &replay, OPERATOR, json!({})).await.0, StatusCode::OK);
}

/// Dead letters, during whose replay another writer notes an erasure of what the queue held before.
struct ErasedMeanwhile {
    queue: MemoryQueue,
    sink: Arc<crate::pipeline_tests::TestSink>,
}

#[async_trait]
impl luminate_queue::DeadLetters for ErasedMeanwhile {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), QueueError> {
        self.queue.put(letters).await
    }

    async fn list(
        &self,
        filter: &DeadLetterFilter,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<DeadLetterPage, QueueError> {
        self.queue.list(filter, after, limit).await
    }

    async fn get(&self, id: DeadLetterId) -> Result<Option<DeadLetter>, QueueError> {
        self.queue.get(id).await
    }

    async fn replay(&self, id: DeadLetterId, now: i64) -> Result<Option<Offset>, QueueError> {
        let noted = NotedErasure { tenant: tenant("acme"), up_to: self.queue.ends().await.unwrap() };
        self.sink.note_erasure(&noted).await.unwrap();
        self.queue.replay(id, now).await
    }

    async fn purge(&self, filter: &DeadLetterFilter) -> Result<u64, QueueError> {
        self.queue.purge(filter).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_replayed_while_another_writers_erasure_begins_is_erased_too() {
    let running = Running::start(one_partition(), TestSink::new(), WriterConfig::default());
    running.queue.append_raw(0, consumed(0, "acme/0", "of acme")).unwrap();
    running.drained().await;
    let parts = AdminParts {
        dead_letters: Arc::new(ErasedMeanwhile { queue: running.queue.clone(), sink: running.sink.clone() }),
        queue: Arc::new(running.queue.clone()),
        sink: running.sink.clone(),
        progress: running.writer.progress.clone(),
        watermarks: None,
        clock: Arc::new(|| 0),
    };
    let routes = routes(Admin::new(Authenticator::new(test_tokens::verifier()), parts));
    let replay = format!("{}/replay", letter_path(&running, 0));
    let (status, problem) = ask(&routes, "POST", &replay, ADMIN, Some(json!({}))).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("erasure_running")));
    for _ in 0..1000 {
        if running.sink.unfinished_erasures().await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(running.sink.unfinished_erasures().await.unwrap(), [], "the erasure of what was put back has ended");
    assert_eq!(letters_left(&running.queue).await, 0, "it became a dead letter again, and went");
}

/// Sources that two tenants share, and one of each that is its own.
struct Owned(MemoryQueue);

#[async_trait]
impl QueueAdmin for Owned {
    async fn ends(&self) -> Result<Vec<(luminate_model::Source, Offset)>, QueueError> {
        self.0.ends().await
    }

    fn owner(&self, source: luminate_model::Source) -> Option<luminate_model::TenantId> {
        [None, Some("acme"), Some("other")][source.partition as usize].map(tenant)
    }

    async fn scrub(&self) -> Result<(), QueueError> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_admin_sees_no_other_tenants_topic() {
    let queue = MemoryQueue::new(MemoryQueueConfig { partitions: 3, ..MemoryQueueConfig::default() });
    let mut committed = Receipt::default();
    (0..3).for_each(|partition| committed.add(queue.source(partition), Offset(0)));
    let parts = AdminParts {
        dead_letters: Arc::new(queue.clone()),
        queue: Arc::new(Owned(queue.clone())),
        sink: TestSink::new(),
        progress: Progress::default(),
        watermarks: Some(Arc::new(Group(Ok(committed)))),
        clock: Arc::new(|| 0),
    };
    let routes = routes(Admin::new(Authenticator::new(test_tokens::verifier()), parts));
    for (token, partitions) in [(OPERATOR, vec![0, 1, 2]), (ADMIN, vec![0, 1]), (STRANGER, vec![0, 2])] {
        let (_, answer) = ask(&routes, "GET", "/api/v1/admin/watermarks", token, None).await;
        let told: Vec<_> = answer["sources"].as_array().unwrap().iter().map(|one| one["source"].clone()).collect();
        let expected: Vec<_> = partitions.into_iter().map(|at| json!(queue.source(at).to_string())).collect();
        assert_eq!(told, expected, "{token}");
    }
}

/// Watermarks of a group that knows no source but those of the queue.
struct OfQueue(MemoryQueue);

#[async_trait]
impl Watermarks for OfQueue {
    async fn watermark(&self) -> Result<Receipt, StorageError> {
        Ok(Receipt::default())
    }

    async fn reach(&self, receipt: &Receipt) -> Result<(), ReachError> {
        let ends = self.0.ends().await.unwrap();
        let is_known = |(source, _): &(luminate_model::Source, Offset)| ends.iter().any(|(known, _)| known == source);
        if receipt.places().iter().all(is_known) {
            Ok(())
        } else {
            Err(ReachError::OtherIncarnation(receipt.places()[0].0))
        }
    }
}

/// The ledger of an erasure may name a topic that is no longer there, or was made again since.
#[tokio::test(start_paused = true)]
async fn an_erasure_goes_on_in_a_group_where_the_ledger_names_a_vanished_source() {
    let queue = one_partition();
    let sink = TestSink::new();
    let gone = luminate_model::Source { incarnation: luminate_model::Incarnation([99; 16]), partition: 0 };
    let up_to = vec![(queue.source(0), Offset(0)), (gone, Offset(9))];
    sink.note_erasure(&NotedErasure { tenant: tenant("acme"), up_to }).await.unwrap();
    let parts = AdminParts {
        dead_letters: Arc::new(queue.clone()),
        queue: Arc::new(queue.clone()),
        sink: sink.clone(),
        progress: Progress::default(),
        watermarks: Some(Arc::new(OfQueue(queue))),
        clock: Arc::new(|| 0),
    };
    let admin = Admin::new(Authenticator::new(test_tokens::verifier()), parts);
    admin.go_on_erasing();
    for _ in 0..1000 {
        if sink.unfinished_erasures().await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(sink.unfinished_erasures().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn an_erasure_that_cannot_be_noted_is_not_begun() {
    let running = with_dead_letters().await;
    running.sink.refuse.store(1, std::sync::atomic::Ordering::Relaxed);
    let (status, problem) = post(&running, "/api/v1/admin/erase", ADMIN, json!({})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("admin_storage_unavailable")));
    let replay = format!("{}/replay", letter_path(&running, 0));
    assert_eq!(post(&running, &replay, ADMIN, json!({})).await.0, StatusCode::OK, "nothing is being erased");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_object_asks_for_nothing() {
    let running = with_dead_letters().await;
    for path in ["/api/v1/admin/erase", "/api/v1/admin/dead-letters/purge"] {
        for body in [json!([]), json!(["acme"]), json!("acme"), json!(null)] {
            let (status, problem) = post(&running, path, OPERATOR, body).await;
            assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("admin_request_invalid")));
        }
    }
    assert_eq!(letters_left(&running.queue).await, 2);
}

#[tokio::test(start_paused = true)]
async fn an_erasure_is_its_tenants_and_the_operators() {
    let running = with_dead_letters().await;
    let erase = "/api/v1/admin/erase";
    assert_eq!(post(&running, erase, STRANGER, json!({ "tenant": "acme" })).await.1["code"], "tenant_forbidden");
    assert_eq!(post(&running, erase, OPERATOR, json!({})).await.1["code"], "tenant_required");
    let begun = post(&running, erase, ADMIN, json!({})).await.1;
    assert_eq!(begun["tenant"], "acme");
    let path = format!("{erase}/{}", begun["id"].as_str().unwrap());
    for (path, token) in [(path.as_str(), STRANGER), ("/api/v1/admin/erase/none", OPERATOR)] {
        let (status, problem) = get(&running, path, token).await;
        assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("erasure_unknown")));
    }
    assert_eq!(get(&running, &path, ADMIN).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn an_erasure_that_cannot_end_says_why() {
    let running = with_dead_letters().await;
    running.sink.damaged.store(1, std::sync::atomic::Ordering::Relaxed);
    running.queue.append_raw(0, consumed(0, "acme/0", luminate_schemas::encode(&columns(&[1])))).unwrap();
    let begun = post(&running, "/api/v1/admin/erase", ADMIN, json!({})).await.1;
    let erasure = ended(&running, begun["id"].as_str().unwrap()).await;
    assert_eq!(erasure["status"], "failed");
    assert!(erasure["detail"].as_str().unwrap().contains("storage_damaged"), "{erasure}");
}

#[test]
fn every_route_has_its_operation() {
    let document = serde_json::to_value(super::openapi()).unwrap();
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(paths.len(), 7, "{paths:?}");
}
