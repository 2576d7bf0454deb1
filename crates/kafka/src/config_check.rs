//! Which configurations are refused.

use crate::config::{KafkaConfig, TENANT_PLACEHOLDER};
use crate::error::KafkaError;

/// Settings of librdkafka that carry a promise: where other values would lose or double records, or skip some silently.
const PROMISES: &[&str] = &[
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "partitioner",
    "partition.assignment.strategy",
    "group.protocol",
    "group.instance.id",
    "isolation.level",
    "transactional.id",
    "message.send.max.retries",
    "retries",
    "enable.partition.eof",
    "log.queue",
];

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
    ("ssl.certificate.location", "tls.certificateFile"),
    ("ssl.key.location", "tls.keyFile"),
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
        ensure(topics.replication > 0, "topics.replication", "must be at least 1")?;
        let in_sync = (1..=topics.replication).contains(&topics.min_insync_replicas);
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
    if PROMISES.contains(&key) {
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

    #[test]
    fn settings_with_a_promise_are_refused() {
        for key in ["acks", "enable.auto.commit", "auto.offset.reset", "transactional.id", "isolation.level"] {
            let mut config = valid();
            config.librdkafka.insert(key.to_owned(), "1".to_owned());
            assert!(refused(&config).starts_with(&format!("kafka.librdkafka.{key}: carries a promise")));
        }
    }

    #[test]
    fn settings_with_a_key_of_their_own_are_refused() {
        let mut config = valid();
        config.librdkafka.insert("message.timeout.ms".to_owned(), "1".to_owned());
        assert!(refused(&config).ends_with("has a key of its own: kafka.producer.deliveryTimeout"));
        config.librdkafka.clear();
        config.librdkafka.insert("socket.keepalive.enable".to_owned(), "true".to_owned());
        config.check().unwrap();
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
        config.topics.min_insync_replicas = 4;
        assert!(refused(&config).starts_with("kafka.topics.minInsyncReplicas"));
    }
}
