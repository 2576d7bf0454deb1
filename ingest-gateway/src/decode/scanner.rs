//! JSON (RFC 8259), read token by token and borrowed from the text.
//!
//! A parser of our own, because a deserializer loses what the gateway needs: where in the body a sample stands, that a key
//! came twice, that a timestamp was written as `1e3`. It does not recurse, so deep JSON costs no stack.

use std::borrow::Cow;

/// How deep a value that is skipped may be nested.
const MAX_DEPTH: u32 = 128;

/// The text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// What is wrong.
    pub(crate) fault: &'static str,
    /// Where, in bytes from the text's beginning.
    pub(crate) at: usize,
}

/// A string as it stands between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JsonString<'a> {
    raw: &'a str,
    has_escapes: bool,
}

/// The string holds half of a surrogate pair: JSON has that, Unicode text does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoneSurrogate;

/// A number as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JsonNumber<'a> {
    /// The digits with sign, fraction and exponent.
    pub(crate) text: &'a str,
    /// Whether there is neither fraction nor exponent.
    pub(crate) is_integer: bool,
}

/// A place in a JSON text.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0 }
    }

    /// The place, in bytes from the beginning.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// An error at this place.
    pub(crate) fn error(&self, fault: &'static str) -> SyntaxError {
        SyntaxError { fault, at: self.at }
    }

    /// The first byte of what follows the white space; `None` at the end.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Takes `wanted`, if it comes next.
    #[inline]
    pub(crate) fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// Takes `wanted`, which must come next.
    #[inline]
    pub(crate) fn expect(&mut self, wanted: u8, fault: &'static str) -> Result<(), SyntaxError> {
        if self.take(wanted) { Ok(()) } else { Err(self.error(fault)) }
    }

    /// Nothing but white space may follow.
    pub(crate) fn expect_end(&mut self) -> Result<(), SyntaxError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.error("expected the end")) }
    }

    /// The key of a member, with its colon.
    #[inline(always)]
    pub(crate) fn key(&mut self) -> Result<JsonString<'a>, SyntaxError> {
        if self.peek() != Some(b'"') {
            return Err(self.error("expected a key in quotes"));
        }
        let key = self.string()?;
        self.expect(b':', "expected `:`")?;
        Ok(key)
    }

    /// Behind a member: whether another one follows (its comma is taken), or the object has ended (so is its brace).
    #[inline]
    pub(crate) fn another_member(&mut self) -> Result<bool, SyntaxError> {
        self.another(b'}', "expected `,` or `}`")
    }

    /// Behind an item: whether another one follows (its comma is taken), or the array has ended (so is its bracket).
    #[inline]
    pub(crate) fn another_item(&mut self) -> Result<bool, SyntaxError> {
        self.another(b']', "expected `,` or `]`")
    }

    #[inline]
    fn another(&mut self, end: u8, fault: &'static str) -> Result<bool, SyntaxError> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.error(fault)),
        }
    }

    /// The string whose opening quote comes next.
    #[inline(always)]
    pub(crate) fn string(&mut self) -> Result<JsonString<'a>, SyntaxError> {
        let start = self.at + 1;
        let mut at = start;
        let mut has_escapes = false;
        loop {
            at = next_special(self.bytes, at);
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    // Quotes are ASCII, so both ends are boundaries of characters.
                    return Ok(JsonString { raw: self.text.get(start..at).unwrap_or_default(), has_escapes });
                }
                Some(b'\\') => {
                    has_escapes = true;
                    at += escape_bytes(self.bytes.get(at..).unwrap_or_default())
                        .ok_or(SyntaxError { fault: "invalid escape in a string", at })?;
                }
                Some(_) => return Err(SyntaxError { fault: "control character in a string", at }),
                None => return Err(SyntaxError { fault: "a string without an end", at }),
            }
        }
    }

    /// The number whose first character comes next.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<JsonNumber<'a>, SyntaxError> {
        let start = self.at;
        self.at += usize::from(self.byte() == Some(b'-'));
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut is_integer = true;
        if self.byte() == Some(b'.') {
            is_integer = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            is_integer = false;
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(JsonNumber { text: self.text.get(start..self.at).unwrap_or_default(), is_integer })
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn digits(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.error("expected a digit")) }
    }

    fn literal(&mut self, literal: &str) -> Result<(), SyntaxError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(literal.as_bytes()) {
            self.at += literal.len();
            Ok(())
        } else {
            Err(self.error("expected a value"))
        }
    }

    /// Reads over any value; returns what kind of value it was, as a sentence has it.
    pub(crate) fn skip_value(&mut self) -> Result<&'static str, SyntaxError> {
        let kind = match self.peek() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        };
        // One bit for each open bracket: set for an object, clear for an array.
        let mut open = 0_u128;
        let mut depth = 0_u32;
        loop {
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    let is_object = bracket == b'{';
                    self.at += 1;
                    if !self.take(if is_object { b'}' } else { b']' }) {
                        if depth == MAX_DEPTH {
                            return Err(self.error("nested too deep"));
                        }
                        depth += 1;
                        open = open << 1 | u128::from(is_object);
                        if is_object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                Some(b'"') => drop(self.string()?),
                Some(b'-' | b'0'..=b'9') => drop(self.number()?),
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                _ => return Err(self.error("expected a value")),
            }
            // A value has ended, and with it perhaps those around it.
            loop {
                if depth == 0 {
                    return Ok(kind);
                }
                let in_object = open & 1 == 1;
                let goes_on = if in_object { self.another_member()? } else { self.another_item()? };
                if goes_on {
                    if in_object {
                        self.key()?;
                    }
                    break;
                }
                depth -= 1;
                open >>= 1;
            }
        }
    }
}

