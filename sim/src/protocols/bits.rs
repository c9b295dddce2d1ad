//! Flipped bits: what noise does to a packet on its way.

/// Flips the bit of these bytes that `noise` picks, if there are any.
pub(super) fn flip(bytes: &mut [u8], noise: u64) {
    let bits = 8 * bytes.len() as u64;
    if bits > 0 {
        let bit = (noise % bits) as usize;
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}
