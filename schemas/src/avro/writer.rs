//! Appending Avro's binary encoding to a buffer.

/// Appends an `int` or `long`: zigzag, then seven bits a byte, the lowest first.
#[inline]
pub(crate) fn write_long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends a `string`: its length, then its bytes.
pub(crate) fn write_string(out: &mut Vec<u8>, string: &str) {
    write_long(out, string.len() as i64);
    out.extend_from_slice(string.as_bytes());
}

/// Begins the only block of an array; an empty array has none. The items follow, then [`write_block_end`].
pub(crate) fn write_block_start(out: &mut Vec<u8>, items: usize) {
    if items > 0 {
        write_long(out, items as i64);
    }
}

/// Ends an array.
pub(crate) fn write_block_end(out: &mut Vec<u8>) {
    out.push(0);
}

/// Appends an array of numbers.
pub(crate) fn write_array(out: &mut Vec<u8>, items: impl ExactSizeIterator<Item = i64>) {
    write_block_start(out, items.len());
    for item in items {
        write_long(out, item);
    }
    write_block_end(out);
}
