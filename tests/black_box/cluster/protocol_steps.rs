//! Writers are killed at each step of their protocol, which gates on the way to their engines recognise: before an engine has
//! the request, when it has half of it, and when it has done it and the writer does not know. What was on its way never arrives,
//! or arrives after the writer's death. Whatever it was, another writer finishes it, once.

use luminate_tests::chaos::Rounds;
use luminate_tests::cluster::gate::Held;
use luminate_tests::cluster::{ClusterOptions, Gates, Half, Load, LoadOptions, ServiceProcess, Step, client};
use luminate_tests::samples::SampleMaker;
use luminate_tests::server::token;
use luminate_tests::{Client, Cluster, wait};
use rand::seq::IndexedRandom as _;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};

/// What becomes of what was held up when the writer died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Lost,
    BrokenOff,
    Late,
}

/// Where a writer dies, and what becomes of the step that it was at.
type Moment = (Step, Half, Rest);

const MOMENTS: [Moment; 12] = [
    (Step::Intent, Half::Request, Rest::Lost),
    (Step::Intent, Half::Request, Rest::Late),
    (Step::Intent, Half::Answer, Rest::Lost),
    (Step::Insert, Half::Request, Rest::Lost),
    (Step::Insert, Half::Request, Rest::BrokenOff),
    (Step::Insert, Half::Request, Rest::Late),
    (Step::Insert, Half::Answer, Rest::Lost),
    (Step::Settled, Half::Request, Rest::Lost),
    (Step::Settled, Half::Request, Rest::Late),
    (Step::Settled, Half::Answer, Rest::Lost),
    (Step::Count, Half::Request, Rest::Lost),
    (Step::Count, Half::Answer, Rest::Lost),
];

impl Rest {
    fn befalls(self, held: Held) {
        match self {
            Self::Lost => drop(held),
            Self::BrokenOff => held.break_off(),
            Self::Late => held.let_go(),
        }
    }
}

/// Two writers under load, which take turns in dying at a step.
fn survive(mut rounds: Rounds, mut choose: impl FnMut(&mut Rounds, u64) -> Moment) {
    let cluster = Cluster::prepare(ClusterOptions::default());
    let _gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let mut writers = [cluster.start_gated_writer(), cluster.start_gated_writer()];
    let load = Load::start(&cluster, &LoadOptions { seed: rounds.seed(), ..LoadOptions::default() });
    while let Some(round) = rounds.next_round() {
        let (step, half, rest) = choose(&mut rounds, round);
        eprintln!("  {step:?}, {half:?}, {rest:?}");
        let [first, second] = &mut writers;
        let ((victim, gates), (other, others_gates)) = if round % 2 == 0 { (first, second) } else { (second, first) };
        if step == Step::Count {
            // Rows are counted where an insert is in doubt: the victim takes over from one that died with one in hand.
            let _held = others_gates.catch(&load, Step::Insert, Half::Answer);
            other.kill();
        }
        let held = gates.catch(&load, step, half);
        victim.kill();
        rest.befalls(held);
        victim.start_again();
        if step == Step::Count {
            other.start_again();
        }
    }
    load.wait_more(500);
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    rounds.tell(&verdict);
    assert_eq!(verdict.unknown, 0, "the gateway ran all the time");
}

#[test]
fn a_writer_killed_at_any_step_leaves_nothing_undone_or_done_twice() {
    survive(Rounds::few("steps of the protocol", MOMENTS.len() as u64), |_, round| MOMENTS[round as usize]);
}

/// `make chaos`: any order of steps, many more of them.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_protocol_steps() {
    survive(Rounds::many("steps of the protocol", 50), |rounds, _| *MOMENTS.choose(&mut rounds.random).unwrap());
}

/// One partition, whose batches are this test's requests, one each; a writer behind gates that owns it.
struct OnePartition {
    cluster: Cluster,
    gateway: ServiceProcess,
    query: ServiceProcess,
    writer: ServiceProcess,
    gates: Gates,
    maker: SampleMaker,
    receipt: String,
}

