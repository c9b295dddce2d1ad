//! The system's clocks and entropy, each read at one place.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::TryRng as _;
use rand::rngs::{SysError, SysRng};

use crate::time::{Instant, Now, UnixNanos, nanos};

/// What the monotonic clock of a node shows when it starts. Not zero, because an engine reckons
/// back from now to when it would have heard of something, which may be before its own start; and
/// far below the nine years where an engine's clock ends.
const START: Instant = Instant::from_nanos(1 << 56);

/// The clocks that one node goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: tokio::time::Instant,
    wall: Wall,
}

/// Where the wall clock is read.
#[derive(Clone, Copy, Debug)]
enum Wall {
    System,
    /// It showed this when the monotonic clock started, and goes with it.
    Virtual(UnixNanos),
}

impl Clock {
    /// Starts the monotonic clock.
    pub(crate) fn start() -> Self {
        Self { start: monotonic(), wall: Wall::System }
    }

    /// Starts the monotonic clock, and with it a wall clock that shows `wall`.
    pub(crate) fn start_at(wall: UnixNanos) -> Self {
        Self { start: monotonic(), wall: Wall::Virtual(wall) }
    }

    /// The same monotonic clock, with a wall clock that shows `wall` now.
    #[cfg(test)]
    pub(crate) fn with_wall(self, wall: UnixNanos) -> Self {
        let elapsed = i64::try_from(nanos(monotonic() - self.start)).expect("tests are short");
        Self { wall: Wall::Virtual(UnixNanos(wall.0 - elapsed)), ..self }
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Now {
        let elapsed = monotonic() - self.start;
        let wall = match self.wall {
            Wall::System => wall(),
            Wall::Virtual(start) => start.saturating_add(elapsed),
        };
        Now { mono: START + elapsed, wall }
    }

    /// What the monotonic clock shows, where that will do.
    pub(crate) fn mono(&self) -> Instant {
        START + (monotonic() - self.start)
    }

    /// When the monotonic clock will show `instant`; at the end of the scale, in a year.
    pub(crate) fn at(&self, instant: Instant) -> tokio::time::Instant {
        let year = Duration::from_secs(365 * 86_400);
        let wait = instant.since(START);
        self.start.checked_add(wait).unwrap_or_else(|| monotonic() + year)
    }
}

/// The one reading of the monotonic clock. It is tokio's, so that a test can pause it.
#[allow(clippy::disallowed_methods, reason = "the one place where this clock is read")]
fn monotonic() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// The one reading of the wall clock.
#[allow(clippy::disallowed_methods, reason = "the one place where this clock is read")]
fn wall() -> UnixNanos {
    let signed = |duration| i64::try_from(nanos(duration)).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => UnixNanos(signed(since)),
        Err(before) => UnixNanos(-signed(before.duration())),
    }
}

/// 64 bits from the system: the seed of an engine, or what sets one run's keys apart.
pub(crate) fn entropy() -> Result<u64, SysError> {
    SysRng.try_next_u64()
}

/// 16 bytes from the system: one end's part of the key of a connection.
pub(crate) fn random() -> Result<[u8; 16], SysError> {
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_engine_s_instants_are_those_of_the_timer() {
        let clock = Clock::start();
        let before = clock.now();
        let deadline = before.mono + Duration::from_secs(5);
        tokio::time::sleep_until(clock.at(deadline)).await;
        let after = clock.now();
        assert!(after.mono >= deadline && after.mono - deadline <= Duration::from_millis(1));
        assert!(after.wall >= before.wall && before.wall > UnixNanos(1_700_000_000_000_000_000));
        assert!(clock.at(Instant::from_nanos(u64::MAX)) > clock.at(deadline));
    }

    #[tokio::test(start_paused = true)]
    async fn a_virtual_wall_clock_goes_with_the_timer() {
        let clock = Clock::start_at(UnixNanos(7));
        assert_eq!(clock.now(), Now { mono: START, wall: UnixNanos(7) });
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(clock.now().wall, UnixNanos(3_000_000_007));
    }
}
