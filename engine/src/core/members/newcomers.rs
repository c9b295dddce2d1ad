//! Newcomers on the list: how many there are, and who introduced them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::Members;
use super::row::{Introducer, Standing};

impl Introducer {
    /// The one who sends from an address, who is not believed.
    pub(crate) fn of(from: SocketAddr) -> Self {
        // FNV-1a: it must be the same everywhere and cheap, no more.
        let mix = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        let port = from.port().to_le_bytes();
        let hash = match from.ip() {
            IpAddr::V4(ip) => ip.octets().iter().chain(&port).fold(0x811c_9dc5, mix),
            IpAddr::V6(ip) => ip.octets().iter().chain(&port).fold(0x811c_9dc5, mix),
        };
        Self::new(hash ^ hash >> 11 ^ hash >> 22)
    }
}

/// How many newcomers there are, in all and by introducer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Newcomers {
    len: usize,
    by_introducer: BTreeMap<Introducer, usize>,
}

impl Newcomers {
    /// So many more newcomers than others are no crowd: every cluster starts with some.
    const HANDFUL: usize = 16;

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn of(&self, introducer: Introducer) -> usize {
        self.by_introducer.get(&introducer).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, standing: Standing) {
        if let Standing::Newcomer(introducer) = standing {
            self.len += 1;
            *self.by_introducer.entry(introducer).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, standing: Standing) {
        let Standing::Newcomer(introducer) = standing else { return };
        self.len -= 1;
        let count = self.by_introducer.get_mut(&introducer).expect("it was added");
        *count -= 1;
        if *count == 0 {
            self.by_introducer.remove(&introducer);
        }
    }
}

impl Members {
    /// True when most members may be invented.
    pub(crate) fn is_crowded(&self) -> bool {
        let newcomers = self.newcomers().len();
        newcomers > self.len() - newcomers + Newcomers::HANDFUL
    }
}
