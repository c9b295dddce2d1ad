//! Guests: who joined here, or was asked who it is, and has shown that it is there.

use std::net::SocketAddr;

use super::Membership;
use crate::core::context::{Context, Source};
use crate::core::detection::Detection;
use crate::core::dissemination::Dissemination;
use crate::core::members::NodeIx;
use crate::core::packet::{Alive, ProbeAnswer, RumorAck};
use crate::core::timers::Timer;

impl Membership {
    pub(crate) fn on_alive(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        detection: &mut Detection,
        alive: &Alive,
        via: Source,
    ) {
        match self.apply_alive(cx, spread, detection, alive, via) {
            Some(node) => spread.relay_news(cx, node),
            None => self.answer_refused(cx, detection, via.from, &alive.me),
        }
    }

    /// The one of the newcomers we asked that a token was sent to, when somebody who answers from
    /// this address brings it back.
    fn asked_with(&self, cx: &Context<'_>, from: SocketAddr, token: u32) -> Option<SocketAddr> {
        cx.sent_to(token, from, self.guests.asked())
    }

    /// Has everybody told of one that joined here: at once, or when strangers are many once it has
    /// echoed.
    pub(crate) fn announce_guest(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        node: NodeIx,
    ) {
        if cx.members.is_rumored(node) {
            if !self.guests.takes_credit(cx.now.mono, cx.config.timeout()) {
                return self.guests.hold_back(cx.members.addr(node));
            }
            cx.members.vouch(node);
        }
        spread.announce(cx, node);
    }

    /// An address has echoed a token of ours: somebody is there.
    pub(crate) fn confirm(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        addr: SocketAddr,
    ) {
        cx.out.lift(addr);
        let Some(node) = cx.members.node(addr) else { return cx.routes.note_echo(addr) };
        let is_new = planted!(EchoUnheeded, cx.members.confirm(node), false);
        if !is_new || !cx.members.is_listed(node) {
            return;
        }
        if self.guests.take_unannounced(addr) {
            spread.announce(cx, node);
        }
        spread.tell_newly_listed(cx, node);
    }

    /// A delegate answers for what it was handed, and has shown that it is there.
    pub(crate) fn on_rumor_ack(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        from: SocketAddr,
        ack: &RumorAck,
    ) {
        if let Some(settled) = spread.settle(cx, ack) {
            self.confirm(cx, spread, settled.by());
            spread.on_settled(cx, from, settled, ack);
        }
    }

    /// A probe is answered: perhaps one that asked a newcomer, or a namesake, whether it is there.
    pub(crate) fn on_probe_answer(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        detection: &mut Detection,
        via: Source,
        answer: &ProbeAnswer,
    ) {
        let namesake = self.names.note_answer(answer.token).map(|node| cx.members.addr(node));
        if namesake.is_some() {
            cx.timers.set_earlier(Timer::Names, cx.now.mono);
        }
        let asked = namesake.or_else(|| self.asked_with(cx, via.from, answer.token));
        if let Some(addr) = asked {
            self.confirm(cx, spread, addr);
        }
        detection.on_probe_answer(cx, via, answer, asked);
    }
}
