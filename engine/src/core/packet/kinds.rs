//! Every kind of packet, each declared once.
//!
//! A declaration is a tag on the wire, a name in scenarios and traces, and what the packet says:
//! fields in the order in which they are written, or a type that has a layout of its own. From it
//! follow [`super::Body`], [`super::PacketKind`] and the structs, the bytes and their bounds (in
//! `wire`) and any packet of the kind (for property tests). A new kind is one more of them, at the
//! end, and the handler to which `engine.rs` gives it.

/// Hands all declarations to a macro. `[n]` behind a field is the most that it takes, where that
/// does not follow from its type; `=> name` behind a kind names what must hold between its fields,
/// by the function of `wire` that checks it.
macro_rules! packet_kinds {
    ($make:ident) => {
        $make! {
            /// What advanced since the sender's last relay, in bulk. Never answered.
            #[derive(Default)]
            0 "bulk" Bulk {
                /// Beats that advanced.
                beats: Vec<Beat>,
                /// Changes of membership.
                news: Vec<MembershipUpdate>,
            }

            /// One piece of news on its way along the ring, with the arc that the receiver now
            /// answers for. Answered by [`Body::RumorAck`].
            1 "rumor" Rumor {
                /// Comes back in the acknowledgement.
                token: Token,
                /// How many acknowledgements to send: more than one where many get lost.
                acks: u8,
                /// The part of the ring that the receiver answers for; all the rest is in other
                /// hands.
                arc: RingArc,
                /// Whom the sender knows on the arc, where they are few.
                view: Option<ViewDigest>,
                /// The news.
                topic: Subject,
            }

            /// A node that wants in, or looks for its cluster again. Answered by
            /// [`Body::Welcome`].
            2 "join" Join {
                /// Comes back in the answer.
                token: u32,
                /// Itself.
                me: MemberState,
                /// What it holds already.
                summary: StateSummary,
                /// Makes it so long that a full datagram may answer.
                padding: Padding,
            }

            /// Some members to begin with.
            3 "welcome" Welcome {
                /// That of the join.
                token: u32,
                /// What to echo, if the answerer does not know yet that the caller is where it
                /// says.
                ask: Option<u32>,
                /// What the answerer holds.
                summary: StateSummary,
                /// The answerer and some random members.
                members: Vec<MemberState>,
            }

            /// Opens a swap. Answered by [`Body::SwapAnswer`].
            #[derive(Copy)]
            4 "swap_request" SwapRequest {
                /// Comes back in the answer.
                token: u32,
                /// What the sender holds.
                summary: StateSummary,
                /// Makes it so long that the usual answer may be given.
                padding: Padding,
            }

            /// Says what the answerer holds: its vector where the lists agree, else bucket digests.
            5 "swap_answer" SwapAnswer {
                /// That of the request.
                token: u32,
                /// What to echo, if the answerer does not know yet that the asker is where it says.
                ask: Option<u32>,
                /// What the answerer holds.
                summary: StateSummary,
                /// How the lists compare.
                detail: Comparison,
            }

            /// Counters and ages of members by place on the ring, valid only between equal lists.
            /// Never answered.
            6 "vector" BeatVector {
                /// The digest of the list that the places refer to.
                digest: Digest,
                /// The place in ring order of the first entry.
                first: u32 [5],
                /// Counter modulo 256 and age, one pair a member.
                beats: Vec<(u8, Age)>,
            } => vector_ends

            /// The ids listed in some buckets of the ring. Answered by what the sender lacks.
            7 "ids" BucketIds {
                /// What the receiver asked to have echoed, if it did.
                echo: Option<u32>,
                /// The ring is cut into `2^bits` buckets by the highest bits of a place; at most
                /// 16.
                bits: u8,
                /// The buckets this packet speaks of.
                buckets: Vec<u16>,
                /// Every id that the sender lists in them.
                ids: Vec<RecordId>,
            } => buckets_exist

            /// Ids whose records the sender lacks. Answered by [`Body::Delta`].
            8 "wanted" Pull {
                /// The ids.
                ids: Vec<RecordId>,
            }

            /// Members and departures that the receiver lacked or asked for. Never answered.
            9 "records" Delta {
                /// Members and departures.
                news: Vec<MembershipUpdate>,
            }

            /// A metadata value that the receiver's summary lacked. Never answered.
            10 "value" Value(Metadata)

            /// "We have not heard of you for long: do you live?" Answered by [`Body::Alive`].
            #[derive(Copy, Default)]
            11 "last_call" LastCall {
                /// Comes back in the answer.
                token: u32,
                /// Makes it so long that the receiver may answer with all that it says of itself.
                padding: Padding,
            }

            /// The newest beat of the sender itself. Never answered.
            12 "alive" Alive {
                /// That of the call.
                token: u32,
                /// The sender, with its newest beat.
                me: MemberState,
            }

            /// A value that the receiver lacked and that exceeds a datagram: it can be fetched
            /// here.
            13 "announced" Announced(Announcement)

            /// What two nodes have to say to each other about the transfer of a value.
            #[derive(Copy)]
            14 "fetch" Fetch {
                /// The value.
                version: Version,
                /// What is to be said.
                call: Call,
            }

            /// The value that was asked for. Answered by [`Call::Done`].
            15 "fetched" Fetched(Metadata)

            /// "Do you live, and do we hold the same?" Answered by [`Body::ProbeAnswer`].
            #[derive(Copy)]
            16 "probe" Probe {
                /// Comes back in the answer.
                token: u32,
                /// What the sender holds.
                holds: StateDigest,
                /// By what way the answer is to come: that of the probe.
                reply: Reply,
            }

            /// "I live." Never answered.
            #[derive(Copy)]
            17 "probe_answer" ProbeAnswer {
                /// That of the probe.
                token: u32,
                /// What the answerer holds.
                holds: StateDigest,
            }

            /// "I can't reach this one: can you?" Answered by [`Body::IndirectAck`].
            #[derive(Copy)]
            18 "probe_request" PingReq {
                /// Comes back in the answer.
                token: u32,
                /// Who is to be probed.
                target: SocketAddr,
            }

            /// What came of a probe for another. Never answered.
            #[derive(Copy)]
            19 "vouch" IndirectAck {
                /// That of the request.
                token: u32,
                /// Whether the target answered.
                word: AckOrNack,
            }

            /// "I answer for that arc." Never answered.
            20 "rumor_ack" RumorAck {
                /// That of the rumor.
                token: Token,
                /// Where the views of the arc differ: the members on it that the receiver knows,
                /// each by the lowest bits of its place. Empty where they don't.
                known: Vec<u16>,
                /// Whether the sender holds what it was told.
                kept: Kept,
            }

            /// "What you sent to this address has come." Answered by what could not be sent there
            /// before that was known.
            #[derive(Copy)]
            21 "echo" Echo {
                /// What the receiver asked for.
                token: u32,
                /// In a swap, what the sender holds: the rest of the answer may come now.
                swap: Option<Held>,
            }

            /// A message of two nodes that find out how their entries differ. Not in version 1.
            22 "compare" Compare {
                /// Names the exchange, between these two.
                token: u32,
                /// The message, or a part of it.
                differences: Differences,
            }

            /// What a node knows of writes, for one that holds the same entries. Not in version 1.
            23 "coverage" CoverageReport {
                /// The entries that the sender holds with it.
                held: Fingerprint,
                /// What it knows; all of it.
                runs: Vec<Covered>,
            }
        }
    };
}
pub(crate) use packet_kinds;

