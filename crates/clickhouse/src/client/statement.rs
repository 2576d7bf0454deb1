//! A statement with its parameters and settings.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::time::Duration;

/// How long a statement is waited for unless it says otherwise: most ask for little that the server knows by heart.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most bytes of a parameter's value before it is escaped. The server takes 128 KiB for each, and escaping at most doubles.
pub(crate) const PARAMETER_BYTES: usize = 48 << 10;

/// SQL text with the values of its `{name:Type}` placeholders and the settings of this one execution. Whatever a user has
/// sent is a parameter; the text is only ever made of what stands in this crate.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(super) sql: String,
    pub(super) parameters: Vec<(Cow<'static, str>, String)>,
    pub(super) settings: Vec<(Cow<'static, str>, String)>,
    pub(super) limit: Option<Duration>,
}

impl Statement {
    /// A statement without parameters and settings, for whose answer 10 seconds are enough. It names no output format: that is
    /// the caller's who reads the answer.
    pub fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), parameters: Vec::new(), settings: Vec::new(), limit: Some(PATIENCE) }
    }

    /// Waits for the answer (of a query: its first bytes, of small results all of it) for this long at most. A server that is
    /// frozen keeps its connections and never answers.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Waits for the answer as long as the caller does, who must have a limit of its own.
    #[must_use]
    pub fn within_callers_limit(mut self) -> Self {
        self.limit = None;
        self
    }

    /// The SQL text.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The same parameters and settings for another text: for conditions that are built together with their parameters.
    #[must_use]
    pub fn with_sql(self, sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), ..self }
    }

    /// The value of a placeholder of type `String`, `LowCardinality(String)` or the like.
    #[must_use]
    pub fn text(mut self, name: impl Into<Cow<'static, str>>, value: &str) -> Self {
        let mut escaped = String::with_capacity(value.len());
        escape(value, &mut escaped);
        self.parameters.push((name.into(), escaped));
        self
    }

    /// The value of a placeholder of type `Array(String)`.
    #[must_use]
    pub fn texts<'a>(mut self, name: impl Into<Cow<'static, str>>, values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut list = String::from("[");
        for (at, value) in values.into_iter().enumerate() {
            list.push_str(if at == 0 { "'" } else { ",'" });
            escape(value, &mut list);
            list.push('\'');
        }
        list.push(']');
        self.parameters.push((name.into(), list));
        self
    }

    /// The value of a placeholder of a number's type. Times in ms are best sent as `Int64` and converted in the statement.
    #[must_use]
    pub fn number(mut self, name: impl Into<Cow<'static, str>>, value: impl Number) -> Self {
        self.parameters.push((name.into(), value.to_string()));
        self
    }

    /// The value of a placeholder of type `Array(<number>)`.
    #[must_use]
    pub fn numbers<N: Number>(
        mut self,
        name: impl Into<Cow<'static, str>>,
        values: impl IntoIterator<Item = N>,
    ) -> Self {
        let mut list = String::from("[");
        for (at, value) in values.into_iter().enumerate() {
            let _ = write!(list, "{}{value}", if at == 0 { "" } else { "," });
        }
        list.push(']');
        self.parameters.push((name.into(), list));
        self
    }

    /// A setting of this execution.
    #[must_use]
    pub fn setting(mut self, name: impl Into<Cow<'static, str>>, value: impl Display) -> Self {
        self.settings.push((name.into(), value.to_string()));
        self
    }
}

/// Strings in lists that fit into parameters, each list but those of a single string.
pub(crate) fn lists<'v>(values: impl IntoIterator<Item = &'v str>) -> Vec<Vec<&'v str>> {
    let mut lists: Vec<Vec<&str>> = Vec::new();
    let mut bytes = usize::MAX;
    for value in values {
        // Quotes and comma included.
        let size = value.len() + 3;
        match lists.last_mut().filter(|_| bytes.saturating_add(size) <= PARAMETER_BYTES) {
            Some(list) => list.push(value),
            None => {
                lists.push(vec![value]);
                bytes = 0;
            }
        }
        bytes += size;
    }
    lists
}

/// Numbers whose text ClickHouse reads as Rust writes it.
pub trait Number: Display {}

impl Number for u8 {}
impl Number for u16 {}
impl Number for u32 {}
impl Number for u64 {}
impl Number for usize {}
impl Number for i32 {}
impl Number for i64 {}
impl Number for f64 {}

/// Values of parameters are read as a field of TabSeparated, strings within arrays as quoted: one way of escaping fits both.
fn escape(value: &str, out: &mut String) {
    for character in value.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            other => out.push(other),
        }
    }
}
