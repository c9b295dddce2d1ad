//! Versions of the wire: to each peer goes the highest that both speak.
//!
//! A record says what its node speaks. One that says 1 may have been stripped on its way to us, so
//! what opens an exchange goes to such a member in our highest version as well: a decoder of
//! version 1 refuses that, and whoever reads both takes the older for the copy that it is. A node
//! that lists nobody dials in the highest and, if nobody answers, in the first. All else is made in
//! our highest version and put into a lower one, which strips it of what that can't say, just
//! before it leaves; what that has no word for at all stays here.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Context;
use crate::config::WireVersion;
use crate::core::io::Output;
use crate::core::packet::{Body, Packet};

impl Context<'_> {
    /// Notes in which version the packet at hand came: who wrote it reads it too.
    pub(crate) fn note_version(&mut self, from: SocketAddr, wire: WireVersion) {
        self.spoken = Some((from, wire));
    }

    /// The version of the packet at hand, in which its sender compares what it holds with us; of
    /// what we do of our own accord, the highest that we speak.
    pub(crate) fn wire(&self) -> WireVersion {
        self.spoken.map_or(self.config.wire_max(), |(_, wire)| wire)
    }

    /// The highest version that this node and we both speak, as far as we know.
    pub(crate) fn speaks(&self, addr: SocketAddr) -> WireVersion {
        let heard = self.spoken.filter(|(from, _)| *from == addr).map(|(_, wire)| wire);
        let known = self.members.speaks(addr).max(heard.unwrap_or_default());
        known.min(self.config.wire_max())
    }

    /// The versions in which to open an exchange: our highest, and the first where we don't know
    /// that it is spoken there.
    pub(crate) fn opening_versions(
        &self,
        to: SocketAddr,
    ) -> impl Iterator<Item = WireVersion> + use<> {
        let (ours, theirs) = (self.config.wire_max(), self.speaks(to));
        [Some(ours), (theirs < ours).then_some(WireVersion::One)].into_iter().flatten()
    }

    /// Sends what opens an exchange.
    pub(crate) fn send_opening(
        &mut self,
        to: SocketAddr,
        versions: impl IntoIterator<Item = WireVersion>,
        body: impl Fn(&Self, WireVersion) -> Body,
    ) {
        for wire in versions {
            let packet = Packet::new(self.step, body(self, wire)).in_version(wire);
            self.out.send(to, &Arc::new(packet));
        }
    }

    /// True for an opening in an older version than its sender is known to speak: it did not know
    /// whether we speak the newer one, and sent it in that as well.
    pub(crate) fn is_older_copy(&self, from: SocketAddr) -> bool {
        self.wire() < self.members.speaks(from).min(self.config.wire_max())
    }

    /// Puts what this input brought into versions that those speak to whom it goes. Whoever was
    /// delegated entries and has turned out to be an old node since is not told of them.
    pub(crate) fn lower(&mut self) {
        let lowers = |output: &Output| self.lower_version(output).is_some();
        if !self.out.of_this_input().iter().any(lowers) {
            return;
        }
        for output in self.out.take_of_this_input() {
            let output = match (self.lower_version(&output), output) {
                (Some(wire), Output::Send { to, packet, class })
                    if packet.body.is_said_in(wire) =>
                {
                    let packet = Arc::new(Packet::clone(&packet).in_version(wire));
                    Output::Send { to, packet, class }
                }
                (Some(_), _) => continue,
                (None, output) => output,
            };
            self.out.push(output);
        }
    }

    /// The version into which an output is to be put, if it goes to who does not speak its own.
    fn lower_version(&self, output: &Output) -> Option<WireVersion> {
        let Output::Send { to, packet, .. } = output else { return None };
        let is_opening = matches!(packet.body, Body::Join(_) | Body::SwapRequest(_));
        if packet.wire == WireVersion::One || is_opening {
            return None;
        }
        Some(self.speaks(*to)).filter(|&wire| wire < packet.wire)
    }
}
