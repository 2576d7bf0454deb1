//! Which configurations are refused.

use crate::config::{KafkaConfig, TENANT_PLACEHOLDER};
use crate::error::KafkaError;

/// Settings of librdkafka that carry a promise: where other values would lose or double records, skip some silently, leave results
/// untold, fill the memory, or accept any broker for ours.
const PROMISES: &[&str] = &[
    // Records are acknowledged by all in-sync replicas, once, in their order, each with its result and offset.
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "message.send.max.retries",
    "retries",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "queuing.strategy",
    "transactional.id",
    "delivery.report.only.error",
    "produce.offset.report",
    // A key's partition is what Java clients compute.
    "partitioner",
    // What is committed is what was stored.
    "enable.auto.commit",
    "auto.commit.enable",
    "enable.auto.offset.store",
    "offset.store.method",
    "offset.store.path",
    // Where to begin is never a default's choice, and nothing that was not decided is read.
    "auto.offset.reset",
    "isolation.level",
    // Members of the group agree on how partitions are given and taken.
    "partition.assignment.strategy",
    "group.protocol",
    "group.protocol.type",
    "group.remote.assignor",
    "group.instance.id",
    // Topics are made by `luminate topics apply`, as the configuration has them, and all of them are read.
    "allow.auto.create.topics",
    "topic.blacklist",
    // Events that nobody takes would pile up.
    "statistics.interval.ms",
    "enable.partition.eof",
    "log.queue",
    // Whoever answers is checked, by the name that is configured and not by the one that DNS gives its address.
    "enable.ssl.certificate.verification",
    "ssl.endpoint.identification.algorithm",
    "client.dns.lookup",
    // A library that is loaded into the client can set every one of these.
    "plugin.library.paths",
];

/// What the names of settings begin with that replace brokers by made-up ones.
const MADE_UP: &str = "test.";

/// Settings of librdkafka that have a key of their own in the section.
const OWN_KEYS: &[(&str, &str)] = &[
    ("bootstrap.servers", "brokers"),
    ("metadata.broker.list", "brokers"),
    ("group.id", "consumer.group"),
    ("session.timeout.ms", "consumer.sessionTimeout"),
    ("max.poll.interval.ms", "consumer.maxPollInterval"),
    ("queued.max.messages.kbytes", "consumer.prefetch"),
    ("topic.metadata.refresh.interval.ms", "consumer.discoveryInterval"),
    ("message.timeout.ms", "producer.deliveryTimeout"),
    ("delivery.timeout.ms", "producer.deliveryTimeout"),
    ("message.max.bytes", "producer.maxRecordBytes"),
    ("queue.buffering.max.kbytes", "producer.buffer"),
    ("queue.buffering.max.ms", "producer.linger"),
    ("linger.ms", "producer.linger"),
    ("compression.codec", "producer.compression"),
    ("compression.type", "producer.compression"),
    ("security.protocol", "tls.enabled"),
    ("ssl.ca.location", "tls.caFile"),
    ("ssl.ca.pem", "tls.caFile"),
    ("ssl.certificate.location", "tls.certificateFile"),
    ("ssl.certificate.pem", "tls.certificateFile"),
    ("ssl.keystore.location", "tls.certificateFile"),
    ("ssl.keystore.password", "tls.keyPassword"),
    ("ssl.key.location", "tls.keyFile"),
    ("ssl.key.pem", "tls.keyFile"),
    ("ssl.key.password", "tls.keyPassword"),
    ("sasl.mechanism", "sasl.mechanism"),
    ("sasl.mechanisms", "sasl.mechanism"),
    ("sasl.username", "sasl.username"),
    ("sasl.password", "sasl.password"),
];

impl KafkaConfig {
    /// Refuses what cannot work or would break a promise.
    ///
    /// # Errors
    /// [`KafkaError::Config`] names the key.
    pub fn check(&self) -> Result<(), KafkaError> {
        ensure(!self.brokers.is_empty(), "brokers", "name at least one broker, host:port")?;
        let is_address = |broker: &String| !broker.is_empty() && !broker.contains(char::is_whitespace);
        ensure(self.brokers.iter().all(is_address), "brokers", "each must be host:port, without blanks")?;
        let topics = &self.topics;
        ensure(!topics.samples.is_empty(), "topics.samples", "must not be empty")?;
        ensure(!topics.dead_letters.is_empty(), "topics.deadLetters", "must not be empty")?;
        let placeholders = topics.tenant.matches(TENANT_PLACEHOLDER).count();
        ensure(placeholders == 1, "topics.tenant", "must hold {tenant} once")?;
        ensure(topics.partitions > 0, "topics.partitions", "must be at least 1")?;
        ensure(topics.replication != Some(0), "topics.replication", "must be at least 1")?;
        let most = topics.replication.unwrap_or(u32::MAX);
        let in_sync = topics.min_insync_replicas.is_none_or(|in_sync| (1..=most).contains(&in_sync));
        ensure(in_sync, "topics.minInsyncReplicas", "must be from 1 to topics.replication")?;
        self.check_clients()?;
        self.check_security()?;
        self.librdkafka.keys().try_for_each(|key| check_passed_through(key))
    }

