//! Doubles as whole numbers that are ordered the same way, so that ranges of values can be cut into even parts.

/// The number of a double: smaller doubles have smaller numbers, and neighbours differ by one.
pub(in crate::execute) fn number(value: f64) -> u64 {
    let bits = value.to_bits();
    if value.is_sign_negative() { !bits } else { bits | 1 << 63 }
}

/// The double with a number.
pub(in crate::execute) fn double(number: u64) -> f64 {
    let bits = if number >> 63 == 0 { !number } else { number & !(1 << 63) };
    f64::from_bits(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_that_of_the_doubles() {
        let ascending = [f64::MIN, -1.5, -1.0, -f64::MIN_POSITIVE, -0.0, 0.0, 5e-324, 1.0, 1.5, f64::MAX];
        assert!(ascending.is_sorted_by(|a, b| number(*a) < number(*b)));
        for value in ascending {
            assert_eq!(double(number(value)).to_bits(), value.to_bits());
        }
    }
}
