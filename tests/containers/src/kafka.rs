//! Apache Kafka: one node, broker and controller, without logins.

use std::time::Duration;

use testcontainers::core::{IntoContainerPort as _, WaitFor};
use testcontainers::{ContainerRequest, GenericImage, ImageExt as _};

/// As in docker-compose.yml.
const IMAGE: &str = "apache/kafka";
const TAG: &str = "4.2.2";

/// Where it listens for clients inside of the container.
const CLIENTS: u16 = 9094;

/// Pulling the image may take this long.
const PATIENCE: Duration = Duration::from_secs(600);

/// A container whose clients connect to `port` of 127.0.0.1. Settings are those of `tests/engines/kafka.py` for one node.
pub(crate) fn request(port: u16) -> ContainerRequest<GenericImage> {
    let advertised = format!("INSIDE://localhost:9092,HOST://127.0.0.1:{port}");
    let settings = [
        ("NODE_ID", "1"),
        ("PROCESS_ROLES", "broker,controller"),
        ("CONTROLLER_QUORUM_VOTERS", "1@localhost:9093"),
        ("CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        ("LISTENERS", "INSIDE://:9092,CONTROLLER://:9093,HOST://:9094"),
        ("ADVERTISED_LISTENERS", &advertised),
        ("LISTENER_SECURITY_PROTOCOL_MAP", "INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT,HOST:PLAINTEXT"),
        ("INTER_BROKER_LISTENER_NAME", "INSIDE"),
        ("NUM_PARTITIONS", "4"),
        ("AUTO_CREATE_TOPICS_ENABLE", "false"),
        ("OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
        ("OFFSETS_TOPIC_NUM_PARTITIONS", "4"),
        ("TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1"),
        ("TRANSACTION_STATE_LOG_MIN_ISR", "1"),
        ("TRANSACTION_STATE_LOG_NUM_PARTITIONS", "4"),
        ("SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR", "1"),
        ("SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR", "1"),
        ("GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
        // Tests let members die often.
        ("GROUP_MIN_SESSION_TIMEOUT_MS", "1000"),
    ];
    let image = GenericImage::new(IMAGE, TAG).with_wait_for(WaitFor::message_on_stdout("Kafka Server started"));
    let mut request = image
        .with_mapped_port(port, CLIENTS.tcp())
        .with_startup_timeout(PATIENCE)
        .with_env_var("KAFKA_HEAP_OPTS", "-Xms64m -Xmx512m");
    for (setting, value) in settings {
        request = request.with_env_var(format!("KAFKA_{setting}"), value);
    }
    request
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::composed;

    #[test]
    fn the_image_is_that_of_docker_compose() {
        assert_eq!(TAG, composed(IMAGE));
        assert_eq!(request(1).descriptor(), format!("{IMAGE}:{TAG}"));
    }

    #[test]
    fn clients_are_sent_to_the_port_that_is_mapped() {
        let request = request(45_678);
        let ports: Vec<_> = request.ports().into_iter().flatten().map(|at| (at.host_port(), at.container_port())).collect();
        assert_eq!(ports, [(45_678, CLIENTS.tcp())]);
        let settings: BTreeMap<String, String> =
            request.env_vars().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        let of = |name: &str| settings[name].as_str();
        assert!(of("KAFKA_LISTENERS").contains(&format!("HOST://:{CLIENTS}")));
        assert!(of("KAFKA_ADVERTISED_LISTENERS").contains("HOST://127.0.0.1:45678"));
        assert_eq!((of("KAFKA_PROCESS_ROLES"), of("KAFKA_NODE_ID")), ("broker,controller", "1"));
        let (voter, address) = of("KAFKA_CONTROLLER_QUORUM_VOTERS").split_once('@').unwrap();
        let (_, controller) = address.split_once(':').unwrap();
        assert_eq!(voter, of("KAFKA_NODE_ID"));
        assert!(of("KAFKA_LISTENERS").contains(&format!("CONTROLLER://:{controller}")));
        for listener in of("KAFKA_LISTENERS").split(',').filter_map(|listener| listener.split("://").next()) {
            assert!(of("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP").contains(&format!("{listener}:PLAINTEXT")));
        }
        // One broker keeps one copy of everything.
        let factors = settings.iter().filter(|(name, _)| name.ends_with("REPLICATION_FACTOR") || name.ends_with("MIN_ISR"));
        assert!(factors.map(|(_, value)| value).all(|value| value == "1"));
    }
}
