//! A packet of each kind, for a corpus to begin with: a fuzzer that had to find the layout of each
//! by itself would spend its time on that.

use std::sync::Arc;

use super::packets::Overheard;
use super::script::Script;
use crate::core::{Packet, PacketKind};
use crate::rng::Rng;
use crate::wire;

/// One packet of every kind, always the same, in the order of [`PacketKind::ALL`]: of those that
/// are drawn the one that says most and is short nevertheless.
pub fn samples() -> Vec<Arc<Packet>> {
    const LEN_MAX: usize = 160;
    const DRAWN: u64 = 2_000;
    let drawn: Vec<_> = (0..DRAWN).filter_map(drawn).collect();
    let len = |packet: &Arc<Packet>| wire::encoded_len(packet);
    let of_kind = |kind: PacketKind| {
        let short = drawn.iter().filter(|it| it.kind() == kind && len(it) <= LEN_MAX);
        short.max_by_key(|&it| len(it)).cloned()
    };
    PacketKind::ALL.into_iter().filter_map(of_kind).collect()
}

/// What a script of random bytes has sent first, if a receiver reads it.
fn drawn(number: u64) -> Option<Arc<Packet>> {
    const SCRIPT_LEN: usize = 400;
    let mut rng = Rng::fork(0, "samples", number);
    let bytes: Vec<u8> = (0..SCRIPT_LEN).map(|_| rng.bits() as u8).collect();
    let packet = Overheard::default().packet(&mut Script(&bytes))?;
    let mut written = Vec::new();
    wire::encode(&packet, &mut written);
    wire::decode(&written).is_ok().then_some(packet)
}