impl OnePartition {
    fn start() -> Self {
        let cluster = Cluster::prepare(ClusterOptions { partitions: 1, ..ClusterOptions::default() });
        let (gateway, query) = (cluster.start_gateway(), cluster.start_query());
        let (writer, gates) = cluster.start_gated_writer();
        let (maker, receipt) = (SampleMaker::new(1), String::new());
        let mut one = Self { cluster, gateway, query, writer, gates, maker, receipt };
        one.write(1);
        one.assert_stored_once();
        one
    }

    /// Writes a request with samples on so many days.
    fn write(&mut self, days: i64) {
        let (mut body, _) = self.maker.body("steps", 30);
        for (index, sample) in body["metrics"].as_array_mut().unwrap().iter_mut().enumerate() {
            // Noon: none is near midnight.
            sample["timestamp"] = (1_735_732_800_000 + index as i64 + 86_400_000 * (index as i64 % days)).into();
        }
        self.receipt = client(&self.gateway, "acme").write_all(&body);
    }

    fn assert_stored_once(&self) {
        let answered = client(&self.query, "acme").count(Some(&self.receipt), "steps");
        assert_eq!(answered, self.maker.made());
        let stored = self.cluster.stored_numbers("acme", "steps");
        assert!(stored.len() as u64 == self.maker.made() && stored.values().all(|times| *times == 1), "{stored:?}");
        self.cluster.operate(&["reconcile"]);
    }
}

#[test]
fn a_slice_that_is_missing_when_a_writer_dies_is_stored_alone() {
    let mut one = OnePartition::start();
    let held = one.gates.hold_after(1, Step::Insert, Half::Request);
    one.write(3);
    held.wait();
    one.writer.kill();
    drop(held);
    assert_eq!(one.cluster.stored_numbers("acme", "steps").len(), 30 + 10, "the first of three days is stored");
    let inserts = one.gates.asked(Step::Insert);
    one.writer.start_again();
    one.assert_stored_once();
    // One that comes back late on a busy machine sends what was missing again.
    assert!(one.gates.asked(Step::Insert) - inserts >= 2, "two days were missing");
    let rows = one.cluster.clickhouse.query(&format!(
        "SELECT batch, toDate(ts) AS day, count() FROM {}.samples WHERE batch > 0 GROUP BY 1, 2 ORDER BY 2",
        one.cluster.database()
    ));
    assert_eq!(rows, "1\t2025-01-01\t10\n1\t2025-01-02\t10\n1\t2025-01-03\t10\n");
}

#[test]
fn an_insert_that_comes_after_another_writer_has_settled_is_dropped() {
    let mut one = OnePartition::start();
    let held = one.gates.hold(Step::Insert, Half::Request);
    let settled = one.gates.answered(Step::Settled);
    one.write(1);
    held.wait();
    one.writer.kill();
    one.writer.start_again();
    wait::until("the batch is settled", || (one.gates.answered(Step::Settled) > settled).then_some(()));
    one.assert_stored_once();
    // Where a session is short and the machine busy, a batch may be settled more than once.
    let before = one.gates.answered(Step::Insert);
    held.let_go();
    wait::until("the late insert is answered", || (one.gates.answered(Step::Insert) > before).then_some(()));
    one.assert_stored_once();
}

/// A server that remembers one insert at a time.
#[test]
fn a_restart_after_the_window_of_deduplication_has_passed_stores_nothing_twice() {
    let mut one = OnePartition::start();
    let table = format!("{}.samples", one.cluster.database());
    let alter = format!("ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = 1");
    one.cluster.clickhouse.query(&alter);
    for (others, step, half) in [(2, Step::Insert, Half::Answer), (0, Step::Settled, Half::Request)] {
        let held = one.gates.hold_after(others, step, half);
        one.write(3);
        held.wait();
        one.writer.kill();
        drop(held);
        let other = "'other', 'other', now64(3), 0, map(), 0, 'other/0', 0";
        one.cluster.clickhouse.query(&format!("INSERT INTO {table} SELECT {other}"));
        one.cluster
            .clickhouse
            .query(&format!("ALTER TABLE {table} DELETE WHERE tenant = 'other' SETTINGS mutations_sync = 2"));
        let inserts = one.gates.asked(Step::Insert);
        one.writer.start_again();
        one.assert_stored_once();
        assert_eq!(one.gates.asked(Step::Insert), inserts, "all was there: nothing is inserted");
    }
}

