//! What an engine counts.

#[cfg(doc)]
use super::engine::Engine;
use crate::metrics::{Histogram, counters};

counters! {
    /// Counters of one engine, from its start.
    pub struct Stats in "engine" {
        /// Calls of [`Engine::handle`].
        inputs: u64 => Counter(One),
        /// Beats, records and versions compared with the state.
        updates: u64 => Counter(One),
        /// Beats whose id is unknown or ambiguous.
        beats_unknown: u64 => Counter(One),
        /// Entries of vectors for a list that is not ours (any more).
        vectors_foreign: u64 => Counter(One),
        /// Records too old to list a member by.
        records_too_old: u64 => Counter(One),
        /// Records that the full list had no room for.
        records_over_limit: u64 => Counter(One),
        /// Records of members that only one sender speaks of, beyond the limit on such.
        newcomers_over_limit: u64 => Counter(One),
        /// Times two live nodes were found to claim one address that is not ours.
        address_conflicts: u64 => Counter(One),
        /// Incarnations from the future whose owner was not asked, because of the limit on that.
        claims_over_limit: u64 => Counter(One),
        /// Metadata versions further ahead than clocks may differ, from senders that are not
        /// confirmed.
        versions_refused: u64 => Counter(One),
        /// Held values whose bytes were no longer those of their version.
        values_corrupted: u64 => Counter(One),
        /// Versions that were held and lay further ahead than clocks may differ.
        versions_ahead: u64 => Counter(One),
        /// Entries that were not taken, or given up, because of the limits on them.
        entries_over_limit: u64 => Counter(One),
        /// Entries that came though they had been deleted, so long ago that it was forgotten.
        entries_dead: u64 => Counter(One),
        /// Messages about differences of entries that a stranger sent, or that answer what was not
        /// asked.
        exchanges_refused: u64 => Counter(One),
        /// Values not fetched because they are longer than our `metadata_len_max`.
        values_over_limit: u64 => Counter(One),
        /// Values sent by stream because they were asked for.
        transfers: u64 => Counter(One),
        /// Values not sent because too many were being sent already, or we did not hold them.
        transfers_refused: u64 => Counter(One),
        /// Values asked for by stream, or to be sent by stream, that did not get through.
        values_unreached: u64 => Counter(One),
        /// Times that datagrams above 1,200 bytes turned out not to reach a peer.
        paths_narrow: u64 => Counter(One),
        /// Packets that claim to come from our own address, dropped.
        packets_from_myself: u64 => Counter(One),
        /// Packets in a version of the wire above `wire_max`, not looked at.
        packets_too_new: u64 => Counter(One),
        /// Requests in an older version of the wire than their sender speaks: copies of what it
        /// sent in the newer one, not knowing whether we do. Not answered twice.
        openings_repeated: u64 => Counter(One),
        /// Extensions of packets and records that this build does not know, and passed over.
        extensions_skipped: u64 => Counter(One),
        /// Answers to no request of ours.
        answers_stale: u64 => Counter(One),
        /// Packets not sent because they were more than three times what had come from an address
        /// that has not shown yet that it gets what is sent there.
        answers_withheld: u64 => Counter(One),
        /// Values that were asked for by datagram, which anybody can write in another's name.
        fetches_unproven: u64 => Counter(One),
        /// Answers cut short by the limit on what one answer may bring.
        answers_cut: u64 => Counter(One),
        /// Last calls not made because of the limit on them.
        last_calls_over_limit: u64 => Counter(One),
        /// Arcs that nobody answered for, however often they were sent.
        rumors_unanswered: u64 => Counter(One),
        /// Arcs not sent (again) because of the limit on sends of one rumor.
        rumors_over_budget: u64 => Counter(One),
        /// Probes that nobody got an answer to.
        probes_failed: u64 => Counter(One),
        /// Times we refuted that we were dead.
        refutations: u64 => Counter(One),
        /// Times the node found that it had slept.
        sleeps: u64 => Counter(One),
        /// Times nobody had answered for one timeout.
        isolations: u64 => Counter(One),
        /// Times the node began to doubt what it sees of others.
        degradations: u64 => Counter(One),
        /// Members listed now, the node itself included.
        members: usize => Gauge(One),
        /// Most members listed at once.
        members_max: usize => Gauge(One),
        /// Most tombstones held at once.
        tombstones_max: usize => Gauge(One),
        /// Entries that have a value now, shown or not.
        entries: usize => Gauge(One),
        /// Bytes of their keys and values.
        entries_bytes: usize => Gauge(Bytes),
        /// On the pekonode wire: packets of another secret.
        keys_wrong: u64 => Counter(One),
        /// On the pekonode wire: packets not sent because they would not have been shorter than
        /// `size`.
        packets_too_large: u64 => Counter(One),
        /// Round trips to other nodes, of what was answered at its first sending.
        round_trip: Histogram => Histogram(Seconds),
        /// From the first sending of a rumor to another node until it was acknowledged, repeats
        /// included: what one hop takes, and the way back.
        hop_delay: Histogram => Histogram(Seconds),
        /// From the publication of a value elsewhere, by the clock of its writer, until it was held
        /// here. Values from before the start of this node are left out, and with
        /// `wire = "pekonode"` all are.
        time_to_apply: Histogram => Histogram(Seconds),
    }
}
