//! `luminate reconcile --data`: what the queue of a stopped server still has is held against its store.

use std::path::Path;
use std::process::{Command, Output};

use luminate_tests::samples::SampleMaker;
use luminate_tests::server::binary;
use luminate_tests::{Server, ServerOptions};
use serde_json::Value;

fn reconcile(data: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LUMINATE_")) {
        command.env_remove(name);
    }
    command.args(["reconcile", "--json", "--data"]).arg(data).args(more).output().expect("the command runs")
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_stopped_server_is_compared_and_a_running_one_is_left_alone() {
    let mut server = Server::start_with(ServerOptions::default());
    let mut samples = SampleMaker::new(3);
    let clients = ["acme", "other"].map(|tenant| server.client(tenant));
    for _ in 0..20 {
        for client in &clients {
            let receipt = client.write_all(&samples.body("load", 50).0);
            client.count(Some(&receipt), "load");
        }
    }
    let refused = reconcile(server.data(), &[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("in use by another process"), "{said}");
    assert!(server.stop().success());

    // So little was written that the queue has all of it still.
    let clean = reconcile(server.data(), &["--mend"]);
    let found = report(&clean);
    assert!(clean.status.success(), "{found}");
    assert_eq!((found["expected"].as_u64(), found["clean"].as_bool()), (Some(samples.made()), Some(true)), "{found}");

    // The store alone is lost: its folder begins anew.
    server.start_again();
    assert!(server.stop().success());
    let folder = server.data().join("store");
    std::fs::remove_dir_all(&folder).unwrap();
    let missing = reconcile(server.data(), &[]);
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(!missing.status.success() && said.contains("there is no database"), "{said}");
    assert!(!folder.exists());
}
