//! What librdkafka tells of itself: log lines, and whether brokers answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use crate::bootstrap::Bootstrap;

/// Why no broker answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", .cause.code())]
pub(crate) struct BrokerFault {
    pub(crate) cause: FaultCause,
    /// librdkafka's words. No password is ever in them.
    pub(crate) reason: String,
}

/// What hinders the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultCause {
    /// Nobody is there, or it says nothing that can be understood.
    Unreachable,
    /// They cannot be encrypted: another authority, another name, a listener that does not encrypt.
    Tls,
    /// The user or the password is refused, or the way of logging in.
    Login,
}

/// Whether any broker answers. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct BrokerHealth {
    state: Arc<Mutex<HealthState>>,
}

#[derive(Debug, Default)]
struct HealthState {
    /// Set while no broker answers.
    fault: Option<BrokerFault>,
    /// Why a connection failed, since a broker answered last. One failed connection is no outage.
    connection: Option<BrokerFault>,
}

impl FaultCause {
    /// The stable name, snake_case.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "kafka_unreachable",
            Self::Tls => "kafka_tls_failed",
            Self::Login => "kafka_login_failed",
        }
    }
}

impl BrokerHealth {
    /// A broker has answered.
    pub(crate) fn up(&self) {
        let mut state = self.lock();
        state.connection = None;
        if state.fault.take().is_some() {
            tracing::info!("kafka answers again");
        }
    }

    /// No broker answers. Where connections are known to fail for a reason, that is the one to tell.
    pub(crate) fn down(&self, reason: &str) {
        let mut state = self.lock();
        let unreachable = || BrokerFault { cause: FaultCause::Unreachable, reason: reason.to_owned() };
        let fault = state.connection.clone().unwrap_or_else(unreachable);
        let is_news = state.fault.as_ref().is_none_or(|known| known.cause != fault.cause);
        if is_news {
            tracing::warn!(code = fault.cause.code(), reason = fault.reason, "kafka does not answer");
            state.fault = Some(fault);
        }
    }

    /// A connection has failed.
    pub(crate) fn connection_failed(&self, cause: FaultCause, reason: &str) {
        let mut state = self.lock();
        // A connection that was refused is broken off as well, which says less.
        let says_more = |known: &BrokerFault| cause != FaultCause::Unreachable || known.cause == cause;
        if state.connection.as_ref().is_none_or(says_more) {
            state.connection = Some(BrokerFault { cause, reason: reason.to_owned() });
        }
    }

    /// What is wrong, if anything is.
    pub(crate) fn fault(&self) -> Option<String> {
        self.lock().fault.as_ref().map(ToString::to_string)
    }

    /// The code of what is wrong, or of why a call has got no answer: it names no broker.
    pub(crate) fn code(&self) -> Option<&'static str> {
        let state = self.lock();
        state.fault.as_ref().or(state.connection.as_ref()).map(|fault| fault.cause.code())
    }

    /// Why a call has got no answer, as far as is known.
    pub(crate) fn explanation(&self) -> Option<String> {
        let state = self.lock();
        state.fault.as_ref().or(state.connection.as_ref()).map(ToString::to_string)
    }

    fn lock(&self) -> MutexGuard<'_, HealthState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The context of clients without callbacks of their own.
pub(crate) struct QuietContext {
    pub(crate) health: BrokerHealth,
    /// None where the client does not live long.
    pub(crate) bootstrap: Option<Bootstrap>,
}

impl ClientContext for QuietContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(&self.health, level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note_error(&self.health, &error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.bootstrap.iter().for_each(|bootstrap| bootstrap.note(statistics));
    }
}

impl ConsumerContext for QuietContext {}

/// What a client should know whose connections are broken off.
const BROKEN_OFF: &str =
    "a broker that encrypts, or asks for a password, breaks off a client that does not: see kafka.tls and kafka.sasl";

/// librdkafka calls every broken connection an error; what an operator must act on is said elsewhere. That a broker has broken off
/// a connection is told here alone.
pub(crate) fn log(health: &BrokerHealth, level: RDKafkaLogLevel, facility: &str, message: &str) {
    if facility == "FAIL" {
        // Before it stands the thread's name.
        let reason = message.split_once("]: ").map_or(message, |(_, reason)| reason);
        match reason.contains("Disconnected") {
            true => health.connection_failed(FaultCause::Unreachable, &format!("{reason}; {BROKEN_OFF}")),
            false => health.connection_failed(FaultCause::Unreachable, reason),
        }
    }
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
        Some(code) => {
            if let Some(cause) = cause_of(code, reason) {
                health.connection_failed(cause, reason);
            }
            tracing::debug!(%error, reason, "kafka client");
        }
        None => tracing::debug!(%error, reason, "kafka client"),
    }
}

/// What hinders a connection that failed with this code; `None` where it is about something else. What the other side of an
/// encrypted connection refuses comes as a failure of transport, with OpenSSL's words.
fn cause_of(code: RDKafkaErrorCode, reason: &str) -> Option<FaultCause> {
    match code {
        RDKafkaErrorCode::SSL => Some(FaultCause::Tls),
        RDKafkaErrorCode::BrokerTransportFailure if reason.contains("SSL ") => Some(FaultCause::Tls),
        RDKafkaErrorCode::Authentication
        | RDKafkaErrorCode::SaslAuthenticationFailed
        | RDKafkaErrorCode::UnsupportedSASLMechanism
        | RDKafkaErrorCode::IllegalSASLState => Some(FaultCause::Login),
        RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve => Some(FaultCause::Unreachable),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_by_the_other_side_is_told_from_an_absence() {
        let code = RDKafkaErrorCode::BrokerTransportFailure;
        let cause = |reason| cause_of(code, reason);
        assert_eq!(cause("Connect to ipv4#127.0.0.1:1 failed: Connection refused"), Some(FaultCause::Unreachable));
        assert_eq!(cause("SSL handshake failed: Disconnected"), Some(FaultCause::Tls));
        assert_eq!(cause("Receive failed: error:0A000412:SSL routines::bad certificate"), Some(FaultCause::Tls));
        assert_eq!(cause_of(RDKafkaErrorCode::Fatal, "SSL "), None);
    }

    #[test]
    fn what_is_told_is_what_hinders_the_connections() {
        let health = BrokerHealth::default();
        let code = || health.fault().map(|fault| fault.split(':').next().unwrap_or_default().to_owned());
        health.connection_failed(FaultCause::Unreachable, "connection refused");
        health.connection_failed(FaultCause::Login, "wrong password");
        health.connection_failed(FaultCause::Unreachable, "broken off");
        assert_eq!(code(), None, "one connection is no outage");
        assert_eq!(health.explanation().as_deref(), Some("kafka_login_failed: wrong password"));
        health.down("1/1 brokers are down");
        assert_eq!(code().as_deref(), Some("kafka_login_failed"));
        health.connection_failed(FaultCause::Tls, "another authority");
        health.down("1/1 brokers are down");
        assert_eq!(code().as_deref(), Some("kafka_tls_failed"));
        health.up();
        assert_eq!((code(), health.explanation()), (None, None));
        health.down("no answer");
        assert_eq!(health.fault().as_deref(), Some("kafka_unreachable: no answer"));
    }
}
