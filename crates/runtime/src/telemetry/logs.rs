//! Logs: JSON on stdout, text where stdout is a terminal.

use std::io::{self, IsTerminal as _};
use std::panic;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct LogConfig {
    /// What is logged: a level (`error`, `warn`, `info`, `debug`, `trace`), and levels of parts of the program, such as
    /// `info,luminate_writer=debug`.
    pub filter: String,
    /// `json`, `text`, or `auto`: text where stdout is a terminal, else JSON.
    pub format: LogFormat,
}

/// The shape of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// Text where stdout is a terminal, else JSON.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter does not parse.
    #[error("the log filter `{filter}` is not understood; a good one is `info` or `info,luminate_writer=debug`")]
    Filter {
        /// The filter as given.
        filter: String,
        /// Where it fails.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The filter names a part of the program where a level must be.
    #[error(
        "the log filter `{filter}` is not understood: `{word}` is no level; a good one is `info` or `info,luminate_writer=debug`"
    )]
    NoLevel {
        /// The filter as given.
        filter: String,
        /// What stands alone and is no level.
        word: String,
    },
    /// Logging was set up before.
    #[error("logging was set up twice")]
    Twice(#[from] TryInitError),
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Auto }
    }
}

/// Sets up logging for the process, once. Panics are logged from here on as well, as errors.
///
/// # Errors
/// [`LogError`] where the filter does not parse or logging is set up already.
pub fn start(config: &LogConfig) -> Result<(), LogError> {
    let filter = parse_filter(&config.filter)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stdout);
    let registry = tracing_subscriber::registry().with(filter);
    let terminal = io::stdout().is_terminal();
    if writes_json(config.format, terminal) {
        registry.with(lines.json().flatten_event(true).with_current_span(false)).try_init()?;
    } else {
        registry.with(lines.with_ansi(terminal).with_target(false)).try_init()?;
    }
    log_panics();
    Ok(())
}

fn parse_filter(filter: &str) -> Result<EnvFilter, LogError> {
    // To the library a word alone is a part of the program that may log everything, and all others nothing.
    let alone = filter.split(',').map(str::trim).find(|word| !word.contains(['=', '[']) && !is_level(word));
    if let Some(word) = alone {
        return Err(LogError::NoLevel { filter: filter.to_owned(), word: word.to_owned() });
    }
    // The library takes a blank for a part of a name.
    let joined = filter.split(',').map(str::trim).collect::<Vec<_>>().join(",");
    EnvFilter::try_new(joined).map_err(|source| LogError::Filter { filter: filter.to_owned(), source })
}

fn is_level(word: &str) -> bool {
    // The library takes nothing for a level.
    !word.is_empty() && word.parse::<tracing_subscriber::filter::LevelFilter>().is_ok()
}

fn writes_json(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Text => false,
    }
}

/// A panic in a task would else go to stderr as text that no log collector reads as an error.
fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        // Not `message`, which is the name of the text that follows the fields.
        let reason = panic.payload_as_str().unwrap_or("no reason given");
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(location, reason, %backtrace, "panic");
    }));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_text_on_a_terminal_only() {
        assert!(writes_json(LogFormat::Auto, false));
        assert!(!writes_json(LogFormat::Auto, true));
        assert!(writes_json(LogFormat::Json, true));
        assert!(!writes_json(LogFormat::Text, false));
    }

    #[test]
    fn a_bad_filter_is_named() {
        assert!(parse_filter("info,luminate_writer=debug").is_ok());
        let error = parse_filter("info,luminate=loud").unwrap_err();
        assert!(error.to_string().contains("info,luminate=loud"), "{error}");
        for good in ["warn", "off", "INFO", "debug, luminate_kafka=trace"] {
            assert!(parse_filter(good).is_ok(), "{good}");
        }
        for bad in ["loud", "info,luminate_writer", ""] {
            assert!(matches!(parse_filter(bad), Err(LogError::NoLevel { .. })), "{bad}");
        }
    }
}
