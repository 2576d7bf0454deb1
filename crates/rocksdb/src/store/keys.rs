//! Where what stands in the database: column families, keys, and the values that are not blocks.
//!
//! | column family | key | value |
//! |---|---|---|
//! | `arrivals` | block, page | a page of an arrival block |
//! | `blocks` | block, page | a page of a merged block |
//! | `directory` | block | [`Entry`](super::entry::Entry): where the block belongs, and its summary |
//! | `default` | a letter and what it is about | everything else, see [`MetaKey`] |
//!
//! Numbers in keys are big-endian, so that keys sort as numbers do.

use luminate_model::{Incarnation, Offset, Source, TenantId};
use luminate_storage::IdempotencyEntry;

use super::entry::Place;
use crate::block::BlockId;
use crate::error::DatabaseError;

/// Pages of arrival blocks: they live for seconds to minutes and mostly die in the write buffer.
pub(crate) const ARRIVALS: &str = "arrivals";
/// Pages of merged blocks: whole files that merges made, and nothing else.
pub(crate) const BLOCKS: &str = "blocks";
/// One entry a block.
pub(crate) const DIRECTORY: &str = "directory";
/// Everything else.
pub(crate) const META: &str = "default";

/// All of them.
pub(crate) const FAMILIES: [&str; 4] = [ARRIVALS, BLOCKS, DIRECTORY, META];

const SOURCE_BYTES: usize = 20;

/// Keys of the `default` column family.
pub(crate) enum MetaKey<'a> {
    /// The format version, u32.
    Format,
    /// The number that the next block gets, u64: numbers are never given twice, also after all blocks are gone.
    NextBlock,
    /// The first block number of the merge that is under way, u64: pages of `blocks` from there on belong to nobody yet.
    Pending,
    /// A source's next offset, u64, and the time (ms since 1970, i64) before which its idempotency entries are forgotten.
    Next(Source),
    /// For an erased tenant and a source the offset before which nothing of the tenant is stored again, and the number of the
    /// first block made after that was noted, u64 each.
    Ledger(Source, &'a TenantId),
    /// An erasure of a tenant that was noted and is not finished: [`erasure_value`].
    Erasure(&'a TenantId),
    /// A partition that the database belongs to; the value is the topic's name.
    Owned(Source),
    /// A block that no directory lists any more, and whose pages are still there; the value says in which family.
    Garbage(BlockId),
    /// An idempotency entry of a source.
    Idempotency(Source, &'a IdempotencyEntry),
}

pub(crate) const NEXT_PREFIX: &[u8] = b"s";
pub(crate) const LEDGER_PREFIX: &[u8] = b"e";
pub(crate) const ERASURE_PREFIX: &[u8] = b"u";
pub(crate) const OWNED_PREFIX: &[u8] = b"o";
pub(crate) const GARBAGE_PREFIX: &[u8] = b"g";
const IDEMPOTENCY_LETTER: u8 = b'i';

impl MetaKey<'_> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Format => b"f".to_vec(),
            Self::NextBlock => b"n".to_vec(),
            Self::Pending => b"p".to_vec(),
            Self::Next(source) => [NEXT_PREFIX, &source_bytes(*source)].concat(),
            Self::Ledger(source, tenant) => {
                [LEDGER_PREFIX, &source_bytes(*source), tenant.as_str().as_bytes()].concat()
            }
            Self::Erasure(tenant) => [ERASURE_PREFIX, tenant.as_str().as_bytes()].concat(),
            Self::Owned(source) => [OWNED_PREFIX, &source_bytes(*source)].concat(),
            Self::Garbage(block) => [GARBAGE_PREFIX, &block.0.to_be_bytes()].concat(),
            Self::Idempotency(source, entry) => {
                let mut key = idempotency_key(*source, entry.offset);
                key.extend_from_slice(&entry.key.to_be_bytes());
                key.extend_from_slice(&entry.part.to_be_bytes());
                key
            }
        }
    }
}

/// The key before all idempotency entries of a source from `offset` on.
pub(crate) fn idempotency_key(source: Source, offset: Offset) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + SOURCE_BYTES + 8 + 20);
    key.push(IDEMPOTENCY_LETTER);
    key.extend_from_slice(&source_bytes(source));
    key.extend_from_slice(&offset.0.to_be_bytes());
    key
}

pub(crate) fn next_value(next: Offset, idempotency_since: i64) -> [u8; 16] {
    let mut value = [0; 16];
    value[..8].copy_from_slice(&next.0.to_be_bytes());
    value[8..].copy_from_slice(&idempotency_since.to_be_bytes());
    value
}

pub(crate) fn read_next(value: &[u8]) -> Option<(Offset, i64)> {
    let (next, since) = value.split_first_chunk::<8>()?;
    Some((Offset(u64::from_be_bytes(*next)), i64::from_be_bytes(since.try_into().ok()?)))
}

pub(crate) fn idempotency_value(entry: &IdempotencyEntry) -> Vec<u8> {
    let tenant = entry.tenant.as_str().as_bytes();
    [&entry.body.to_be_bytes()[..], &entry.append_time.to_be_bytes(), tenant].concat()
}

/// Reads an idempotency entry back; `None` where key and value are not what was written.
pub(crate) fn read_idempotency(key: &[u8], value: &[u8]) -> Option<(Source, IdempotencyEntry)> {
    let (source, rest) = read_source(key.get(1..)?)?;
    let (offset, rest) = rest.split_first_chunk::<8>()?;
    let (hash, rest) = rest.split_first_chunk::<16>()?;
    let part = u32::from_be_bytes(rest.try_into().ok()?);
    let (body, value) = value.split_first_chunk::<16>()?;
    let (append_time, tenant) = value.split_first_chunk::<8>()?;
    let entry = IdempotencyEntry {
        tenant: read_tenant(tenant)?,
        key: u128::from_be_bytes(*hash),
        part,
        body: u128::from_be_bytes(*body),
        append_time: i64::from_be_bytes(*append_time),
        offset: Offset(u64::from_be_bytes(*offset)),
    };
    Some((source, entry))
}

