//! One customer of very many: a query for it reads a few pages of the store, and says truly how many.

use luminate_tests::samples::now_ms;
use luminate_tests::{Client, Server, ServerOptions, files, process, wait};
use serde_json::{Value, json};

const CUSTOMERS: i64 = 200_000;
const SAMPLES_EACH: i64 = 4;
const A_REQUEST: i64 = 20_000;

const LOOKED_FOR: [i64; 5] = [0, 1, 77_777, 123_456, CUSTOMERS - 1];

/// Blocks of the default size that the samples need.
const LEAST_BLOCKS: u64 = 4;

/// What one look-up may read: pages, of filters and of the block that has the customer, and bytes of them.
const MOST_PAGES: u64 = 20;
const MOST_BYTES: u64 = 256 << 10;

const QUICK: &str = "
writer:
  batch:
    maxAge: 200ms
storage:
  rocksdb:
    mergeAfter: 500ms
    idleAfter: 500ms
";

fn customer(number: i64) -> String {
    // Scattered, so that neighbours in time are not neighbours in a sorted dictionary.
    format!("cust-{:08x}", (number as u32).wrapping_mul(2_654_435_761))
}

/// All samples of one round, several requests.
fn requests(round: i64, start: i64) -> impl Iterator<Item = Value> {
    (0..CUSTOMERS / A_REQUEST).map(move |part| {
        let sample = |n: i64| {
            json!({"name": "api_latency", "timestamp": start + round * 60_000 + n % 60_000, "value": (n % 997) as f64 / 10.0,
                "dimensions": {"customer": customer(n), "endpoint": format!("/e/{}", n % 20), "region": format!("r{}", n % 5)}})
        };
        json!({"metrics": (part * A_REQUEST..(part + 1) * A_REQUEST).map(sample).collect::<Vec<_>>()})
    })
}

fn customer_is(number: i64) -> Value {
    json!({"dimension": "customer", "op": "eq", "value": customer(number)})
}

fn query(client: &Client, filter: Value) -> Value {
    client.query(None, &json!({
        "queryType": "aggregate", "metricName": "api_latency", "aggregation": "sum", "groupBy": ["endpoint", "region"],
        "timeRange": {"relative": "2d"}, "filters": [filter],
    }))
}

#[test]
fn one_customer_of_very_many_is_found_in_a_few_pages() {
    let mut server = Server::start_with(ServerOptions { config: QUICK.to_owned(), ..ServerOptions::default() });
    let client = server.client("acme");
    // All in one UTC day, a day ago.
    let start = (now_ms() / 86_400_000 - 1) * 86_400_000;
    let mut receipt = String::new();
    for round in 0..SAMPLES_EACH {
        for body in requests(round, start) {
            receipt = client.write_all(&body);
        }
    }
    assert_eq!(client.count(Some(&receipt), "api_latency"), (CUSTOMERS * SAMPLES_EACH) as u64);
    wait::until("everything is merged, so that each customer lies in one block", || {
        let in_one_block = |number: &i64| {
            let stats = &query(&client, customer_is(*number))["stats"];
            (stats["blocksRead"].as_u64(), stats["blocksSkipped"].as_u64()) == (Some(1), Some(LEAST_BLOCKS - 1))
        };
        LOOKED_FOR.iter().all(in_one_block).then_some(())
    });
    // A restart: nothing is in the cache, so what is read is read from disk.
    assert!(server.stop().success());
    server.start_again();
    let client = server.client("acme");
    assert_eq!(client.get("/api/v1/metrics").status, 200);
    let stored = files::occupied(&server.data().join("store"));

    for number in LOOKED_FOR {
        let before = process::bytes_read(server.pid());
        let answer = query(&client, customer_is(number));
        let read_by_process = process::bytes_read(server.pid()) - before;
        let expected = SAMPLES_EACH as f64 * (number % 997) as f64 / 10.0;
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results.len(), 1, "{answer}");
        assert_eq!(
            results[0]["group"],
            json!({"endpoint": format!("/e/{}", number % 20), "region": format!("r{}", number % 5)})
        );
        assert!((results[0]["value"].as_f64().unwrap() - expected).abs() < 1e-6, "{answer}");

        let stats = &answer["stats"];
        let (pages, bytes) = (stats["pagesRead"].as_u64().unwrap(), stats["bytesRead"].as_u64().unwrap());
        println!(
            "customer {number}: {pages} pages, {bytes} bytes of {stored}; the process read {read_by_process} bytes"
        );
        assert!(pages >= 1 && bytes >= 1, "it was found without a look: {stats}");
        assert!(pages <= MOST_PAGES && bytes <= MOST_BYTES, "{stats}");
        // The kernel's count has sockets, indexes of files and blocks of the file system on top.
        assert!(read_by_process < bytes + (256 << 10), "{read_by_process} bytes were read, the answer admits {bytes}");
    }

    let absent = query(&client, json!({"dimension": "customer", "op": "eq", "value": "cust-nobody"}));
    assert_eq!(absent["results"], json!([]));
    assert!(absent["stats"]["bytesRead"].as_u64().unwrap() <= MOST_BYTES, "{absent}");
    let three =
        query(&client, json!({"dimension": "customer", "op": "in", "value": [customer(5), customer(6), customer(7)]}));
    assert_eq!(three["results"].as_array().unwrap().len(), 3);
    assert!(three["stats"]["pagesRead"].as_u64().unwrap() <= 3 * MOST_PAGES, "{three}");

    // The counters must be able to tell: one that needs everything reads nearly all of it.
    let everything = query(&client, json!({"dimension": "customer", "op": "exists"}));
    assert!(everything["stats"]["bytesRead"].as_u64().unwrap() > 2 * MOST_BYTES, "{everything}");
}
