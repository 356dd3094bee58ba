//! The check sum of the POSIX tool `cksum` (IEEE Std 1003.1, cksum): CRC-32 with the generator 04C11DB7, most
//! significant bit first, over the bytes and then their number.

const TABLE: [u32; 256] = table();

#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "computed by the compiler, which checks it"
)]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut number = 0;
    while number < 256 {
        let mut sum = (number as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 0x8000_0000 == 0 { sum << 1 } else { (sum << 1) ^ 0x04c1_1db7 };
            bit += 1;
        }
        table[number] = sum;
        number += 1;
    }
    table
}

/// A running check sum.
#[derive(Debug, Default)]
pub(super) struct Cksum {
    sum: u32,
    length: u64,
}

impl Cksum {
    /// Takes in more bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sum = bytes.iter().fold(self.sum, |sum, byte| step(sum, *byte));
        self.length = self.length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }

    /// The check sum of all that was taken in.
    pub(super) fn finish(self) -> u32 {
        let digits = self.length.to_le_bytes();
        let used = digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last.saturating_add(1));
        !digits.iter().take(used).fold(self.sum, |sum, byte| step(sum, *byte))
    }
}

fn step(sum: u32, byte: u8) -> u32 {
    let [top, ..] = sum.to_be_bytes();
    (sum << 8) ^ TABLE.get(usize::from(top ^ byte)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_the_tool() {
        // printf '' | cksum; printf 123456789 | cksum; head -c 300 /dev/zero | cksum
        let zeros = [0; 300];
        for (bytes, sum) in [(&b""[..], 4_294_967_295), (b"123456789", 930_766_865), (&zeros, 351_385_237)] {
            let mut cksum = Cksum::default();
            bytes.chunks(7).for_each(|piece| cksum.update(piece));
            assert_eq!(cksum.finish(), sum, "{} bytes", bytes.len());
        }
    }
}
