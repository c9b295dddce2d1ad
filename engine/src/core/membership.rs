//! Membership: who is listed, and who we are.
//!
//! What comes of members is judged here: beats, records and departures (`news.rs`), what others
//! say of a member, ourselves among them (`hearsay.rs`), two that claim one address or one name
//! (`conflicts.rs`, `claims.rs`, `names.rs`), those whom nobody has met yet (`newcomers.rs`), and
//! how soon we come back when we were taken for dead (`damping.rs`).

mod called;
mod claims;
mod conflicts;
mod damping;
mod guests;
mod hearsay;
mod identity;
mod limits;
mod mismatches;
mod names;
mod newcomers;
mod news;

use self::called::Called;
use self::claims::Claims;
use self::conflicts::Conflicts;
use self::damping::Damping;
use self::identity::GenerationBumps;
use self::limits::ListLimit;
use self::mismatches::ConfigMismatches;
use self::names::NameConflicts;
use self::newcomers::Guests;
use self::news::Intake;
use crate::time::Instant;

/// What is remembered of what was said about members.
#[derive(Clone, Debug, Default)]
pub(crate) struct Membership {
    intake: Intake,
    guests: Guests,
    claims: Claims,
    conflicts: Conflicts,
    names: NameConflicts,
    bumps: GenerationBumps,
    damping: Damping,
    /// When we last told all that we live.
    refuted_at: Instant,
    list_limit: ListLimit,
    called: Called,
    mismatches: ConfigMismatches,
}
