//! Where a record stands: source and offset.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// One life of a topic: Kafka's topic id, or an id that the embedded queue made at its creation. Offsets of different
/// incarnations have nothing to do with each other. Shown as 22 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation(pub [u8; 16]);

/// One partition of one incarnation of one topic: where offsets have a meaning. Shown as `incarnation/partition`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    /// The life of the topic.
    pub incarnation: Incarnation,
    /// The partition's number, from 0.
    pub partition: u32,
}

/// A record's place in its source. The place to continue from after a record is [`Offset::next`], and nothing else is
/// ever committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Offset(pub u64);

impl Offset {
    /// The place to continue from when this record is done.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The text is no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a source is written as incarnation/partition, the incarnation in 22 characters of base64url")]
pub struct InvalidSource;

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incarnation({self})")
    }
}

impl FromStr for Incarnation {
    type Err = InvalidSource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidSource)?;
        bytes.try_into().map(Self).map_err(|_| InvalidSource)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.incarnation, self.partition)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({self})")
    }
}

impl FromStr for Source {
    type Err = InvalidSource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (incarnation, partition) = text.split_once('/').ok_or(InvalidSource)?;
        Ok(Self { incarnation: incarnation.parse()?, partition: partition.parse().map_err(|_| InvalidSource)? })
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn source_is_read_back_from_its_text() {
        let source = Source { incarnation: Incarnation([7; 16]), partition: 12 };
        assert_eq!(source.to_string().parse::<Source>().unwrap(), source);
        for bad in ["", "x", "BwcHBwcHBwcHBwcHBwcHBw", "BwcHBwcHBwcHBwcHBwcHBw/-1", "Bwc/1"] {
            assert_eq!(bad.parse::<Source>(), Err(InvalidSource), "{bad}");
        }
    }
}
