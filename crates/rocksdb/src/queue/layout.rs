//! Keys and values in the database. Numbers in keys are big-endian, so that keys sort as numbers; numbers in values are
//! little-endian.
//!
//! | column family | key | value |
//! |---|---|---|
//! | `meta` | `format` | u32: [`FORMAT`] |
//! | `meta` | `identity` | incarnation (16 bytes), partitions u32 |
//! | `meta` | `end` + partition u32 | [`PartitionEnd`] |
//! | `meta` | `committed` + partition u32 | next offset u64, metadata |
//! | `meta` | `dead_letter_bytes` | u64: bytes of all keys and values of `dead_letters`; missing where there never was one |
//! | `records` | partition u32, offset u64 | [`StoredRecord`] |
//! | `dead_letters` | incarnation, partition u32, offset u64, index (0, or 1 and u32) | [`dead_letter_codec`](super::dead_letter_codec) |

use bytes::{Buf, Bytes};
use luminate_model::{Incarnation, Offset, Source};
use luminate_queue::{Committed, ConsumedRecord, DeadLetterId};

/// The version of this layout.
pub(super) const FORMAT: u32 = 1;

pub(super) const META: &str = "meta";
pub(super) const RECORDS: &str = "records";
pub(super) const DEAD_LETTERS: &str = "dead_letters";

pub(super) const FORMAT_KEY: &[u8] = b"format";
pub(super) const IDENTITY_KEY: &[u8] = b"identity";
pub(super) const DEAD_LETTER_BYTES_KEY: &[u8] = b"dead_letter_bytes";

const RECORD_KEY_BYTES: usize = 12;

/// Who the queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) incarnation: Incarnation,
    pub(super) partitions: u32,
}

/// Where a partition ends. Stored with every append, because the records themselves may all be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PartitionEnd {
    /// The offset of the next record.
    pub(super) next: u64,
    /// Bytes of all records that were ever appended.
    pub(super) appended_bytes: u64,
    /// When the last record was appended, ms since 1970.
    pub(super) append_time: i64,
}

/// A record as it is stored: when it was appended, how many bytes were appended to its partition before it (so that the bytes
/// between two records are known without reading what lies between), key, headers, value.
pub(super) struct StoredRecord<'a> {
    pub(super) append_time: i64,
    pub(super) bytes_before: u64,
    pub(super) key: &'a [u8],
    pub(super) headers: &'a [(String, Bytes)],
    pub(super) value: &'a [u8],
}

