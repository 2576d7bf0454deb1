//! Which incarnations of a topic samples were taken from.

use luminate_model::Incarnation;
use luminate_storage::IntentSink as _;
use luminate_tests::engines::{ClickHouse, ClickHouseOptions};

use super::fixture::{Store, sink};

const FIRST: Incarnation = Incarnation([0xff; 16]);
const SECOND: Incarnation = Incarnation([0; 16]);

#[tokio::test(flavor = "multi_thread")]
async fn each_topic_has_its_own() {
    let store = Store::shared().await;
    let (one, other) = (&store.sink, sink(&store.config));
    assert_eq!(one.known_incarnations("samples").await.unwrap(), []);
    one.note_incarnation("samples", FIRST).await.unwrap();
    other.note_incarnation("samples", SECOND).await.unwrap();
    other.note_incarnation("samples", FIRST).await.unwrap();
    // Whatever a topic is called: names are parameters.
    one.note_incarnation("it's \\ another", SECOND).await.unwrap();
    for sink in [one, &other] {
        assert_eq!(sink.known_incarnations("samples").await.unwrap(), [FIRST, SECOND], "in the order of their times");
        assert_eq!(sink.known_incarnations("it's \\ another").await.unwrap(), [SECOND]);
        assert_eq!(sink.known_incarnations("sample").await.unwrap(), []);
    }
    let rows = format!("SELECT count() FROM {}.incarnations", store.config.database);
    assert_eq!(store.query(&rows), "3", "what is known is not noted again");
}

/// Several writers begin with a new topic at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn many_may_note_the_same_at_once() {
    let store = Store::shared().await;
    let noting = (0..8).map(|_| {
        let sink = sink(&store.config);
        tokio::spawn(async move { sink.note_incarnation("samples", FIRST).await })
    });
    for noted in noting.collect::<Vec<_>>() {
        noted.await.unwrap().unwrap();
    }
    assert_eq!(store.sink.known_incarnations("samples").await.unwrap(), [FIRST]);
}

#[tokio::test(flavor = "multi_thread")]
async fn they_survive_the_death_of_the_server_and_are_an_error_while_it_is_away() {
    let engine = ClickHouse::start(ClickHouseOptions::default());
    let store = Store::on(&engine).await;
    store.sink.note_incarnation("samples", FIRST).await.unwrap();
    engine.kill_node(1);
    assert!(store.sink.known_incarnations("samples").await.is_err_and(|error| error.is_retryable()));
    assert!(store.sink.note_incarnation("samples", SECOND).await.is_err_and(|error| error.is_retryable()));
    engine.start_node(1);
    assert_eq!(store.sink.known_incarnations("samples").await.unwrap(), [FIRST]);
}
