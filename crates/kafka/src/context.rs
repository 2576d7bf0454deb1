//! What librdkafka tells of itself: log lines, and whether brokers answer.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

/// Whether any broker answers. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct BrokerHealth {
    fault: Arc<Mutex<Option<String>>>,
}

impl BrokerHealth {
    /// A broker has answered.
    pub(crate) fn up(&self) {
        if self.set(None).is_some() {
            tracing::info!("kafka answers again");
        }
    }

    /// No broker answers.
    pub(crate) fn down(&self, reason: &str) {
        if self.set(Some(reason.to_owned())).is_none() {
            tracing::warn!(reason, "kafka does not answer");
        }
    }

    /// What is wrong, if anything is.
    pub(crate) fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, fault: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.fault.lock().unwrap_or_else(PoisonError::into_inner), fault)
    }
}

/// The context of clients without callbacks of their own.
pub(crate) struct QuietContext {
    pub(crate) health: BrokerHealth,
}

impl ClientContext for QuietContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note_error(&self.health, &error, reason);
    }
}

impl ConsumerContext for QuietContext {}

/// librdkafka calls every broken connection an error; what an operator must act on is said elsewhere.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::warn!(facility, message, "librdkafka");
        }
        RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => tracing::info!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(facility, message, "librdkafka"),
    }
}

pub(crate) fn note_error(health: &BrokerHealth, error: &KafkaError, reason: &str) {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::AllBrokersDown) => health.down(reason),
        _ => tracing::debug!(%error, reason, "kafka client"),
    }
}
