//! SIGTERM and SIGINT, in a process of its own: this binary starts itself again as the process that is signalled.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::exit, missing_docs)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use luminate_runtime::lifecycle::{Identity, Lifecycle, LifecycleConfig, StopStage};
use luminate_runtime::telemetry::{Metrics, Process};

/// Tells the process that is signalled how to behave.
const BEHAVIOUR: &str = "LUMINATE_TEST_BEHAVIOUR";

#[test]
#[ignore = "not a test: the process that the others signal"]
fn signalled_process() {
    let Ok(behaviour) = std::env::var(BEHAVIOUR) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let code = runtime.block_on(async {
        let config = LifecycleConfig { drain_timeout: Duration::from_secs(60).into(), ..LifecycleConfig::default() };
        let identity = Identity { service: "test", version: "0" };
        let lifecycle = Lifecycle::new(identity, config, Metrics::new(&[Process::Writer]).unwrap());
        lifecycle.handle_signals().unwrap();
        lifecycle.spawn("worker", StopStage::Drain, |mut stop| async move {
            stop.requested().await;
            println!("draining");
            if behaviour == "stuck" {
                std::future::pending::<()>().await;
            }
            Ok(())
        });
        println!("ready");
        let report = lifecycle.run_until_stopped().await;
        i32::from(!report.failures.is_empty())
    });
    std::process::exit(code);
}

struct Signalled {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

fn start(behaviour: &str) -> Signalled {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "signalled_process", "--ignored", "--nocapture"])
        .env(BEHAVIOUR, behaviour)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut signalled = Signalled { child, lines };
    signalled.wait_for("ready");
    signalled
}

impl Signalled {
    fn wait_for(&mut self, line: &str) {
        // The test harness writes on the same line before the first of ours.
        let found = self.lines.by_ref().map_while(Result::ok).any(|found| found.ends_with(line));
        assert!(found, "the process ended before it said {line}");
    }

    fn signal(&self, name: &str) {
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status().unwrap();
        assert!(status.success());
    }

    fn exit_code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

#[test]
fn one_signal_stops_in_order() {
    for name in ["TERM", "INT"] {
        let process = start("well-behaved");
        process.signal(name);
        assert_eq!(process.exit_code(), Some(0), "{name}");
    }
}

#[test]
fn a_second_signal_ends_at_once_with_the_code_of_shells() {
    for (first, second, code) in [("TERM", "TERM", 143), ("INT", "INT", 130), ("TERM", "INT", 130)] {
        let mut process = start("stuck");
        process.signal(first);
        process.wait_for("draining");
        process.signal(second);
        assert_eq!(process.exit_code(), Some(code), "{first} {second}");
    }
}
