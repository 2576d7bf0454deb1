//! Tests of supervision and of the order of a stop.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::ExitCode;

use super::*;
use crate::telemetry::Process;

fn lifecycle() -> Lifecycle {
    let identity = Identity { service: "test", version: "0" };
    Lifecycle::new(identity, LifecycleConfig::default(), Metrics::new(&[Process::Writer]).unwrap())
}

fn requested() -> StopReason {
    StopReason::Requested("test".to_owned())
}

fn succeeded(report: &StopReport) -> bool {
    format!("{:?}", report.exit_code()) == format!("{:?}", ExitCode::SUCCESS)
}

/// What tasks did, in order.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }

    fn assert_in_order(&self, expected: &[&str]) {
        let notes = self.0.lock().unwrap();
        let mut rest = notes.iter();
        let found = expected.iter().all(|expected| rest.any(|note| note == expected));
        assert!(found, "{expected:?} in {notes:?}");
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().join(", ")
    }
}

#[tokio::test(start_paused = true)]
async fn stages_stop_one_after_the_other_whatever_the_order_of_starting() {
    let lifecycle = lifecycle();
    let diary = Diary::default();
    for (name, stage, takes) in [
        ("store", StopStage::Close, 1),
        ("http", StopStage::Requests, 4),
        ("writer", StopStage::Drain, 2),
        ("merge", StopStage::Drain, 3),
    ] {
        let diary = diary.clone();
        lifecycle.spawn(name, stage, move |mut stop| async move {
            stop.requested().await;
            diary.note(&format!("{name} told"));
            tokio::time::sleep(Duration::from_secs(takes)).await;
            diary.note(&format!("{name} ended"));
            Ok(())
        });
    }
    lifecycle.set_ready();
    lifecycle.request_stop(requested());
    assert_eq!(lifecycle.phase(), Phase::Draining);
    let report = lifecycle.run_until_stopped().await;
    assert_eq!(report, StopReport { reason: requested(), failures: Vec::new() });
    assert!(succeeded(&report));
    assert_eq!(lifecycle.phase(), Phase::Stopped);
    diary.assert_in_order(&["http told", "http ended", "writer told", "writer ended", "store told"]);
    // Tasks of one stage are told together.
    diary.assert_in_order(&["http ended", "merge told", "writer ended", "merge ended", "store told", "store ended"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_end_is_cut_off_and_the_rest_still_stops() {
    let lifecycle = lifecycle();
    let diary = Diary::default();
    lifecycle.spawn("stuck", StopStage::Requests, |_| std::future::pending());
    let closing = diary.clone();
    lifecycle.spawn("store", StopStage::Close, move |mut stop| async move {
        stop.requested().await;
        closing.note("closed");
        Ok(())
    });
    let began = Instant::now();
    lifecycle.request_stop(requested());
    let report = lifecycle.run_until_stopped().await;
    assert_eq!(report.failures, ["task stuck had not ended 10 s after it was told to stop"]);
    assert!(!succeeded(&report));
    assert_eq!(diary.text(), "closed");
    assert_eq!(began.elapsed(), Duration::from_secs(10), "it was waited for once");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_unasked_stops_the_process() {
    for (name, expected) in [
        ("ends", "task ends ended though nobody told it to"),
        ("fails", "task fails failed: outer: inner"),
        ("panics", "task panics panicked: swordfish"),
    ] {
        let lifecycle = lifecycle();
        lifecycle.set_ready();
        lifecycle.spawn("bystander", StopStage::Drain, |mut stop| async move {
            stop.requested().await;
            Ok(())
        });
        lifecycle.spawn(name, StopStage::Drain, move |_| async move {
            match name {
                "ends" => Ok(()),
                "fails" => Err(TaskError::from(Outer(std::io::Error::other("inner")))),
                _ => panic!("swordfish"),
            }
        });
        let report = lifecycle.run_until_stopped().await;
        assert_eq!(report.failures, [expected]);
        assert_eq!(report.reason.to_string(), expected);
        assert!(!succeeded(&report));
    }
}

#[derive(Debug, thiserror::Error)]
#[error("outer")]
struct Outer(#[source] std::io::Error);

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_while_it_stops_is_reported() {
    let lifecycle = lifecycle();
    lifecycle.spawn("writer", StopStage::Drain, |mut stop| async move {
        stop.requested().await;
        Err("the disk is full".into())
    });
    lifecycle.request_stop(requested());
    let report = lifecycle.run_until_stopped().await;
    assert_eq!(report.reason, requested());
    assert_eq!(report.failures, ["task writer failed: the disk is full"]);
}

#[tokio::test]
async fn threads_are_supervised_as_tasks_are() {
    let lifecycle = lifecycle();
    lifecycle
        .spawn_thread("poll", StopStage::Drain, |mut stop| {
            tokio::runtime::Handle::current().block_on(stop.requested());
            Ok(())
        })
        .unwrap();
    lifecycle.request_stop(requested());
    assert!(lifecycle.run_until_stopped().await.failures.is_empty());

    let lifecycle = self::lifecycle();
    lifecycle.spawn_thread("poll", StopStage::Drain, |_| panic!("swordfish")).unwrap();
    let report = lifecycle.run_until_stopped().await;
    assert_eq!(report.failures, ["task poll failed: panicked"]);
}

#[tokio::test(start_paused = true)]
async fn the_first_reason_stands_and_phases_only_go_forward() {
    let lifecycle = lifecycle();
    lifecycle.request_stop(StopReason::Signal("SIGTERM"));
    lifecycle.request_stop(requested());
    lifecycle.set_ready();
    assert_eq!(lifecycle.phase(), Phase::Draining);
    assert_eq!(lifecycle.stop_requested().await, StopReason::Signal("SIGTERM"));
}

#[tokio::test(start_paused = true)]
async fn balancers_get_time_to_look_away() {
    let identity = Identity { service: "test", version: "0" };
    let config = LifecycleConfig { stop_delay: Duration::from_secs(5).into(), ..LifecycleConfig::default() };
    let lifecycle = Lifecycle::new(identity, config, Metrics::new(&[Process::Writer]).unwrap());
    let told_after = Arc::new(Mutex::new(None));
    let (began, noted) = (Instant::now(), Arc::clone(&told_after));
    lifecycle.spawn("http", StopStage::Requests, move |mut stop| async move {
        stop.requested().await;
        *noted.lock().unwrap() = Some(began.elapsed());
        Ok(())
    });
    lifecycle.request_stop(requested());
    lifecycle.run_until_stopped().await;
    assert_eq!(*told_after.lock().unwrap(), Some(Duration::from_secs(5)));
}

#[tokio::test(start_paused = true)]
async fn tasks_are_counted_while_they_run() {
    let lifecycle = lifecycle();
    lifecycle.spawn("writer", StopStage::Drain, |mut stop| async move {
        stop.requested().await;
        Ok(())
    });
    let alive = lifecycle.metrics().tasks_alive.with(["writer"]);
    assert!((alive.get() - 1.0).abs() < f64::EPSILON);
    lifecycle.request_stop(requested());
    lifecycle.run_until_stopped().await;
    assert!(alive.get().abs() < f64::EPSILON);
}

#[tokio::test(start_paused = true)]
async fn the_event_loop_is_watched_while_the_process_runs() {
    let lifecycle = lifecycle();
    let running = tokio::spawn({
        let lifecycle = lifecycle.clone();
        async move { lifecycle.run_until_stopped().await }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(lifecycle.heartbeats().names(), ["event-loop"]);
    assert!(lifecycle.heartbeats().silent().is_empty(), "it turns");
    lifecycle.request_stop(requested());
    running.await.unwrap();
}