/// A record that no decoder takes, with the key of a tenant's records, on the only partition.
fn write_broken_record(cluster: &Cluster, tenant: &str) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", cluster.kafka.brokers()).create().unwrap();
    let (topic, key) = (cluster.samples_topic(), format!("{tenant}/0"));
    producer.send(BaseRecord::to(&topic).partition(0).key(&key).payload("broken")).map_err(|(error, _)| error).unwrap();
    producer.flush(wait::PATIENCE).unwrap();
    assert_eq!(producer.in_flight_count(), 0);
}

/// Its own configuration, and that of the gateways, are of no concern to a batch whose intent is noted: another writer stores
/// it as the first would have, with the same bounds, the same repeats recognised, and the retention that gateways gave it.
#[test]
fn what_is_configured_anew_changes_nothing_about_an_open_batch() {
    const REQUEST: u64 = 30;
    // Nothing but the fourth request that is no repeat makes a batch of them.
    let writer = json!({"writer": {"batch": {"maxAge": "1h", "maxSamples": 4 * REQUEST}}});
    let retention = json!({"defaultDays": 3000});
    let cluster = Cluster::prepare(ClusterOptions { partitions: 1, writer, retention, ..ClusterOptions::default() });
    let (gateway, query) = (cluster.start_gateway(), cluster.start_query());
    let (mut first, gates) = cluster.start_gated_writer();
    let held = gates.hold(Step::Insert, Half::Request);
    let mut maker = SampleMaker::new(1);
    let write = |gateway: &ServiceProcess, key: &str, body: &Value| {
        let written = client(gateway, "acme").post_json("/api/v1/write", &[("Idempotency-Key", key)], body).unwrap();
        assert_eq!(written.status, 202, "{}", written.json());
        written.json()["receipt"].as_str().unwrap().to_owned()
    };
    let mut body = || maker.body("steps", REQUEST as usize).0;
    let repeated = body();
    write(&gateway, "first", &repeated);
    write(&gateway, "second", &body());
    write_broken_record(&cluster, "acme");
    write(&gateway, "third", &body());
    write(&gateway, "first", &repeated);
    write(&gateway, "fourth", &body());
    held.wait();
    first.kill();
    drop(held);
    assert!(cluster.stored_numbers("acme", "steps").is_empty(), "the insert never arrived");

    let later = cluster.start_gateway_with(&json!({"retention": {"defaultDays": 2000}}));
    let receipt = write(&later, "fifth", &body());
    let second = cluster.start_writer_with(&json!({"writer": {
        "batch": {"maxSamples": 7, "maxBytes": "1KiB", "maxAge": "1ms"}, "idempotency": {"maxEntries": 1},
        "deadLetters": {"maxBytes": "1KiB"},
    }}));
    assert_eq!(client(&query, "acme").count(Some(&receipt), "steps"), 5 * REQUEST);
    let rows = cluster.clickhouse.query(&format!(
        "SELECT batch, retention_days, count(), uniqExact(value), min(value), max(value) FROM {}.samples GROUP BY 1, 2 ORDER BY 1",
        cluster.database()
    ));
    assert_eq!(rows, "0\t3000\t120\t120\t0\t119\n6\t2000\t30\t30\t120\t149\n");
    let letters = Client::new(second.url(), &token("acme", "admin")).get("/api/v1/admin/dead-letters").json();
    let letters = letters["deadLetters"].as_array().unwrap();
    assert!(letters.len() == 1 && letters[0]["code"] == "record_malformed", "{letters:?}");
    cluster.operate(&["reconcile"]);
}