/// What was read is not in the form above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} cannot be read")]
pub(super) struct Unreadable(pub(super) &'static str);

pub(super) fn record_key(partition: u32, offset: u64) -> [u8; RECORD_KEY_BYTES] {
    let mut key = [0; RECORD_KEY_BYTES];
    let (partition_bytes, offset_bytes) = key.split_at_mut(4);
    partition_bytes.copy_from_slice(&partition.to_be_bytes());
    offset_bytes.copy_from_slice(&offset.to_be_bytes());
    key
}

/// Partition and offset of a record's key.
pub(super) fn read_record_key(key: &[u8]) -> Result<(u32, u64), Unreadable> {
    let key: &[u8; RECORD_KEY_BYTES] = key.try_into().map_err(|_| Unreadable("a record's key"))?;
    let mut key = key.as_slice();
    Ok((key.get_u32(), key.get_u64()))
}

pub(super) fn end_key(partition: u32) -> Vec<u8> {
    [b"end", partition.to_be_bytes().as_slice()].concat()
}

pub(super) fn committed_key(partition: u32) -> Vec<u8> {
    [b"committed", partition.to_be_bytes().as_slice()].concat()
}

pub(super) fn dead_letter_key(id: DeadLetterId) -> Vec<u8> {
    let mut key = Vec::with_capacity(33);
    key.extend_from_slice(&id.source.incarnation.0);
    key.extend_from_slice(&id.source.partition.to_be_bytes());
    key.extend_from_slice(&id.offset.0.to_be_bytes());
    key.push(u8::from(id.index.is_some()));
    key.extend_from_slice(&id.index.unwrap_or_default().to_be_bytes());
    key
}

pub(super) fn read_dead_letter_key(key: &[u8]) -> Result<DeadLetterId, Unreadable> {
    let unreadable = Unreadable("a dead letter's key");
    let (incarnation, mut rest) = key.split_first_chunk::<16>().ok_or(unreadable)?;
    if rest.len() != 17 {
        return Err(unreadable);
    }
    let source = Source { incarnation: Incarnation(*incarnation), partition: rest.get_u32() };
    let offset = Offset(rest.get_u64());
    let is_indexed = rest.get_u8() != 0;
    let index = rest.get_u32();
    Ok(DeadLetterId { source, offset, index: is_indexed.then_some(index) })
}

impl Identity {
    pub(super) fn encode(self) -> Vec<u8> {
        [self.incarnation.0.as_slice(), &self.partitions.to_le_bytes()].concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let unreadable = Unreadable("the queue's identity");
        let (incarnation, partitions) = bytes.split_first_chunk::<16>().ok_or(unreadable)?;
        let partitions = partitions.try_into().map(u32::from_le_bytes).map_err(|_| unreadable)?;
        Ok(Self { incarnation: Incarnation(*incarnation), partitions })
    }
}

impl PartitionEnd {
    pub(super) fn encode(self) -> Vec<u8> {
        [self.next.to_le_bytes(), self.appended_bytes.to_le_bytes(), self.append_time.to_le_bytes()].concat()
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes.len() != 24 {
            return Err(Unreadable("the end of a partition"));
        }
        Ok(Self { next: bytes.get_u64_le(), appended_bytes: bytes.get_u64_le(), append_time: bytes.get_i64_le() })
    }
}

/// Next offset, first offset that may still be read (0 and a byte of 0 where it is the same), metadata.
pub(super) fn encode_committed(next: Offset, keep: Option<Offset>, metadata: &str) -> Vec<u8> {
    let keep = [&[u8::from(keep.is_some())], keep.unwrap_or_default().0.to_le_bytes().as_slice()].concat();
    [next.0.to_le_bytes().as_slice(), &keep, metadata.as_bytes()].concat()
}

pub(super) fn decode_committed(mut bytes: &[u8]) -> Result<(Committed, Option<Offset>), Unreadable> {
    let unreadable = Unreadable("what was committed");
    if bytes.len() < 17 {
        return Err(unreadable);
    }
    let next = Offset(bytes.get_u64_le());
    let keeps = bytes.get_u8() != 0;
    let keep = Offset(bytes.get_u64_le());
    let metadata = std::str::from_utf8(bytes).map_err(|_| unreadable)?.to_owned();
    Ok((Committed { next: Some(next), metadata }, keeps.then_some(keep)))
}

impl StoredRecord<'_> {
    /// Writes the record after clearing `out`.
    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.append_time.to_le_bytes());
        out.extend_from_slice(&self.bytes_before.to_le_bytes());
        put_bytes(out, self.key);
        out.extend_from_slice(&(self.headers.len() as u32).to_le_bytes());
        for (name, value) in self.headers {
            put_bytes(out, name.as_bytes());
            put_bytes(out, value);
        }
        out.extend_from_slice(self.value);
    }

    /// Reads a record; its parts share the memory of `bytes`.
    pub(super) fn decode(offset: Offset, mut bytes: Bytes) -> Result<ConsumedRecord, Unreadable> {
        let unreadable = Unreadable("a record");
        if bytes.len() < 16 {
            return Err(unreadable);
        }
        let append_time = bytes.get_i64_le();
        let _bytes_before = bytes.get_u64_le();
        let key = take_bytes(&mut bytes).ok_or(unreadable)?;
        let count = take_u32(&mut bytes).ok_or(unreadable)?;
        let mut headers = Vec::new();
        for _ in 0..count {
            let name = take_bytes(&mut bytes).ok_or(unreadable)?;
            let name = std::str::from_utf8(&name).map_err(|_| unreadable)?.to_owned();
            headers.push((name, take_bytes(&mut bytes).ok_or(unreadable)?));
        }
        Ok(ConsumedRecord { offset, append_time, key, headers, value: bytes })
    }

    /// How many bytes were appended before a stored record.
    pub(super) fn bytes_before(bytes: &[u8]) -> Result<u64, Unreadable> {
        let at = bytes.get(8..16).and_then(|part| part.try_into().ok());
        at.map(u64::from_le_bytes).ok_or(Unreadable("a record"))
    }
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

