//! How a record's value says which schema it was written with.

use crate::error::DecodeError;
use crate::published::PublishedSchema;
use crate::{confluent, single_object};

/// The schema that a value was written with, as its first bytes name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrittenWith {
    /// One of the published schemas, by its fingerprint.
    Published(PublishedSchema),
    /// The schema that a registry keeps under this number.
    Registered(u32),
}

/// The writer's schema, and the datum behind the header: single-object encoding or the Confluent wire format.
///
/// # Errors
/// [`DecodeError::NoSchema`] where the value begins as neither does, [`DecodeError::SchemaUnknown`] where the fingerprint is of
/// no published schema.
pub fn split(value: &[u8]) -> Result<(WrittenWith, &[u8]), DecodeError> {
    if value.first() == Some(&confluent::MAGIC) {
        let (id, datum) = confluent::split(value)?;
        return Ok((WrittenWith::Registered(id), datum));
    }
    let (fingerprint, datum) = single_object::split(value)?;
    let schema = PublishedSchema::of_fingerprint(fingerprint).ok_or(DecodeError::SchemaUnknown { fingerprint })?;
    Ok((WrittenWith::Published(schema), datum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_told_apart() {
        for schema in PublishedSchema::ALL {
            let value = single_object::header(schema.fingerprint());
            assert_eq!(split(&value), Ok((WrittenWith::Published(schema), &[][..])));
        }
        assert_eq!(split(&confluent::header(7)), Ok((WrittenWith::Registered(7), &[][..])));
        assert_eq!(split(&single_object::header(7)), Err(DecodeError::SchemaUnknown { fingerprint: 7 }));
        for bad in [&b""[..], b"\0", b"{}", b"\xc3\x01"] {
            assert_eq!(split(bad), Err(DecodeError::NoSchema), "{bad:?}");
        }
    }
}
