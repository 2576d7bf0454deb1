//! The section as librdkafka's settings: what all clients share, then what each kind needs, then what was passed through.

use std::path::Path;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::bootstrap::STATISTICS_INTERVAL;
use crate::config::{Compression, KafkaConfig};

/// What a record's key, headers and framing may take beside its value.
const RECORD_OVERHEAD: u64 = 16 << 10;

/// A dead letter repeats the record's headers and says why it is one.
pub(crate) const DEAD_LETTER_OVERHEAD: u64 = 1 << 20;

/// What a batch of records is allowed beyond the largest record.
const BATCH_OVERHEAD: u64 = 4 << 10;

/// How long a request may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Clients' settings.
pub(crate) struct Settings<'a> {
    config: &'a KafkaConfig,
}

impl<'a> Settings<'a> {
    pub(crate) fn new(config: &'a KafkaConfig) -> Self {
        Self { config }
    }

    /// A client that asks: topics, ends, committed offsets. It never joins the group.
    pub(crate) fn inspector(&self) -> ClientConfig {
        let mut settings = self.common();
        self.group(&mut settings);
        settings.set("statistics.interval.ms", millis(STATISTICS_INTERVAL));
        self.passed_through(settings)
    }

    /// A client that makes and changes topics.
    pub(crate) fn admin(&self) -> ClientConfig {
        self.passed_through(self.common())
    }

    /// A client that writes records of `value_bytes` at most.
    pub(crate) fn producer(&self, value_bytes: u64) -> ClientConfig {
        let producer = &self.config.producer;
        let mut settings = self.common();
        settings
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", millis(producer.delivery_timeout.get()))
            .set("message.max.bytes", (value_bytes + RECORD_OVERHEAD).to_string())
            .set("queue.buffering.max.kbytes", kbytes(producer.buffer.get()))
            .set("linger.ms", millis(producer.linger.get()))
            .set("compression.codec", producer.compression.name())
            .set("retry.backoff.ms", "50")
            .set("statistics.interval.ms", millis(STATISTICS_INTERVAL));
        if producer.compression == Compression::Zstd {
            settings.set("compression.level", "1");
        }
        self.passed_through(settings)
    }

    /// A client that reads partitions which the group, or the configuration, gives it.
    pub(crate) fn consumer(&self) -> ClientConfig {
        let consumer = &self.config.consumer;
        let mut settings = self.common();
        self.group(&mut settings);
        let heartbeat = (consumer.session_timeout.get() / 6).min(Duration::from_secs(3));
        settings
            // A broker that hangs is given up soon: a commit that it does not answer is waited for through all its attempts, also
            // while the group waits for a partition to be let go. Requests of the group that take long have times of their own.
            .set("socket.timeout.ms", "4000")
            .set("session.timeout.ms", millis(consumer.session_timeout.get()))
            .set("heartbeat.interval.ms", millis(heartbeat))
            .set("max.poll.interval.ms", millis(consumer.max_poll_interval.get()))
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("topic.metadata.refresh.interval.ms", millis(consumer.discovery_interval.get()))
            // Partitions have queues of their own, so that this bounds each one.
            .set("queued.max.messages.kbytes", kbytes(consumer.prefetch.get()))
            .set("fetch.message.max.bytes", consumer.prefetch.get().min(4 << 20).to_string())
            .set("fetch.queue.backoff.ms", "50")
            .set("fetch.wait.max.ms", "100")
            .set("statistics.interval.ms", millis(STATISTICS_INTERVAL));
        self.passed_through(settings)
    }

    /// A client that reads a topic from its start to its end, and says when it is there.
    pub(crate) fn reader(&self) -> ClientConfig {
        let mut settings = self.common();
        self.group(&mut settings);
        settings
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "20")
            .set("queued.max.messages.kbytes", kbytes(8 << 20));
        self.passed_through(settings)
    }

    /// What the topic of samples must take at least, in bytes.
    pub(crate) fn largest_batch(&self) -> u64 {
        self.config.producer.max_record_bytes.get() + RECORD_OVERHEAD + BATCH_OVERHEAD
    }

    /// What the topic of dead letters must take at least, in bytes.
    pub(crate) fn largest_dead_letter(&self) -> u64 {
        self.largest_batch() + DEAD_LETTER_OVERHEAD
    }

    fn common(&self) -> ClientConfig {
        let mut settings = ClientConfig::new();
        // With what is known of broken connections.
        settings.set_log_level(RDKafkaLogLevel::Info);
        settings
            .set("bootstrap.servers", self.config.brokers.join(","))
            .set("client.id", "luminate")
            .set("socket.keepalive.enable", "true")
            .set("socket.timeout.ms", "10000")
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("reconnect.backoff.max.ms", "1000");
        self.security(&mut settings);
        settings
    }

    fn group(&self, settings: &mut ClientConfig) {
        let largest = self.largest_dead_letter().max(32 << 20);
        settings
            .set("group.id", &self.config.consumer.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Where to begin is decided here, never by a default that skips or repeats.
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("fetch.max.bytes", largest.to_string())
            .set("receive.message.max.bytes", (2 * largest).to_string());
    }

    fn security(&self, settings: &mut ClientConfig) {
        let (tls, sasl) = (&self.config.tls, &self.config.sasl);
        let protocol = match (tls.enabled, sasl.username.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        };
        settings.set("security.protocol", protocol);
        let files = [
            ("ssl.ca.location", &tls.ca_file),
            ("ssl.certificate.location", &tls.certificate_file),
            ("ssl.key.location", &tls.key_file),
        ];
        for (name, file) in files {
            if let Some(file) = file {
                settings.set(name, path_text(file));
            }
        }
        if let Some(password) = &tls.key_password {
            settings.set("ssl.key.password", password.secret().expose());
        }
        if let (Some(username), Some(password)) = (&sasl.username, &sasl.password) {
            settings
                .set("sasl.mechanism", sasl.mechanism.name())
                .set("sasl.username", username)
                .set("sasl.password", password.secret().expose());
        }
    }

    fn passed_through(&self, mut settings: ClientConfig) -> ClientConfig {
        for (key, value) in &self.config.librdkafka {
            settings.set(key, value);
        }
        settings
    }
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

/// librdkafka counts in units of 1024 bytes.
fn kbytes(bytes: u64) -> String {
    (bytes >> 10).max(1).to_string()
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
