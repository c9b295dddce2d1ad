//! Any bytes, for whatever reads bytes: datagrams, packets of pekonode, calls.

use crate::config::Config;
use crate::wire;

/// Takes any bytes for a datagram. What is refused is refused; what is a packet has no other
/// encoding, but for extensions behind it that were passed over, and its length is told without
/// encoding.
pub fn decode(bytes: &[u8]) {
    let Ok(packet) = wire::decode(bytes) else { return };
    let mut again = Vec::new();
    wire::encode(&packet, &mut again);
    let read = if packet.skipped == 0 { bytes } else { &bytes[..again.len().min(bytes.len())] };
    assert_eq!(again, read, "two encodings of one packet");
    assert_eq!(wire::encoded_len(&packet), again.len());
    assert!(packet.len_max() >= again.len(), "a bound that is none");
}

/// Takes any bytes for a packet of pekonode. What is one reads the same once more, and its length
/// is told without encoding.
pub fn decode_pekonode(bytes: &[u8]) {
    let Ok(packet) = wire::pekonode::decode(bytes, wire::DATAGRAM_LEN_MAX) else { return };
    let mut again = Vec::new();
    wire::pekonode::encode(&packet, &mut again);
    assert_eq!(packet.encoded_len(), again.len());
    let read = wire::pekonode::decode(&again, usize::MAX);
    assert!(read.is_ok_and(|read| read == packet) || again.len() > wire::DATAGRAM_LEN_MAX);
}

/// Takes any bytes for a call, and for a packet on a connection that has begun well. Whoever does
/// not hold the secret gets neither through.
pub fn connection(bytes: &[u8]) {
    let sealed = Config::builder().secret_key("secret").build().expect("a valid configuration");
    for config in [Config::default(), sealed] {
        let guard = wire::StreamGuard::of(&config);
        let taken = guard.accept(bytes, [2; 16]).is_ok();
        assert!(!taken || config.secret_key().is_none(), "a call without the secret");
        let call = guard.dial(1, [1; 16]);
        let (mut opener, _) = guard.accept(&call.hello(), [2; 16]).expect("a call of ours");
        let opened = opener.open(&guard, &mut bytes.to_vec(), 0).is_ok();
        assert!(!opened || config.secret_key().is_none(), "a packet without the secret");
    }
}
