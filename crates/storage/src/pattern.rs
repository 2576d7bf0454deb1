//! Regular expressions.

/// A regular expression in RE2's language: anchored at both ends, `.` does not match a newline, classes are ASCII.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    compiled: regex::Regex,
}

/// The text is no regular expression, or uses what RE2 lacks, or is too large.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid regular expression: {0}")]
pub struct InvalidPattern(pub String);

/// Most bytes of a compiled pattern.
const COMPILED_BYTES: usize = 1 << 20;

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`InvalidPattern`] says what is wrong.
    pub fn compile(text: &str) -> Result<Self, InvalidPattern> {
        let compiled = regex::RegexBuilder::new(&format!("^(?:{text})$")).size_limit(COMPILED_BYTES).build();
        let compiled = compiled.map_err(|error| InvalidPattern(error.to_string()))?;
        Ok(Self { text: text.to_owned(), compiled })
    }

    /// The pattern as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the whole of `value` matches.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        self.compiled.is_match(value)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}