pub(crate) fn source_bytes(source: Source) -> [u8; SOURCE_BYTES] {
    let mut bytes = [0; SOURCE_BYTES];
    bytes[..16].copy_from_slice(&source.incarnation.0);
    bytes[16..].copy_from_slice(&source.partition.to_be_bytes());
    bytes
}

/// A source, and the bytes after it.
pub(crate) fn read_source(bytes: &[u8]) -> Option<(Source, &[u8])> {
    let (incarnation, rest) = bytes.split_first_chunk::<16>()?;
    let (partition, rest) = rest.split_first_chunk::<4>()?;
    Some((Source { incarnation: Incarnation(*incarnation), partition: u32::from_be_bytes(*partition) }, rest))
}

/// A tenant's name as the store wrote it.
#[allow(clippy::disallowed_methods, reason = "the name comes from the store")]
pub(crate) fn read_tenant(bytes: &[u8]) -> Option<TenantId> {
    TenantId::parse(std::str::from_utf8(bytes).ok()?).ok()
}

/// A row of the erase ledger.
pub(crate) fn ledger_value(end: Offset, first_clean_block: u64) -> Vec<u8> {
    [end.0.to_be_bytes(), first_clean_block.to_be_bytes()].concat()
}

/// Reads a row of the erase ledger back; `None` where it is not what was written.
pub(crate) fn read_ledger(value: &[u8]) -> Option<(Offset, u64)> {
    let (end, first_clean_block) = value.split_first_chunk::<8>()?;
    let first_clean_block = first_clean_block.try_into().ok()?;
    Some((Offset(u64::from_be_bytes(*end)), u64::from_be_bytes(first_clean_block)))
}

/// The ends of an erasure: source and offset, one after another.
pub(crate) fn erasure_value(up_to: &[(Source, Offset)]) -> Vec<u8> {
    let row = |(source, end): &(Source, Offset)| [&source_bytes(*source)[..], &end.0.to_be_bytes()].concat();
    up_to.iter().flat_map(row).collect()
}

/// Reads the ends of an erasure back; `None` where it is not what was written.
pub(crate) fn read_erasure(value: &[u8]) -> Option<Vec<(Source, Offset)>> {
    let mut up_to = Vec::new();
    let mut rest = value;
    while !rest.is_empty() {
        let (source, after) = read_source(rest)?;
        let (end, after) = after.split_first_chunk::<8>()?;
        up_to.push((source, Offset(u64::from_be_bytes(*end))));
        rest = after;
    }
    Some(up_to)
}

/// In which family the pages of a retired block stand.
pub(crate) const fn garbage_value(place: Place) -> &'static [u8] {
    match place {
        Place::Arrival { .. } => b"a",
        Place::Merged { .. } => b"b",
    }
}

pub(crate) fn read_garbage(value: &[u8]) -> &'static str {
    if value == b"a" { ARRIVALS } else { BLOCKS }
}

pub(crate) fn page_key(block: BlockId, page: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&block.0.to_be_bytes());
    key[8..].copy_from_slice(&page.to_be_bytes());
    key
}

pub(crate) fn block_key(block: BlockId) -> [u8; 8] {
    block.0.to_be_bytes()
}

pub(crate) fn read_u64(bytes: &[u8], what: &str) -> Result<u64, DatabaseError> {
    let number = bytes.try_into().map(u64::from_be_bytes);
    number.map_err(|_| DatabaseError::Damaged(format!("{what} is not a number")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn source(partition: u32) -> Source {
        Source { incarnation: Incarnation([9; 16]), partition }
    }

    #[test]
    fn idempotency_entries_read_back_and_sort_by_offset() {
        #[allow(clippy::disallowed_methods)]
        let tenant = TenantId::parse("acme").unwrap();
        let entry = |offset| IdempotencyEntry {
            tenant: tenant.clone(),
            key: u128::MAX - 3,
            part: 7,
            body: 11,
            append_time: -5,
            offset: Offset(offset),
        };
        let keys: Vec<_> = [1, 255, 256].map(|offset| MetaKey::Idempotency(source(3), &entry(offset)).encode()).into();
        assert!(keys.is_sorted());
        let value = idempotency_value(&entry(255));
        assert_eq!(read_idempotency(&keys[1], &value).unwrap(), (source(3), entry(255)));
        assert!(keys[1] > idempotency_key(source(3), Offset(255)) && keys[1] < idempotency_key(source(3), Offset(256)));
        assert_eq!(read_idempotency(&keys[1], &value[..20]), None);
    }

    #[test]
    fn the_ends_of_an_erasure_read_back() {
        for up_to in [vec![], vec![(source(3), Offset(7))], vec![(source(0), Offset(0)), (source(9), Offset(u64::MAX))]]
        {
            let value = erasure_value(&up_to);
            assert_eq!(read_erasure(&value), Some(up_to));
            assert_eq!(read_erasure(&[&value[..], b"x"].concat()), None);
        }
    }

    #[test]
    fn pages_sort_by_block_then_number() {
        let keys = [(1, 2), (1, 300), (256, 0), (257, 1)].map(|(block, page)| page_key(BlockId(block), page));
        assert!(keys.is_sorted());
    }
}
