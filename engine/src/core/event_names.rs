//! What events are called, for those who count them.

use super::io::Event;

/// Names every event once, and what it is told by.
macro_rules! names {
    ($($pattern:pat => $name:literal,)+) => {
        impl Event {
            /// What all events are called.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// What it is called: its variant in snake case.
            pub fn name(&self) -> &'static str {
                match self {
                    $($pattern => $name,)+
                }
            }
        }
    };
}

names! {
    Self::Joined(_) => "joined",
    Self::Updated { .. } => "updated",
    Self::Removed { .. } => "removed",
    Self::Replaced { .. } => "replaced",
    Self::NameConflict { .. } => "name_conflict",
    Self::View { .. } => "view",
    Self::Isolated => "isolated",
    Self::Reunited(_) => "reunited",
    Self::Degraded(_) => "degraded",
    Self::Recovered => "recovered",
    Self::Woke(_) => "woke",
    Self::AddressConflict(_) => "address_conflict",
    Self::ListFull { .. } => "list_full",
    Self::GenerationsExhausted(_) => "generations_exhausted",
    Self::VersionAhead { .. } => "version_ahead",
    Self::VersionsExhausted(_) => "versions_exhausted",
    Self::Corrupted(_) => "corrupted",
    Self::Published(_) => "published",
    Self::Entry(_) => "entry",
    Self::Superseded { .. } => "superseded",
    Self::SettingsDiffer { .. } => "settings_differ",
    Self::PathNarrow { .. } => "path_narrow",
    Self::ValueUnreachable { .. } => "value_unreachable",
    Self::NotReached(_) => "not_reached",
    Self::ClusterTooLarge { .. } => "cluster_too_large",
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::Version;
    use crate::node::{Generation, Node, NodeId};

    #[test]
    fn a_name_is_the_variant_in_snake_case() {
        let node = Node::at(([10, 0, 0, 1], 1).into());
        let record = std::sync::Arc::new(crate::core::Record::new(node, Generation::MIN));
        let version = Version { nanos: 1, writer: NodeId(1), digest: [0; 16] };
        let peer = record.node().addr();
        for event in [
            Event::Joined(record.clone()),
            Event::Updated { old: record.clone(), new: record.clone() },
            Event::NameConflict { first: record.clone(), second: record.clone() },
            Event::Woke(Duration::ZERO),
            Event::ListFull { members_max: 1 },
            Event::VersionsExhausted(version),
            Event::ValueUnreachable { version, peer },
        ] {
            let debug = format!("{event:?}");
            let variant: String = debug.chars().take_while(char::is_ascii_alphabetic).collect();
            let mut snake = String::new();
            for letter in variant.chars() {
                if letter.is_ascii_uppercase() && !snake.is_empty() {
                    snake.push('_');
                }
                snake.push(letter.to_ascii_lowercase());
            }
            assert_eq!(event.name(), snake);
            assert!(Event::NAMES.contains(&event.name()));
        }
        let mut names = Event::NAMES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Event::NAMES.len());
    }
}
