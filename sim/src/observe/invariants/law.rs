//! The laws: what each says, what it is called, and whose promise it is.

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Law {
    /// Every packet sent or doubled has exactly one fate.
    PacketsConserved,
    /// The metadata of a node never becomes older, nor is it lost without a word, nor does the node
    /// tell of an older one than it holds.
    VersionsNeverGoBack,
    /// An incarnation that left or was replaced is not listed again by a node that knew.
    GoneStayGone,
    /// Nobody is removed by timeout before the timeout has passed since the last proof of life
    /// that the simulator knows of: its start, or its answer to a last call. With probes it is the
    /// shortest time that anybody is suspected, since the start or an answer to a probe. And who
    /// slept asks before it removes anybody.
    SilenceBeforeRemoval,
    /// Members and tombstones stay within their limits.
    StateIsBounded,
    /// Only nodes that the plan started are ever listed.
    OnlyRealNodes,
    /// Some time after the last fault all lists are true, and all hold the same value.
    Convergence,
    /// Whoever a node removed by timeout it lists again only with a newer beat or generation.
    NoZombie,
    /// A value outlives those who leave politely.
    NoLoss,
    /// What a node sends follows from what there is to do.
    BoundedWork,
    /// What a service is to be told once is not repeated.
    ToldOnce,
    /// On a perfect network nobody who lives is removed, news is nowhere late and is not told for
    /// ever, and who probes does so every cycle.
    Calm,
}

impl Law {
    pub(super) const ALL: [Self; 12] = [
        Self::PacketsConserved,
        Self::VersionsNeverGoBack,
        Self::GoneStayGone,
        Self::SilenceBeforeRemoval,
        Self::StateIsBounded,
        Self::OnlyRealNodes,
        Self::Convergence,
        Self::NoZombie,
        Self::NoLoss,
        Self::BoundedWork,
        Self::ToldOnce,
        Self::Calm,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PacketsConserved => "packets_conserved",
            Self::VersionsNeverGoBack => "versions_never_go_back",
            Self::GoneStayGone => "gone_stay_gone",
            Self::SilenceBeforeRemoval => "silence_before_removal",
            Self::StateIsBounded => "state_is_bounded",
            Self::OnlyRealNodes => "only_real_nodes",
            Self::Convergence => "convergence",
            Self::NoZombie => "no_zombie",
            Self::NoLoss => "no_loss",
            Self::BoundedWork => "bounded_work",
            Self::ToldOnce => "told_once",
            Self::Calm => "calm",
        }
    }

    /// Who promises it.
    pub(super) fn promised_by(self) -> Promise {
        match self {
            Self::PacketsConserved => Promise::Simulator,
            Self::VersionsNeverGoBack => Promise::EveryProtocol,
            Self::GoneStayGone
            | Self::SilenceBeforeRemoval
            | Self::StateIsBounded
            | Self::OnlyRealNodes
            | Self::Convergence
            | Self::NoZombie
            | Self::NoLoss
            | Self::BoundedWork
            | Self::ToldOnce
            | Self::Calm => Promise::Rumormill,
        }
    }
}

/// Whose promise a law is, which decides in which runs it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// It is about the laboratory itself.
    Simulator,
    /// Without it the measures would mean nothing.
    EveryProtocol,
    /// It is of rumormill's own protocol; others have their reasons.
    Rumormill,
}