impl<'a> JsonString<'a> {
    /// The string, if it has no escapes.
    #[inline]
    pub(crate) fn plain(self) -> Option<&'a str> {
        if self.has_escapes { None } else { Some(self.raw) }
    }

    /// The string; borrowed where it has no escapes.
    #[inline]
    pub(crate) fn text(self) -> Result<Cow<'a, str>, LoneSurrogate> {
        if self.has_escapes { unescape(self.raw).map(Cow::Owned) } else { Ok(Cow::Borrowed(self.raw)) }
    }
}

/// The place of the next byte that a string cannot go on over: a quote, a backslash or a control character; the end where
/// there is none. Eight bytes at a time.
#[inline]
fn next_special(bytes: &[u8], from: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // Sets the high bit of the first byte that is zero; bytes behind it may follow wrongly, those before it never.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let below_space = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let special = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\'))) | below_space;
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

/// The size of the escape that `bytes` begin with; `None` where it is none.
fn escape_bytes(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => bytes.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// Resolves escapes, which the scanner has seen to be well-formed.
#[cold]
fn unescape(raw: &str) -> Result<String, LoneSurrogate> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(backslash) = rest.find('\\') {
        let (before, escape) = rest.split_at(backslash);
        text.push_str(before);
        let (character, size) = match escape.as_bytes().get(1) {
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(b'u') => unescape_unicode(escape)?,
            Some(itself) => (char::from(*itself), 2),
            None => return Err(LoneSurrogate),
        };
        text.push(character);
        rest = escape.get(size..).unwrap_or_default();
    }
    text.push_str(rest);
    Ok(text)
}

/// The character of `\uXXXX`, or of the two that make a surrogate pair, and the size of the escape in bytes.
fn unescape_unicode(escape: &str) -> Result<(char, usize), LoneSurrogate> {
    let unit = |at: usize| {
        let digits = escape.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    };
    let first = unit(0).ok_or(LoneSurrogate)?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, 6));
    }
    let second = unit(6).filter(|second| (0xdc00..0xe000).contains(second)).ok_or(LoneSurrogate)?;
    let high = first.checked_sub(0xd800).filter(|high| *high < 0x400).ok_or(LoneSurrogate)?;
    let character = char::from_u32(0x10000 + (high << 10) + (second - 0xdc00)).ok_or(LoneSurrogate)?;
    Ok((character, 12))
}

#[cfg(test)]
#[path = "scanner_tests.rs"]
mod tests;
