//! Each service exports what the documentation says it measures, and no number that it can never move.

use luminate_tests::Cluster;
use luminate_tests::cluster::{ClusterOptions, client};
use luminate_tests::samples::SampleMaker;

#[test]
fn each_service_exports_what_is_documented_of_it_and_nothing_else() {
    let cluster = Cluster::prepare(ClusterOptions::default());
    let (gateway, writer, query) = (cluster.start_gateway(), cluster.start_writer(), cluster.start_query());
    let receipt = client(&gateway, "acme").write_all(&SampleMaker::new(1).body("m", 10).0);
    assert_eq!(client(&query, "acme").count(Some(&receipt), "m"), 10);
    assert_eq!(gateway.metric("luminate_samples_accepted_total", ""), 10.0);
    assert_eq!(writer.metric("luminate_samples_stored_total", ""), 10.0);
    assert!(query.metric("luminate_query_samples_read_total", "") >= 10.0);
    for service in [gateway, writer, query] {
        service.assert_exports_its_metrics();
    }
}
