//! ClickHouse: one server, whose user `default` may do everything, without a password.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use testcontainers::core::IntoContainerPort as _;
use testcontainers::{ContainerRequest, GenericImage, ImageExt as _};

/// As in docker-compose.yml.
const IMAGE: &str = "clickhouse/clickhouse-server";
const TAG: &str = "26.9";

/// The HTTP interface inside of the container.
const HTTP: u16 = 8123;

/// Pulling the image may take this long.
const PATIENCE: Duration = Duration::from_secs(600);
/// A server that was started answers within this.
const START: Duration = Duration::from_secs(60);
const TURN: Duration = Duration::from_millis(100);

/// A container whose HTTP interface is at `port` of 127.0.0.1.
pub(crate) fn request(port: u16) -> ContainerRequest<GenericImage> {
    GenericImage::new(IMAGE, TAG)
        .with_mapped_port(port, HTTP.tcp())
        .with_startup_timeout(PATIENCE)
        // Without a password the image lets `default` in from its own container alone, unless told otherwise.
        .with_env_var("CLICKHOUSE_SKIP_USER_SETUP", "1")
        .with_ulimit("nofile", 262_144, Some(262_144))
}

/// The server logs to a file of its own, so that its answer is what tells.
pub(crate) fn wait_until_it_answers(port: u16) -> Result<(), String> {
    let deadline = Instant::now() + START;
    while Instant::now() < deadline {
        if answers(port) {
            return Ok(());
        }
        thread::sleep(TURN);
    }
    Err(format!("it did not answer within {START:?}"))
}

fn answers(port: u16) -> bool {
    let ask = || {
        let mut connection = TcpStream::connect(("127.0.0.1", port))?;
        connection.set_read_timeout(Some(Duration::from_secs(2)))?;
        connection.write_all(b"GET /ping HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    ask().is_ok_and(|answer| answer.ends_with("Ok.\n"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::composed;

    #[test]
    fn the_image_is_that_of_docker_compose() {
        assert_eq!(TAG, composed(IMAGE));
        assert_eq!(request(1).descriptor(), format!("{IMAGE}:{TAG}"));
    }

    #[test]
    fn the_http_interface_is_mapped_and_default_may_come_from_outside() {
        let request = request(45_678);
        let ports: Vec<_> = request.ports().into_iter().flatten().map(|at| (at.host_port(), at.container_port())).collect();
        assert_eq!(ports, [(45_678, HTTP.tcp())]);
        let settings: Vec<_> = request.env_vars().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        assert_eq!(settings, [("CLICKHOUSE_SKIP_USER_SETUP".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn it_answers_when_its_ping_does() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let answering = thread::spawn(move || {
            for body in ["Starting", "Ok.\n"] {
                let (mut connection, _) = server.accept().unwrap();
                let mut request = [0; 64];
                let read = connection.read(&mut request).unwrap();
                assert!(request[..read].starts_with(b"GET /ping "));
                write!(connection, "HTTP/1.0 200 OK\r\n\r\n{body}").unwrap();
            }
        });
        wait_until_it_answers(port).unwrap();
        answering.join().unwrap();
        assert!(!answers(port));
    }
}
