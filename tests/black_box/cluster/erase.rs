//! A tenant is erased at one of two writers: nothing of it is left, whoever dies meanwhile, and no other tenant notices.

use std::process::Command;

use luminate_tests::cluster::{ClusterOptions, Half, Load, LoadOptions, ServiceProcess, Step, client};
use luminate_tests::samples::SampleMaker;
use luminate_tests::server::{binary, token};
use luminate_tests::{Client, Cluster, wait};
use serde_json::{Value, json};

const TENANT: &str = "victim";
const METRIC: &str = "m";

/// Files of before an erasure are deleted a minute later unless told otherwise; these tests cannot wait so long.
fn delete_files_soon(cluster: &Cluster) {
    cluster.clickhouse.query(&format!(
        "ALTER TABLE {}.samples MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 1, \
         max_cleanup_delay_period = 1, cleanup_delay_period_random_add = 0",
        cluster.database()
    ));
}

/// What of the tenant is in the table.
fn rows(cluster: &Cluster, what: &str) -> u64 {
    let sql = format!("SELECT {what} FROM {}.samples WHERE tenant = '{TENANT}'", cluster.database());
    cluster.clickhouse.query(&sql).trim().parse().unwrap()
}

/// `luminate erase` at a writer, to its end; what it says.
fn erase(writer: &ServiceProcess) -> Value {
    let mut command = Command::new(binary());
    command.args(["erase", "--yes", "--json", "--tenant", TENANT]).env("LUMINATE_URL", writer.url());
    let output = command.env("LUMINATE_TOKEN", token(TENANT, "admin")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_tenant_on_partitions_of_two_writers_is_erased_and_others_are_whole() {
    let gateway = json!({"gateway": {"shards": {"tenants": {TENANT: 16}}}});
    let cluster = Cluster::prepare(ClusterOptions { gateway, ..ClusterOptions::default() });
    delete_files_soon(&cluster);
    let (gateway, query) = (cluster.start_gateway(), cluster.start_query());
    let writers = [cluster.start_writer(), cluster.start_writer()];
    let load = Load::start(&cluster, &LoadOptions { tenants: 2, ..LoadOptions::default() });
    let mut maker = SampleMaker::new(1);
    let mut write = |samples| client(&gateway, TENANT).write_all(&maker.body(METRIC, samples).0);
    let receipts = [write(500), write(500)];
    for receipt in &receipts {
        assert!(client(&query, TENANT).count(Some(receipt), METRIC) >= 500);
    }
    assert!(rows(&cluster, "uniqExact(source)") > 1, "all is on one partition: this run proves nothing");
    // Written and not waited for.
    write(300);
    let erased = erase(&writers[0]);
    assert_eq!(erased["status"], "done", "{erased}");
    assert_eq!(rows(&cluster, "count()"), 0);
    assert_eq!(client(&query, TENANT).count(None, METRIC), 0);
    let later = write(7);
    assert_eq!(client(&query, TENANT).count(Some(&later), METRIC), 7, "what comes later stays");
    load.wait_more(500);
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    assert_eq!((verdict.stored, verdict.unknown), (verdict.acknowledged, 0));
}

/// Its own death ends no erasure: the next start goes on. A batch that another writer had in hand when it was noted is erased too.
#[test]
fn an_erasure_whose_writer_is_killed_is_finished_by_its_next_start() {
    // Long enough that the batch that is held up may still be stored.
    let kafka_section = json!({"consumer": {"sessionTimeout": "20s"}});
    let cluster = Cluster::prepare(ClusterOptions { partitions: 1, kafka_section, ..ClusterOptions::default() });
    delete_files_soon(&cluster);
    let (gateway, query) = (cluster.start_gateway(), cluster.start_query());
    let (storing, gates) = cluster.start_gated_writer();
    let mut maker = SampleMaker::new(2);
    let mut write = |tenant: &str| client(&gateway, tenant).write_all(&maker.body(METRIC, 50).0);
    for tenant in [TENANT, "other"] {
        assert_eq!(client(&query, tenant).count(Some(&write(tenant)), METRIC), 50);
    }
    // It has no partition: the other one had the only one before it came.
    let mut erasing = cluster.start_writer();

    let held = gates.hold(Step::Insert, Half::Request);
    write(TENANT);
    held.wait();
    let admin = Client::new(erasing.url(), &token(TENANT, "admin"));
    let begun = admin.post_json("/api/v1/admin/erase", &[], &json!({})).unwrap();
    assert_eq!(begun.status, 202, "{}", begun.json());
    let path = format!("/api/v1/admin/erase/{}", begun.json()["id"].as_str().unwrap());
    wait::until("it waits for the batch", || {
        let detail = admin.get(&path).json()["detail"].as_str().unwrap_or_default().to_owned();
        detail.contains("waiting until what the queue holds has passed").then_some(())
    });
    erasing.kill();
    held.let_go();
    wait::until("the batch is stored", || (rows(&cluster, "count()") == 100).then_some(()));
    erasing.start_again();
    wait::until("the erasure is finished", || erasing.log().contains("erasure done").then_some(()));
    assert_eq!(rows(&cluster, "count()"), 0);

    for (tenant, samples) in [(TENANT, 50), ("other", 100)] {
        assert_eq!(client(&query, tenant).count(Some(&write(tenant)), METRIC), samples);
    }
    cluster.operate(&["reconcile"]);
    assert_eq!(storing.metric("luminate_partitions_stopped", ""), 0.0, "{}", storing.log());
}
