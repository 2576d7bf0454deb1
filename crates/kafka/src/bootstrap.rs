//! Brings back a client that has forgotten every broker.
//!
//! A broker that its controllers have fenced (it stood still for longer than its lease) answers a request for metadata with topics
//! and with no brokers: where it is the only one, or all were fenced, nobody else is there to tell of. librdkafka 2.12 takes off
//! its list whatever it is not told of. Nothing is left to connect to then, and it would look up the configured brokers again only
//! after an unanswered request for metadata, of which it sends none
//! (<https://github.com/confluentinc/librdkafka/issues/5301>): the client would be deaf until its process is started again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::Client;
use rdkafka::error::KafkaError as ClientError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext};
use serde::Deserialize;

use crate::native;

/// How often a client says which brokers it knows.
pub(crate) const STATISTICS_INTERVAL: Duration = Duration::from_secs(5);

/// After so long without a word, two of them are overdue: nobody takes the client's events.
const SILENCE: Duration = Duration::from_secs(12);

/// How long a silent client may look for a broker.
const LOOKING: Duration = Duration::from_secs(1);

/// Whether a client knows any broker, by the statistics that it emits, and the brokers to give it where it does not.
#[derive(Debug)]
pub(crate) struct Bootstrap {
    /// As librdkafka takes them: comma separated.
    brokers: String,
    forgotten: AtomicBool,
    /// When the client said so last.
    said: Mutex<Instant>,
}

/// The part of librdkafka's statistics that is of interest.
#[derive(Deserialize)]
struct Statistics {
    brokers: HashMap<String, Broker>,
}

#[derive(Deserialize)]
struct Broker {
    /// `configured` or `learned` where it is a server; `internal` and `logical` are librdkafka's own.
    source: String,
}

impl Bootstrap {
    /// That of a client with these settings, which must have it emit statistics.
    pub(crate) fn of(settings: &ClientConfig) -> Self {
        let brokers = settings.get("bootstrap.servers").unwrap_or_default().to_owned();
        Self { brokers, forgotten: AtomicBool::new(false), said: Mutex::new(Instant::now()) }
    }

    /// Takes what the client says of itself.
    pub(crate) fn note(&self, statistics: &[u8]) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        match serde_json::from_slice::<Statistics>(statistics) {
            Ok(statistics) => self.forgotten.store(!statistics.knows_a_server(), Ordering::Release),
            Err(error) => tracing::debug!(%error, "librdkafka's statistics are not understood"),
        }
    }

    /// Gives the client the configured brokers again where it knows none. Whoever holds the client calls this now and then.
    pub(crate) fn restore<C: ClientContext>(&self, client: &Client<C>) {
        if self.forgotten.swap(false, Ordering::AcqRel) {
            self.give(client);
        }
    }

    /// Whether the client's events have not been taken for long, so that it has to be asked.
    pub(crate) fn is_silent(&self) -> bool {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).elapsed() > SILENCE
    }

    /// The same as [`restore`](Self::restore) for a silent client, where others are known to find a broker. Blocks.
    pub(crate) fn restore_silent<C: ClientContext>(&self, client: &Client<C>, topic: &str) {
        // librdkafka's words for having no broker to ask.
        let none = ClientError::MetadataFetch(RDKafkaErrorCode::BrokerTransportFailure);
        if client.fetch_metadata(Some(topic), LOOKING).is_err_and(|error| error == none) {
            self.give(client);
        }
    }

    fn give<C: ClientContext>(&self, client: &Client<C>) {
        let name = native::name(client);
        tracing::warn!(client = name, "kafka told of no broker: the client is given those of the configuration again");
        native::add_brokers(client, &self.brokers);
    }
}

impl Statistics {
    fn knows_a_server(&self) -> bool {
        self.brokers.values().any(|broker| matches!(broker.source.as_str(), "configured" | "learned"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_forgotten(statistics: &str) -> bool {
        let bootstrap = Bootstrap::of(&ClientConfig::new());
        bootstrap.note(statistics.as_bytes());
        bootstrap.forgotten.load(Ordering::Acquire)
    }

    #[test]
    fn brokers_are_forgotten_where_librdkafka_knows_none_but_its_own() {
        let known = r#"{"name": "x", "brokers": {"a:9092/1": {"source": "learned", "state": "DOWN"}}, "topics": {}}"#;
        assert!(!is_forgotten(known), "it is away, not forgotten");
        assert!(!is_forgotten(r#"{"brokers": {"a:9092/bootstrap": {"source": "configured"}}}"#));
        let own = r#"{"brokers": {":0/internal": {"source": "internal"}, "GroupCoordinator": {"source": "logical"}}}"#;
        assert!(is_forgotten(own));
        assert!(is_forgotten(r#"{"brokers": {}}"#));
        assert!(!is_forgotten("what is not understood says nothing"));
    }
}
