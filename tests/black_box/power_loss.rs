//! Power loss, played: the server is killed, and everything that its logs were given and had not synced is cut off, as a machine
//! forgets what was only in its page cache. What was acknowledged is there all the same, once.

use std::collections::{BTreeMap, HashMap};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use luminate_tests::samples::SampleMaker;
use luminate_tests::{Client, wait};

use crate::sync::{child_of, traced_server};

const WRITES_AND_SYNCS: &str = "trace=write,pwrite64,writev,pwritev,fsync,fdatasync";

/// What a log was given, and how much of that is known to be on disk, in bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Written {
    given: u64,
    synced: u64,
}

/// The write-ahead logs of both databases in a trace. A sync covers what was given before it began.
fn logs(trace: &str) -> BTreeMap<PathBuf, Written> {
    let mut logs: BTreeMap<PathBuf, Written> = BTreeMap::new();
    // By thread: the call that is under way, and what its file had been given when it began.
    let mut begun: HashMap<&str, (&str, u64)> = HashMap::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(char::is_whitespace) else { continue };
        let call = call.trim_start();
        let resumed = call.starts_with("<...");
        let (first, given_before) = if resumed {
            let Some(first) = begun.remove(thread) else { continue };
            first
        } else {
            (call, file_of(call).map_or(0, |file| logs.get(&file).map_or(0, |log| log.given)))
        };
        if call.ends_with("<unfinished ...>") {
            begun.insert(thread, (call, given_before));
            continue;
        }
        let Some(file) = file_of(first).filter(|file| is_log(file)) else { continue };
        let Some(result) = call.rsplit_once(" = ").and_then(|(_, result)| result.trim().parse::<u64>().ok()) else {
            continue;
        };
        let log = logs.entry(file).or_default();
        if first.starts_with("fsync(") || first.starts_with("fdatasync(") {
            log.synced = log.synced.max(given_before);
        } else {
            log.given += result;
        }
    }
    logs
}

/// The file of a call's first argument, which strace shows as `7</path>`.
fn file_of(call: &str) -> Option<PathBuf> {
    let (_, rest) = call.split_once('<')?;
    Some(PathBuf::from(rest.split_once('>')?.0))
}

fn is_log(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "log")
}

#[test]
fn what_was_acknowledged_survives_the_loss_of_all_that_was_not_synced() {
    let folder = tempfile::tempdir().unwrap();
    let trace_file = folder.path().join("trace");
    let mut server = traced_server(&trace_file, WRITES_AND_SYNCS);
    let mut maker = SampleMaker::new(11);
    let client: Client = server.client("acme");
    let mut receipt = String::new();
    for _ in 0..40 {
        receipt = client.write_all(&maker.body("powered", 5).0);
    }
    // The writer's commits follow, which are hints and not synced: there is something to lose.
    assert_eq!(client.count(Some(&receipt), "powered"), 200);
    for _ in 0..10 {
        client.write_all(&maker.body("powered", 5).0);
    }
    let pid = wait::until("the traced server has a process", || child_of(server.pid()));
    luminate_tests::server::signal(pid, libc::SIGKILL);
    let _ = server.wait_end();

    let trace = String::from_utf8_lossy(&std::fs::read(&trace_file).unwrap()).into_owned();
    let logs = logs(&trace);
    let mut lost = 0;
    for (file, written) in logs.iter().filter(|(file, _)| file.exists()) {
        assert!(written.given > 0, "{} was synced and never written", file.display());
        OpenOptions::new().write(true).open(file).unwrap().set_len(written.synced).unwrap();
        lost += written.given - written.synced;
    }
    assert!(
        logs.keys().any(|file| file.to_string_lossy().contains("/queue/")),
        "the trace shows the queue's log: {logs:?}"
    );
    assert!(lost > 0, "nothing was there to lose: {logs:?}");

    server.options_mut().wrapper.clear();
    server.start_again();
    let client = server.client("acme");
    let total =
        wait::until("all is stored", || (client.count(None, "powered") >= 250).then(|| client.count(None, "powered")));
    assert_eq!(total, 250, "each sample once");
}

#[test]
fn the_trace_is_read_as_the_kernel_meant_it() {
    let trace = "\
7 write(5</d/queue/1.log>, \"x\", 10) = 10
8 fdatasync(5</d/queue/1.log> <unfinished ...>
7 write(5</d/queue/1.log>, \"x\", 7) = 7
8 <... fdatasync resumed>) = 0
7 write(6</d/LOG>, \"x\", 3) = 3
";
    let expected = BTreeMap::from([(PathBuf::from("/d/queue/1.log"), Written { given: 17, synced: 10 })]);
    assert_eq!(logs(trace), expected);
}
