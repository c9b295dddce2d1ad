//! The faults that can be planted: what each is called, where it stands and what it breaks.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

/// What of the engine a fault stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is a subject of the protocol")]
pub enum FaultSubject {
    Membership,
    Dissemination,
    Beats,
    Probes,
    Swaps,
    Metadata,
    Entries,
    Joining,
    Leaving,
    Trust,
    Limits,
    Paths,
    Clocks,
}

/// In what way a line is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// It compares with something else than it should.
    WrongBound,
    /// It is not there.
    MissingCall,
    /// It does the one in place of the other.
    SwappedOrder,
    /// It goes on with what is out of date.
    StaleState,
}

macro_rules! faults {
    ($($subject:ident { $($name:ident: $kind:ident, $says:literal;)* })*) => {
        /// A fault that can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Planted {
            $($(#[doc = $says] $name,)*)*
        }

        impl Planted {
            /// All of them, by subject.
            pub const ALL: &[Self] = &[$($(Self::$name,)*)*];

            /// What of the engine it stands in.
            pub fn subject(self) -> FaultSubject {
                match self { $($(Self::$name)|* => FaultSubject::$subject,)* }
            }

            /// In what way the line is wrong.
            pub fn kind(self) -> FaultKind {
                match self { $($(Self::$name => FaultKind::$kind,)*)* }
            }

            /// What it does, in one sentence.
            pub fn says(self) -> &'static str {
                match self { $($(Self::$name => $says,)*)* }
            }
        }
    };
}

