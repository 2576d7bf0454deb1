//! What setting up clients fails with, and what Kafka's errors mean to a queue.

use luminate_queue::QueueError;

/// Why there is no client, or why topics could not be looked after.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// A value of the section makes no sense.
    #[error("kafka.{key}: {fault}")]
    Config {
        /// The key within the section.
        key: String,
        /// What is wrong with its value.
        fault: String,
    },
    /// librdkafka refused the settings.
    #[error("the settings of the Kafka client do not work: {0}")]
    Client(#[source] rdkafka::error::KafkaError),
    /// A thread of a client could not be started.
    #[error("no thread for the Kafka client")]
    Thread(#[source] std::io::Error),
    /// The brokers did not do what was asked.
    #[error("Kafka {doing}: {reason}")]
    Brokers {
        /// What was tried, as in "made no topic".
        doing: String,
        /// Kafka's words.
        reason: String,
    },
}

impl KafkaError {
    /// The stable name, snake_case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "kafka_config_invalid",
            Self::Client(_) => "kafka_client_invalid",
            Self::Thread(_) => "kafka_thread_failed",
            Self::Brokers { .. } => "kafka_unavailable",
        }
    }
}

/// A call that may be tried again.
pub(crate) fn unavailable(doing: &str, error: &rdkafka::error::KafkaError) -> QueueError {
    match error.rdkafka_error_code() {
        Some(code) => QueueError::Unavailable(format!("{doing}: {code}")),
        None => QueueError::Unavailable(format!("{doing}: {error}")),
    }
}

/// Runs what blocks on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, QueueError> + Send + 'static,
) -> Result<T, QueueError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(QueueError::Unavailable(format!("a call of the Kafka client was cut short: {error}"))),
    }
}