    fn check_clients(&self) -> Result<(), KafkaError> {
        let (producer, consumer) = (&self.producer, &self.consumer);
        let largest = producer.max_record_bytes.get();
        ensure((1024..=256 << 20).contains(&largest), "producer.maxRecordBytes", "must be from 1KiB to 256MiB")?;
        ensure(producer.buffer.get() >= largest, "producer.buffer", "must be at least producer.maxRecordBytes")?;
        ensure(
            (100..=300_000).contains(&producer.delivery_timeout.get().as_millis()),
            "producer.deliveryTimeout",
            "must be from 100ms to 5m",
        )?;
        ensure(
            producer.linger < producer.delivery_timeout,
            "producer.linger",
            "must be less than producer.deliveryTimeout",
        )?;
        ensure(!consumer.group.is_empty(), "consumer.group", "must not be empty")?;
        ensure(consumer.session_timeout.get().as_millis() >= 1000, "consumer.sessionTimeout", "must be at least 1s")?;
        ensure(
            consumer.max_poll_interval >= consumer.session_timeout,
            "consumer.maxPollInterval",
            "must be at least consumer.sessionTimeout",
        )?;
        ensure(
            (1 << 10..=2 << 30).contains(&consumer.prefetch.get()),
            "consumer.prefetch",
            "must be from 1KiB to 2GiB",
        )?;
        ensure(!consumer.watch_interval.get().is_zero(), "consumer.watchInterval", "must be more than 0")?;
        ensure(
            (10..=3_600_000).contains(&consumer.discovery_interval.get().as_millis()),
            "consumer.discoveryInterval",
            "must be from 10ms to 1h",
        )
    }

    fn check_security(&self) -> Result<(), KafkaError> {
        let (tls, sasl) = (&self.tls, &self.sasl);
        let has_files = tls.ca_file.is_some() || tls.certificate_file.is_some() || tls.key_file.is_some();
        ensure(tls.enabled || !has_files, "tls.enabled", "must be true where files are named")?;
        let paired = tls.certificate_file.is_some() == tls.key_file.is_some();
        ensure(paired, "tls.keyFile", "certificateFile and keyFile go together")?;
        let paired = sasl.username.is_some() == sasl.password.is_some();
        ensure(paired, "sasl.password", "username and password go together")
    }
}

fn check_passed_through(key: &str) -> Result<(), KafkaError> {
    let refuse = |fault: String| Err(KafkaError::Config { key: format!("librdkafka.{key}"), fault });
    if PROMISES.contains(&key) || key.starts_with(MADE_UP) {
        return refuse("carries a promise of Luminate and cannot be set".to_owned());
    }
    match OWN_KEYS.iter().find(|(name, _)| *name == key) {
        Some((_, own)) => refuse(format!("has a key of its own: kafka.{own}")),
        None => Ok(()),
    }
}

fn ensure(holds: bool, key: &str, fault: &str) -> Result<(), KafkaError> {
    if holds { Ok(()) } else { Err(KafkaError::Config { key: key.to_owned(), fault: fault.to_owned() }) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rdkafka::error::KafkaError as ClientError;
    use rdkafka::types::RDKafkaConfRes;

    use super::*;

    fn valid() -> KafkaConfig {
        KafkaConfig { brokers: vec!["localhost:9092".to_owned()], ..KafkaConfig::default() }
    }

    fn refused(config: &KafkaConfig) -> String {
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn defaults_with_a_broker_are_taken() {
        valid().check().unwrap();
        assert_eq!(refused(&KafkaConfig::default()), "kafka.brokers: name at least one broker, host:port");
        let spoilt = KafkaConfig { brokers: vec!["a b:9092".to_owned()], ..KafkaConfig::default() };
        assert_eq!(refused(&spoilt), "kafka.brokers: each must be host:port, without blanks");
    }

    fn with(key: &str, value: &str) -> KafkaConfig {
        let librdkafka = [(key.to_owned(), value.to_owned())].into();
        KafkaConfig { librdkafka, ..valid() }
    }

    #[test]
    fn settings_with_a_promise_are_refused() {
        for key in PROMISES.iter().chain(&["test.mock.num.brokers"]) {
            let refused = refused(&with(key, "1"));
            assert_eq!(refused, format!("kafka.librdkafka.{key}: carries a promise of Luminate and cannot be set"));
        }
    }

    #[test]
    fn settings_with_a_key_of_their_own_are_refused() {
        for (key, own) in OWN_KEYS {
            let refused = refused(&with(key, "a secret"));
            assert_eq!(refused, format!("kafka.librdkafka.{key}: has a key of its own: kafka.{own}"));
        }
        for key in ["socket.keepalive.enable", "heartbeat.interval.ms", "client.rack", "debug", "fetch.wait.max.ms"] {
            with(key, "true").check().unwrap();
        }
    }

    /// A name that is not librdkafka's would refuse nothing.
    #[test]
    fn what_is_refused_are_settings_of_librdkafka() {
        let is_known = |key: &str| {
            let set = rdkafka::ClientConfig::new().set(key, "x").create_native_config();
            !matches!(set, Err(ClientError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)))
        };
        for key in PROMISES.iter().chain(OWN_KEYS.iter().map(|(key, _)| key)) {
            assert!(is_known(key), "{key}");
        }
        assert!(!is_known("enable.idempotency"));
    }

    #[test]
    fn halves_are_refused() {
        let mut config = valid();
        config.sasl.username = Some("writer".to_owned());
        assert!(refused(&config).starts_with("kafka.sasl.password"));
        let mut config = valid();
        config.topics.tenant = "samples".to_owned();
        assert!(refused(&config).starts_with("kafka.topics.tenant"));
        let mut config = valid();
        config.topics.replication = Some(3);
        config.topics.min_insync_replicas = Some(4);
        assert!(refused(&config).starts_with("kafka.topics.minInsyncReplicas"));
    }
}
