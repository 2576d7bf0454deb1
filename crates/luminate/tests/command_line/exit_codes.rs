//! What scripts are told by exit codes, and people by messages.

use crate::server::{Server, luminate, run};

/// A port of this machine on which nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn a_wrong_command_line_is_2() {
    for words in
        [&["no-such-command"][..], &["query"], &["token"], &["dlq", "purge"], &["query", "-m", "m", "--end", "1"]]
    {
        let ran = run(luminate(words), "");
        assert_eq!((ran.code, ran.data.as_str()), (2, ""), "{ran:?}");
    }
}

#[test]
fn a_server_that_is_not_there_is_3() {
    let mut command = luminate(&["query", "-m", "m"]);
    command.env("LUMINATE_TOKEN", "t").env("LUMINATE_URL", nobody());
    let ran = run(command, "");
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.messages.contains("is Luminate running there? LUMINATE_URL"), "{ran:?}");
    assert_eq!(run(luminate(&["health", "--url", &nobody()]), "").code, 3);
}

#[test]
fn a_token_that_is_missing_wrong_or_too_little_is_4() {
    let server = Server::start();
    let without = run(luminate(&["metrics", "--url", server.url()]), "");
    assert_eq!(without.code, 4, "{without:?}");
    assert!(without.messages.contains("luminate token"), "{without:?}");
    let wrong = server.run_as("a.b.c", &["metrics"], "");
    assert_eq!(wrong.code, 4, "{wrong:?}");
    let too_little = server.run_as(&server.token("acme", "write"), &["metrics"], "");
    assert_eq!(too_little.code, 4, "{too_little:?}");
    assert!(too_little.messages.contains("scope_missing"), "{too_little:?}");
}

#[test]
fn a_request_that_the_server_refuses_is_1_and_says_why() {
    let server = Server::start();
    let ran = server.run(&["query", "-m", "m", "-a", "mode"], "");
    assert_eq!((ran.code, ran.data.as_str()), (1, ""), "{ran:?}");
    assert!(ran.messages.contains("aggregation"), "{ran:?}");
}

/// The environment of an edge node names a store that the tables' command has nothing to do with.
#[test]
fn topics_are_looked_after_whatever_the_store_is() {
    let with_rocksdb = |words| {
        let mut command = luminate(words);
        command.env("LUMINATE_STORAGE_BACKEND", "rocksdb");
        command.env("LUMINATE_KAFKA_BROKERS", nobody().replace("http://", ""));
        run(command, "").messages
    };
    let topics = with_rocksdb(&["topics", "check"]);
    assert!(topics.contains("kafka_unreachable"), "{topics}");
    let migrate = with_rocksdb(&["migrate"]);
    assert!(migrate.contains("storage.backend"), "{migrate}");
}

#[test]
fn a_token_needs_a_server_that_made_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = luminate(&["token", "--tenant", "acme"]);
    command.arg("--data").arg(folder.path());
    let ran = run(command, "");
    assert_eq!((ran.code, ran.data.as_str()), (1, ""), "{ran:?}");
    assert!(ran.messages.contains("luminate serve"), "{ran:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
}