/// Declares what the packets say: a struct for each that has fields of its own.
macro_rules! structs {
    ($(
        $(#[doc = $doc:literal])* $(#[derive($($also:ident),+)])?
        $tag:literal $name:literal $kind:ident $says:tt $(=> $check:ident)?
    )+) => {$(
        structs!(@one [$(#[doc = $doc])* $(#[derive($($also),+)])?] $kind $says);
    )+};
    (@one [$($about:tt)*] $kind:ident {
        $($(#[doc = $doc:literal])* $field:ident: $of:ty $([$bare:expr])?,)+
    }) => {
        $($about)*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $kind {
            $($(#[doc = $doc])* pub $field: $of,)+
        }
    };
    (@one [$($about:tt)*] $kind:ident ($of:ty)) => {};
}
pub(super) use structs;

/// What a packet of a kind says: a struct of that name, or a type that is named.
macro_rules! says {
    ($kind:ident { $($fields:tt)+ }) => {
        $kind
    };
    ($kind:ident ($of:ty)) => {
        $of
    };
}
pub(super) use says;

/// Declares [`Body`] and [`PacketKind`].
macro_rules! enums {
    ($(
        $(#[doc = $doc:literal])* $(#[derive($($also:ident),+)])?
        $tag:literal $name:literal $kind:ident $says:tt $(=> $check:ident)?
    )+) => {
        /// The message in a packet.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Body {
            $($(#[doc = $doc])* $kind(says!($kind $says)),)+
        }

        /// The kind of a packet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "one for each variant of Body")]
        pub enum PacketKind {
            $($kind = $tag,)+
        }

        impl PacketKind {
            /// Every kind, at the place that is its tag on the wire.
            pub const ALL: [Self; [$($tag),+].len()] = [$(Self::$kind),+];

            /// What it is called in scenarios and traces.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }

        impl Body {
            /// Which kind of message this is.
            pub(super) fn kind(&self) -> PacketKind {
                match self {
                    $(Self::$kind(_) => PacketKind::$kind,)+
                }
            }
        }
    };
}
pub(super) use enums;
