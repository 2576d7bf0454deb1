//! Starts an engine in a container and says on its standard output, in one line of JSON, where it answers, or what is wrong:
//! `{"error": "..."}`. The container is removed when the standard input ends, which happens however the test process ended. So
//! the scripts of `tests/engines` behave too; unlike them, this obeys no commands.
//!
//! | module | holds |
//! |---|---|
//! | [`kafka`] | the request for a container of Apache Kafka |
//! | [`clickhouse`] | the request for a container of ClickHouse |

mod clickhouse;
mod kafka;

use std::io::{self, Write as _};
use std::net::TcpListener;
use std::process::ExitCode;

use serde_json::{Value, json};
use testcontainers::runners::SyncRunner as _;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let engine = std::env::args().nth(1).unwrap_or_default();
    match run(&engine) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever started this has gone where it cannot be told.
            let _ = say(&json!({"error": format!("no container of {engine}: {error}")}));
            ExitCode::FAILURE
        }
    }
}

fn run(engine: &str) -> Result<(), Failure> {
    let port = free_port()?;
    let (request, ready) = match engine {
        "kafka" => (kafka::request(port), json!({"brokers": [format!("127.0.0.1:{port}")]})),
        "clickhouse" => (clickhouse::request(port), json!({"urls": [format!("http://127.0.0.1:{port}")]})),
        _ => return Err("the engines are kafka and clickhouse".into()),
    };
    // Removed where this goes out of scope.
    let _container = request.start()?;
    if engine == "clickhouse" {
        clickhouse::wait_until_it_answers(port)?;
    }
    say(&ready)?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn say(line: &Value) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// Kafka must know the port that its clients see before it starts, so Docker cannot choose it.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The version of an image in docker-compose.yml.
#[cfg(test)]
fn composed(image: &str) -> String {
    let compose = include_str!("../../../docker-compose.yml");
    let prefix = format!("image: {image}:");
    let mut tags = compose.lines().filter_map(|line| line.trim().strip_prefix(&prefix));
    tags.next().expect("docker-compose.yml has the image").to_owned()
}
