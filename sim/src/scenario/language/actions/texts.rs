//! What nodes say of themselves, by groups and by actions: all of it must fit a datagram.

use rumormill::node::{NAME_LEN_MAX, Tags};
use rumormill::{Config, Node, NodeBuilder};

use super::{Act, At, Blow};
use crate::scenario::addresses::address;
use crate::scenario::document::Place;
use crate::scenario::errors::{Mistake, Mistakes};
use crate::scenario::language::groups::Groups;

/// All that a node says of itself must fit a datagram, whatever comes together; what is wrong
/// without any action is told at `settings`.
pub(in crate::scenario::language) fn check_texts(
    actions: &[At],
    groups: &Groups,
    (config, settings): (&Config, Place),
    found: &mut Mistakes,
) {
    let of_groups = (settings, Some(groups.longest_private_data()), None);
    let of_actions = actions.iter().filter_map(|action| {
        let Act::Strike { blow, .. } = &action.act else { return None };
        let (data, tags) = blow.texts()?;
        Some((action.at, data, tags))
    });
    let mut longest = "";
    for (at, data, tags) in [of_groups].into_iter().chain(of_actions) {
        longest = data.filter(|data| data.len() > longest.len()).unwrap_or(longest);
        let builder = NodeBuilder::from(Node::at(address(0)));
        let node = builder.name("n".repeat(NAME_LEN_MAX)).private_data(longest).build();
        let tags = tags.unwrap_or(config.tags());
        if let Err(error) = node.and_then(|node| node.or_else(config.zone(), tags)) {
            found.note(Mistake::new(at, error.to_string()));
        }
    }
}

impl Blow {
    /// The private data and tags that it gives nodes, if it gives any.
    fn texts(&self) -> Option<(Option<&str>, Option<&Tags>)> {
        match self {
            Self::Update(update) => Some((update.private_data.as_deref(), update.tags.as_ref())),
            Self::Restart(restart) => Some((restart.how.private_data.as_deref(), None)),
            _ => None,
        }
    }
}