faults! {
    Membership {
        TombstoneOutranked: WrongBound, "A beat no newer than a tombstone lists its member again";
        LeaverRelisted: MissingCall,
            "Whoever left is listed again by a beat that its goodbye had not seen";
        TombstonesTooFew: WrongBound, "A new tombstone takes the place of all older ones";
        WrongNamesake: SwappedOrder, "Of two with one name, the one that answers is replaced";
        FormerLifeUnheeded: MissingCall,
            "A node that hears of a higher generation of its own stays below it";
        UpdateStale: StaleState, "An update is told with what the node said before";
    }
    Dissemination {
        AckUnheeded: MissingCall, "An acknowledgement settles nothing";
        AckOfAnother: WrongBound,
            "An acknowledgement counts for the first that was told, whoever sent it";
        ArcUntold: MissingCall, "Who takes on an arc tells nobody on it";
        RumorForgotten: StaleState,
            "What was told already is told once more with each copy that comes";
        OlderStillTold: MissingCall, "A newer version does not end the telling of the older";
    }
    Beats {
        WatchEnds: MissingCall, "Who looked for the silent never looks again";
        RemovedTooSoon: WrongBound, "A silent member is removed when it should be called";
        BeatFromAhead: WrongBound, "A short counter that lies too far ahead is believed";
        BeatUnrelayed: MissingCall, "A newer beat is not passed on";
        LastCallUnanswered: MissingCall, "A last call gets no answer";
    }
    Probes {
        AnswerUnheeded: MissingCall, "Who answers the call before its removal stays a suspect";
        SuspicionTooShort: WrongBound, "A suspect has no time to answer";
        ObituaryUnheeded: MissingCall, "Who hears that it was removed does not say that it lives";
        CallsPutOff: WrongBound, "Each further call puts off the end of a suspicion";
        ProbesEnd: MissingCall, "Who has probed one member probes no other";
        SuspectsUnjudged: MissingCall, "Who looked at its suspects never looks again";
    }
    Swaps {
        BucketsSkipped: WrongBound, "Of the buckets of two lists only the second half is compared";
        BucketStale: StaleState, "The sum of a bucket still holds who was taken off the list";
        SwapsEnd: MissingCall, "Who has begun a swap begins no other by itself";
        VectorForeign: MissingCall, "The beats of another list are taken for those of our own";
        CountsCompared: WrongBound, "Lists of the same length are taken for the same";
        NewerUnsent: SwappedOrder, "A swap sends the value to who holds a newer one";
    }
    Metadata {
        WriterUnranked: WrongBound, "Of two values of one time each node keeps the first";
        FetchUnsettled: MissingCall, "A value that has come is still wanted";
        KeeperGone: StaleState, "One that has left counts as a keeper of the value";
        OlderConfirmed: WrongBound, "Who holds an older version counts as a keeper of the new one";
        ServedForEver: StaleState, "A transfer that came to nothing counts as under way";
    }
    Entries {
        DeadTaken: MissingCall,
            "What was deleted and forgotten is taken again from whoever still holds it";
        GapsCovered: WrongBound,
            "Who hears of a write takes all earlier ones of its writer for heard of";
        EntriesUncompared: MissingCall, "Nodes that find that they hold other entries leave it so";
    }
    Joining {
        DialsEnd: MissingCall, "Who has dialled once dials no more";
        LostUndialled: MissingCall, "Who was removed by timeout is not looked for";
        LostUnrotated: MissingCall,
            "The first of the lost are dialled for ever, and the others never";
        SeedsDialledAlone: WrongBound, "Seeds are dialled only by who is alone";
    }
    Leaving {
        GoodbyeOfFormerLife: WrongBound, "The goodbye of a former life removes the present one";
        PromiseUnkept: StaleState, "A leaver is told that others hold its value, though none does";
        GoodbyeUnsaid: MissingCall, "A leaver tells nobody that it goes";
        OffTooSoon: WrongBound, "A leaver waits for no acknowledgement";
    }
    Trust {
        MembersRefused: WrongBound, "A version from the future is refused from members too";
        ClaimUnasked: MissingCall, "Nobody asks the owner of a generation from the future";
        AnswerUndecided: MissingCall, "What the owner of an address answers decides nothing";
        EchoUnheeded: MissingCall, "Who has echoed stays a newcomer";
    }
    Limits {
        ListOverfull: WrongBound, "One more than `members_max` are listed";
        FullToldAgain: StaleState, "That the list is full is told each time";
        TombstonesStay: WrongBound, "Tombstones are never forgotten";
        RumorsStay: MissingCall, "Rumors that are over are never forgotten";
        NewsKept: StaleState, "News that was passed on waits for the next relay again";
    }
    Paths {
        SwapUnannounced: MissingCall, "A swap does not announce a value that exceeds a datagram";
        PathToldAgain: StaleState, "That a path is narrow is told each time";
        FetchUnwatched: MissingCall, "A value that does not come is not asked for again";
        StreamFailureUnheeded: MissingCall, "Who could not be asked by stream is waited for";
    }
    Clocks {
        PublishedBelow: WrongBound,
            "A value may be published with the time of the one that it replaces";
        AheadToldAgain: StaleState, "That a version lies ahead is told each time";
        JudgedAtOnce: StaleState, "Who slept judges others by what it held before";
        JumpTooShort: StaleState,
            "A node jumps above its own generation, not above the one it heard of";
    }
}

/// One more than the number of the fault that is planted; zero while none is.
///
/// One for the whole process, because the rules stand where no setting reaches, and whoever looks
/// for a fault plants no other meanwhile. No service has it: the feature is for tests alone.
static PLANTED: AtomicU8 = AtomicU8::new(0);

/// Plants a fault in all engines of this process in place of any other, or none. To be called
/// while no engine runs: one that runs would have two sets of rules in one life.
pub fn plant(fault: Option<Planted>) {
    PLANTED.store(fault.map_or(0, |fault| fault as u8 + 1), Ordering::SeqCst);
}

/// Whether this fault is planted.
#[inline]
pub fn is(fault: Planted) -> bool {
    PLANTED.load(Ordering::Relaxed) == fault as u8 + 1
}

impl Planted {
    /// What it is called on the command line, such as `tombstones-stay`.
    pub fn name(self) -> String {
        kebab(&format!("{self:?}"))
    }

    /// The fault of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fault| fault.name() == name)
    }
}

impl fmt::Display for FaultSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&kebab(&format!("{self:?}")))
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&kebab(&format!("{self:?}")).replace('-', " "))
    }
}

/// `TombstonesStay` as `tombstones-stay`.
fn kebab(camel: &str) -> String {
    let mut kebab = String::new();
    for char in camel.chars() {
        if char.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(char.to_lowercase());
    }
    kebab
}
