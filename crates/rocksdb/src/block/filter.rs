//! Filters: small bit sets that say "certainly not here" of a dimension's value, so that most blocks are ruled out by one
//! small page. Split block Bloom filters, cut into pages by the value's hash: a value is looked for on one page.

use xxhash_rust::xxh3::xxh3_64;

/// Bits a value; one value in some 300 passes wrongly.
const BITS_PER_VALUE: usize = 12;
/// Bytes of the eight words that one value sets one bit each of.
const GROUP_BYTES: usize = 32;
/// Most groups of a page: 8 KiB.
const PAGE_GROUPS: usize = 256;

/// What spreads a hash over the eight words of a group.
const SALTS: [u32; 8] =
    [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1, 0xd6e8_feb9, 0xff51_afd7, 0xc4ce_b9fe];

/// The hash of a value, by which filters know it.
pub(super) fn filter_hash(value: &str) -> u64 {
    xxh3_64(value.as_bytes())
}

/// The page, of `pages`, that knows of the value with this hash.
pub(super) fn filter_page_of(hash: u64, pages: u32) -> u32 {
    ((u128::from(hash) * u128::from(pages)) >> 64) as u32
}

/// Pages that know the values with these hashes, at least one page.
pub(super) fn encode_filter(hashes: &[u64]) -> Vec<Vec<u8>> {
    let groups = (hashes.len() * BITS_PER_VALUE).div_ceil(GROUP_BYTES * 8).max(1);
    let pages = groups.div_ceil(PAGE_GROUPS);
    let page_groups = groups.div_ceil(pages);
    let mut filter = vec![vec![0_u8; page_groups * GROUP_BYTES]; pages];
    for hash in hashes {
        let page = filter_page_of(*hash, pages as u32) as usize;
        let Some(page) = filter.get_mut(page) else { continue };
        let start = group_of(*hash, page_groups) * GROUP_BYTES;
        let Some(group) = page.get_mut(start..start + GROUP_BYTES) else { continue };
        for (word, bit) in group.chunks_exact_mut(4).zip(bits_of(*hash)) {
            if let Some(byte) = word.get_mut(bit as usize / 8) {
                *byte |= 1 << (bit % 8);
            }
        }
    }
    filter
}

/// Whether a page may know the value with this hash; false is certain.
pub(super) fn filter_holds(page: &[u8], hash: u64) -> bool {
    let start = group_of(hash, page.len() / GROUP_BYTES) * GROUP_BYTES;
    // A page without groups was written by no encoder; then nothing can be ruled out.
    let Some(group) = page.get(start..start + GROUP_BYTES) else { return true };
    group
        .chunks_exact(4)
        .zip(bits_of(hash))
        .all(|(word, bit)| word.get(bit as usize / 8).is_none_or(|byte| byte & (1 << (bit % 8)) != 0))
}

/// The page took the upper bits of the hash; the group takes the lower half, and its bits the same half, multiplied.
fn group_of(hash: u64, groups: usize) -> usize {
    ((u64::from((hash >> 8) as u32) * groups as u64) >> 32) as usize
}

fn bits_of(hash: u64) -> impl Iterator<Item = u32> {
    let low = hash as u32;
    SALTS.iter().map(move |salt| low.wrapping_mul(*salt) >> 27)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_pass_and_few_others_do() {
        for count in [1_u32, 100, 26_000] {
            let name = |n: u32| format!("customer_{n}");
            let hashes: Vec<u64> = (0..count).map(|n| filter_hash(&name(n))).collect();
            let pages = encode_filter(&hashes);
            assert!(pages.iter().all(|page| page.len() <= PAGE_GROUPS * GROUP_BYTES));
            let holds = |n: u32| {
                let hash = filter_hash(&name(n));
                filter_holds(&pages[filter_page_of(hash, pages.len() as u32) as usize], hash)
            };
            assert!((0..count).all(holds));
            let wrong = (1_000_000..1_050_000).filter(|n| holds(*n)).count();
            assert!(wrong < 500, "{wrong} of 50000 pass wrongly with {count} values");
        }
    }
}