pub(super) fn take_u32(bytes: &mut Bytes) -> Option<u32> {
    (bytes.len() >= 4).then(|| bytes.get_u32_le())
}

pub(super) fn take_bytes(bytes: &mut Bytes) -> Option<Bytes> {
    let size = take_u32(bytes)? as usize;
    (size <= bytes.len()).then(|| bytes.split_to(size))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_are_read_back(
            append_time: i64,
            bytes_before: u64,
            key: Vec<u8>,
            headers in proptest::collection::vec((".{0,8}", any::<Vec<u8>>()), 0..4),
            value: Vec<u8>,
        ) {
            let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name, Bytes::from(value))).collect();
            let mut stored = vec![1, 2, 3];
            let record = StoredRecord { append_time, bytes_before, key: &key, headers: &headers, value: &value };
            record.encode_into(&mut stored);
            prop_assert_eq!(StoredRecord::bytes_before(&stored), Ok(bytes_before));
            let read = StoredRecord::decode(Offset(7), stored.into()).unwrap();
            prop_assert_eq!((read.offset, read.append_time), (Offset(7), append_time));
            prop_assert_eq!((read.key.as_ref(), read.headers, read.value.as_ref()), (&key[..], headers, &value[..]));
        }

        #[test]
        fn arbitrary_bytes_are_refused_or_read_and_never_panic(bytes: Vec<u8>) {
            let _ = StoredRecord::decode(Offset(0), bytes.clone().into());
            let _ = (Identity::decode(&bytes), PartitionEnd::decode(&bytes), decode_committed(&bytes));
        }

        #[test]
        fn keys_sort_as_what_they_stand_for(mut ids in proptest::collection::vec(
            (any::<[u8; 16]>(), any::<u32>(), any::<u64>(), any::<Option<u32>>()), 2..20,
        )) {
            ids.extend_from_within(..1);
            let mut ids: Vec<_> = ids
                .into_iter()
                .map(|(incarnation, partition, offset, index)| DeadLetterId {
                    source: Source { incarnation: Incarnation(incarnation), partition },
                    offset: Offset(offset),
                    index,
                })
                .collect();
            ids.sort();
            prop_assert!(ids.iter().map(|id| dead_letter_key(*id)).is_sorted());
            for id in ids {
                prop_assert_eq!(read_dead_letter_key(&dead_letter_key(id)), Ok(id));
            }
        }
    }

    #[test]
    fn meta_values_are_read_back() {
        let identity = Identity { incarnation: Incarnation([9; 16]), partitions: 12 };
        assert_eq!(Identity::decode(&identity.encode()), Ok(identity));
        let end = PartitionEnd { next: 1 << 40, appended_bytes: 7, append_time: -5 };
        assert_eq!(PartitionEnd::decode(&end.encode()), Ok(end));
        let (committed, keep) = decode_committed(&encode_committed(Offset(5), Some(Offset(3)), "text")).unwrap();
        assert_eq!(keep, Some(Offset(3)));
        assert_eq!(decode_committed(&encode_committed(Offset(5), None, "")).unwrap().1, None);
        assert_eq!(committed, Committed { next: Some(Offset(5)), metadata: "text".to_owned() });
        assert_eq!(read_record_key(&record_key(3, 1 << 33)), Ok((3, 1 << 33)));
    }
}
