//! Records on their way to the brokers, each with a result of its own.
//!
//! An idempotent client that has met a fatal error takes nothing more: what it holds fails, as unknown where it may have been
//! sent, and a new client takes its place.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use luminate_model::Offset;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::oneshot;

use crate::bootstrap::Bootstrap;
use crate::cluster::partition_number;
use crate::context::{self, BrokerHealth};
use crate::error::KafkaError;
use crate::native;

/// A record for a partition that is chosen already.
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: u32,
    pub(crate) key: &'a [u8],
    pub(crate) headers: &'a [(String, Bytes)],
    /// `None` is a tombstone.
    pub(crate) value: Option<&'a [u8]>,
}

/// Why a record was not acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Undelivered {
    pub(crate) code: Option<RDKafkaErrorCode>,
    /// Whether it may stand in the topic all the same.
    pub(crate) may_be_stored: bool,
    pub(crate) reason: String,
}

/// The offset of an acknowledged record.
pub(crate) type Delivered = Result<Offset, Undelivered>;

/// Sends records.
pub(crate) struct Deliveries {
    settings: ClientConfig,
    health: BrokerHealth,
    client: Mutex<Arc<ThreadedProducer<DeliveryContext>>>,
    falls: Arc<AtomicU64>,
}

struct DeliveryContext {
    health: BrokerHealth,
    bootstrap: Bootstrap,
    /// Set with the first fatal error.
    broken: AtomicBool,
    /// Where the last acknowledged record of each partition lies.
    last: Mutex<HashMap<(String, i32), i64>>,
    falls: Arc<AtomicU64>,
}

impl Deliveries {
    pub(crate) fn new(settings: ClientConfig, health: BrokerHealth) -> Result<Self, KafkaError> {
        let falls = Arc::new(AtomicU64::new(0));
        let client = new_client(&settings, &health, &falls).map_err(KafkaError::Client)?;
        Ok(Self { settings, health, client: Mutex::new(client), falls })
    }

    /// How often a partition's offsets were seen to fall: then its topic was made again.
    pub(crate) fn falls(&self) -> u64 {
        self.falls.load(Ordering::Acquire)
    }

    /// Hands a record over; the receiver tells what became of it, whether it is awaited or not. Does not block.
    pub(crate) fn send(&self, record: &Outgoing<'_>) -> Result<oneshot::Receiver<Delivered>, Undelivered> {
        let client = self.client().map_err(|error| Undelivered::never_sent(&error))?;
        let (sender, receiver) = oneshot::channel();
        let mut message = BaseRecord::with_opaque_to(record.topic, Box::new(sender))
            .partition(partition_number(record.partition))
            .key(record.key);
        message.payload = record.value;
        if !record.headers.is_empty() {
            message.headers = Some(native_headers(record.headers));
        }
        let sent = match client.send(message) {
            // It has broken and has not said so yet.
            Err((error, message)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) => {
                client_context(&client).broken.store(true, Ordering::Release);
                self.client().map_err(|error| Undelivered::never_sent(&error))?.send(message)
            }
            sent => sent,
        };
        sent.map(|()| receiver).map_err(|(error, _)| Undelivered::never_sent(&error))
    }

    /// The client, a new one where the last one is broken. One that has forgotten the brokers is told them again.
    fn client(&self) -> Result<Arc<ThreadedProducer<DeliveryContext>>, ClientError> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if client_context(&client).broken.load(Ordering::Acquire) {
            let fresh = new_client(&self.settings, &self.health, &self.falls)?;
            let broken = std::mem::replace(&mut *client, fresh);
            tracing::warn!("made a new kafka producer after a fatal error");
            // Letting it go fails what it holds, which takes a moment.
            std::thread::spawn(move || drop(broken));
        }
        client_context(&client).bootstrap.restore(client.client());
        Ok(Arc::clone(&client))
    }
}

fn new_client(
    settings: &ClientConfig,
    health: &BrokerHealth,
    falls: &Arc<AtomicU64>,
) -> Result<Arc<ThreadedProducer<DeliveryContext>>, ClientError> {
    let context = DeliveryContext {
        health: health.clone(),
        bootstrap: Bootstrap::of(settings),
        broken: AtomicBool::new(false),
        last: Mutex::default(),
        falls: Arc::clone(falls),
    };
    settings.create_with_context(context).map(Arc::new)
}

fn client_context(client: &ThreadedProducer<DeliveryContext>) -> &DeliveryContext {
    client.context()
}

fn native_headers(headers: &[(String, Bytes)]) -> OwnedHeaders {
    let empty = OwnedHeaders::new_with_capacity(headers.len());
    headers.iter().fold(empty, |native, (key, value)| native.insert(Header { key, value: Some(value.as_ref()) }))
}

impl Undelivered {
    fn never_sent(error: &ClientError) -> Self {
        Self { code: error.rdkafka_error_code(), may_be_stored: false, reason: error.to_string() }
    }

    /// The client went away with the record.
    pub(crate) fn lost() -> Self {
        Self { code: None, may_be_stored: true, reason: "the kafka producer is gone".to_owned() }
    }
}

impl DeliveryContext {
    /// Deliveries of one partition are told in the order of their offsets.
    fn note_offset(&self, topic: &str, partition: i32, offset: i64) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match last.get_mut(&(topic.to_owned(), partition)) {
            Some(known) => std::mem::replace(known, offset),
            None => last.insert((topic.to_owned(), partition), offset).unwrap_or(-1),
        };
        if offset <= known {
            self.falls.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl ClientContext for DeliveryContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(&self.health, level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            tracing::warn!(reason, "a fatal error of the kafka producer");
            self.broken.store(true, Ordering::Release);
        }
        context::note_error(&self.health, &error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.bootstrap.note(statistics);
    }
}

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = Box<oneshot::Sender<Delivered>>;

    fn delivery(&self, result: &DeliveryResult<'_>, sender: Self::DeliveryOpaque) {
        let delivered = match result {
            Ok(message) => {
                self.health.up();
                self.note_offset(message.topic(), message.partition(), message.offset());
                u64::try_from(message.offset()).map(Offset).map_err(|_| Undelivered {
                    code: None,
                    may_be_stored: true,
                    reason: "the broker told no offset".to_owned(),
                })
            }
            Err((error, message)) => Err(Undelivered {
                code: error.rdkafka_error_code(),
                may_be_stored: native::may_be_stored(message),
                reason: error.to_string(),
            }),
        };
        // Nobody waits any more where the publisher has gone.
        let _ = sender.send(delivered);
    }
}
