//! The value: what is published here, and what others hold that ranks above it.

use std::net::SocketAddr;
use std::time::Duration;

use super::Store;
use crate::core::context::Context;
use crate::core::dissemination::Dissemination;
use crate::core::io::Event;
use crate::core::metadata::{Metadata, Value, Version};
use crate::core::timers::Timer;
use crate::time::{Instant, nanos};

/// What was published here lately and may be published once more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fresh {
    version: Version,
    until: Instant,
}

impl Store {
    const SCRUB_PERIOD: Duration = Duration::from_secs(60);

    /// Publishes a value and tells as many others of it as are to hold it, instead of having some
    /// of them told by others: only who was told by us answers to us.
    pub(crate) fn on_publish_to(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        value: Value,
        wanted: usize,
    ) {
        spread.expect(cx, wanted);
        self.on_publish(cx, spread, value);
        spread.on_confirm(cx);
    }

    pub(crate) fn on_publish(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        value: Value,
    ) {
        if let Some(version) = self.publish(cx, spread, value) {
            self.note_publish(cx, version);
        }
    }

    /// Makes a value the cluster's metadata, if a version ranks above the held one.
    pub(crate) fn publish(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        value: Value,
    ) -> Option<Version> {
        let (held, time) = (cx.metadata.as_ref(), cx.publish_time());
        let Ok(metadata) = Metadata::publish(value, held, cx.me.place(), time) else {
            cx.out.event(Event::VersionsExhausted(held?.version()));
            spread.note_refused();
            return None;
        };
        let (topic, version) = (cx.topic_of(&metadata), metadata.version());
        spread.note_published(version);
        self.hold(cx, spread, metadata);
        spread.broadcast(cx, &topic);
        Some(version)
    }

    /// Takes a metadata value by its rank alone, by whatever way it came and whatever time it is:
    /// only strangers may not send us one from the future.
    pub(crate) fn on_value(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        metadata: &Metadata,
        from: SocketAddr,
    ) {
        let version = metadata.version();
        let is_newer = cx.metadata.as_ref().is_none_or(|held| held.version() < version);
        if is_newer && cx.refuses(version, from) {
            cx.stats.updates += 1;
        } else {
            self.take_value(cx, spread, metadata);
        }
    }

    /// Holds a value if it is newer than what we hold.
    pub(super) fn take_value(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        metadata: &Metadata,
    ) {
        cx.stats.updates += 1;
        let ours = cx.metadata.clone();
        let (new, old) = (metadata.version(), ours.as_ref().map(Metadata::version));
        if old.is_none_or(|old| planted!(WriterUnranked, old < new, old.nanos < new.nanos)) {
            self.hold(cx, spread, metadata.clone());
            self.publish_again(cx, spread, ours);
        }
    }

    /// Verifies the held value once in a while: not with every use, for a large one takes longer
    /// to verify than everything else in a swap.
    pub(crate) fn on_scrub(cx: &mut Context<'_>) {
        if let Some(broken) = cx.metadata.take_if(|held| !held.is_sound()) {
            cx.stats.values_corrupted += 1;
            cx.out.event(Event::Corrupted(broken.version()));
            cx.swap_again_soon();
        } else if cx.metadata.is_some() {
            cx.timers.set(Timer::Scrub, cx.now.mono + Self::SCRUB_PERIOD);
        }
    }

    /// Holds a value that a former life kept.
    pub(crate) fn take_back_value(cx: &mut Context<'_>, metadata: Metadata) {
        cx.timers.set_earlier(Timer::Scrub, cx.now.mono + Self::SCRUB_PERIOD);
        cx.out.event(Event::Published(metadata.clone()));
        *cx.metadata = Some(metadata);
    }

    fn hold(&mut self, cx: &mut Context<'_>, spread: &mut Dissemination, metadata: Metadata) {
        let (me, theirs) = (cx.me.place(), metadata.version());
        if let Some(ours) = cx.metadata.as_ref().map(Metadata::version)
            && (ours.writer == me && theirs.writer != me)
        {
            let theirs_ahead_by = cx.ahead_by(theirs);
            cx.out.event(Event::Superseded { ours, theirs, theirs_ahead_by });
        }
        Self::note_time_to_apply(cx, theirs);
        planted!(OlderStillTold, spread.supersede(&metadata));
        Self::take_back_value(cx, metadata);
        planted!(FetchUnsettled, self.settle_fetch(cx, spread));
        cx.tell_if_ahead();
    }

    /// What was there before this node says when the node started, and nothing of the way.
    fn note_time_to_apply(cx: &mut Context<'_>, version: Version) {
        let published = u64::try_from(version.nanos).unwrap_or(0);
        if version.writer == cx.me.place() || published < cx.me.generation().get() {
            return;
        }
        let time = u64::try_from(cx.publish_time().0).unwrap_or(0);
        let took = Duration::from_nanos(time.saturating_sub(published));
        cx.stats.time_to_apply.observe(took);
    }

    /// Our service has published this.
    fn note_publish(&mut self, cx: &mut Context<'_>, version: Version) {
        let until = cx.now.mono + cx.config.timeout();
        self.fresh = Some(Fresh { version, until });
    }

    /// Publishes once more what was published here a moment ago and was overtaken by a version
    /// from the future. Once: what overtakes the second one has seen it, or the first, or is
    /// itself a second one; and who published the version from the future sees one that is hardly
    /// above its own. So nobody outbids another for ever.
    fn publish_again(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        ours: Option<Metadata>,
    ) {
        let fresh = self.fresh.take();
        let theirs = cx.metadata.as_ref().map(Metadata::version);
        let (Some(ours), Some(fresh), Some(theirs)) = (ours, fresh, theirs) else { return };
        let gap = u64::try_from(theirs.nanos.saturating_sub(ours.version().nanos)).unwrap_or(0);
        let is_overtaken = ours.version() == fresh.version && cx.now.mono < fresh.until;
        let by_the_future =
            cx.ahead_by(theirs).is_some() && gap > nanos(cx.config.clock_skew_max());
        if is_overtaken && by_the_future {
            self.publish(cx, spread, ours.into_value());
        }
    }
}
