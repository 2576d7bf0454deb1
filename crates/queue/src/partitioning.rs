//! Which partition a record belongs to.

use luminate_model::TenantId;

/// Key of a gateway's record, `tenant/shard` as text: so one tenant's samples keep to one partition a shard, and each
/// series keeps its order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordKey {
    /// The owner of the samples.
    pub tenant: TenantId,
    /// Series id mod the tenant's shard count.
    pub shard: u32,
}

impl RecordKey {
    /// The bytes that stand in the record.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        format!("{}/{}", self.tenant, self.shard).into_bytes()
    }

    /// Reads the key of a record; `None` where it is not `tenant/shard`.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "a record's key is where a writer takes the tenant from")]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (tenant, shard) = std::str::from_utf8(bytes).ok()?.rsplit_once('/')?;
        Some(Self { tenant: TenantId::parse(tenant).ok()?, shard: shard.parse().ok()? })
    }
}

/// The partition of a key among `partitions`: murmur2 as Kafka's Java clients compute it, so that every producer agrees.
#[must_use]
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

/// Kafka's variant of murmur2, seed 0x9747b28c.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c_u32 ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (at, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    /// From the tests of Kafka's own `Utils.murmur2`.
    #[test]
    fn murmur2_is_kafkas() {
        let expected: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ];
        for (data, hash) in expected {
            assert_eq!(murmur2(data) as i32, hash, "{data:?}");
        }
    }

    #[test]
    fn key_is_read_back() {
        let key = RecordKey { tenant: TenantId::parse("acme-1").unwrap(), shard: 12 };
        assert_eq!(key.to_bytes(), b"acme-1/12");
        assert_eq!(RecordKey::parse(&key.to_bytes()), Some(key));
        for bad in [&b"acme"[..], b"acme/x", b"/1", b"a/b/1", b"\xff/1", b""] {
            assert_eq!(RecordKey::parse(bad), None, "{bad:?}");
        }
    }
}
