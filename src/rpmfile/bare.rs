//! A package without payload around a header, for tools that read nothing but headers.

/// Tag and type of a header's region, and the two tags used here.
const REGION: [u32; 2] = [62, 7];
const SIZE: [u32; 2] = [1000, 4];
/// Length of an entry, which is that of a region's trailer, too.
const ENTRY: u32 = 16;

/// A package file that holds `header` and nothing else: a lead, a signature header that says how long the header is,
/// and the header. Made anew, so that no byte comes from what was not signed.
#[must_use]
pub fn without_payload(header: &[u8]) -> Vec<u8> {
    let length = u32::try_from(header.len()).unwrap_or(u32::MAX);
    let mut file = lead();
    file.extend(signature_header(length));
    file.extend_from_slice(header);
    file
}

/// Magic, version 3.0, binary package, architecture 1, a name, system 1, signatures in a header.
fn lead() -> Vec<u8> {
    let mut lead = vec![0xed, 0xab, 0xee, 0xdb, 3, 0, 0, 0, 0, 1];
    lead.extend_from_slice(b"package");
    lead.resize(76, 0);
    lead.extend([0, 1, 0, 5]);
    lead.resize(96, 0);
    lead
}

fn signature_header(length: u32) -> Vec<u8> {
    let entry = |[tag, kind]: [u32; 2], offset: u32, count: u32| {
        [tag, kind, offset, count].map(u32::to_be_bytes).concat()
    };
    // the size, and behind it the trailer of the region, which leads back over both entries
    let trailer = entry(REGION, ENTRY.wrapping_mul(2).wrapping_neg(), ENTRY);
    let store = [&length.to_be_bytes()[..], &trailer].concat();
    let mut bytes = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
    bytes.extend(2_u32.to_be_bytes());
    bytes.extend(u32::try_from(store.len()).unwrap_or(0).to_be_bytes());
    bytes.extend(entry(REGION, 4, ENTRY));
    bytes.extend(entry(SIZE, 0, 1));
    bytes.extend(store);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::Envelope;
    use super::*;

    #[test]
    fn what_is_made_is_read() {
        let header = minimal();
        let file = without_payload(&header);
        let read = |buffer: &mut [u8], offset: u64| {
            let from = file.get(usize::try_from(offset).unwrap()..).unwrap();
            buffer.copy_from_slice(from.get(..buffer.len()).unwrap());
            Ok(())
        };
        let envelope = Envelope::read(u64::try_from(file.len()).unwrap(), &read).unwrap();
        assert_eq!(envelope.header(), header);
        assert_eq!(envelope.payload_length(), 0);
    }

    /// A header with nothing but its region.
    fn minimal() -> Vec<u8> {
        let mut bytes = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
        for number in [1_u32, 16, 63, 7, 0, 16, 63, 7, 0_u32.wrapping_sub(16), 16] {
            bytes.extend(number.to_be_bytes());
        }
        bytes
    }
}
