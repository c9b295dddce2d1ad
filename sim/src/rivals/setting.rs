//! What of a scenario a rival lives through: its last publish, its network and its crashes.

use rumormill::time::Instant;

use crate::scenario::plan::{Deed, NodeNo, Plan, StartCause};

/// A plan with the rumor that rivals spread in it.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Who has the rumor at first.
    pub source: NodeNo,
    /// Since when.
    pub start: Instant,
    /// Bytes of the value.
    pub len: usize,
}

impl<'a> Setting<'a> {
    /// The last publish of a plan, which is the one whose spread a summary tells.
    ///
    /// # Errors
    /// A sentence: the plan publishes nothing, or something happens in it that rivals don't know.
    pub fn of(plan: &'a Plan) -> Result<Self, String> {
        let mut publishes = plan.actions.iter().filter_map(|action| match &action.deed {
            Deed::Publish { node, data } => Some((*node, action.at, data.len())),
            _ => None,
        });
        let Some((source, start, len)) = publishes.next_back() else {
            return Err("nothing is published in it: add a `publish` action".to_owned());
        };
        let unknown = plan.actions.iter().find(|action| {
            let deed = &action.deed;
            let is_known = matches!(deed, Deed::Publish { .. } | Deed::Heal(_) | Deed::Crash(_));
            !is_known && deed.network_changes().is_none()
        });
        if let Some(action) = unknown {
            let kind = action.deed.kind();
            return Err(format!(
                "the models know publish, crash, heal and changes of the network, not `{kind}` \
                 ({} at {}): take it out",
                action.text, action.at
            ));
        }
        let mut initial = plan.incarnations.iter().filter(|one| one.cause == StartCause::Initial);
        if let Some(late) = initial.find(|one| one.start > start) {
            return Err(format!("node {} starts after the last publish: publish later", late.node));
        }
        Ok(Self { plan, source, start, len })
    }

    /// Who never goes down: those over whom coverage is counted.
    pub fn lasting(&self) -> Vec<bool> {
        let mut lasting = vec![true; self.plan.nodes as usize];
        for action in &self.plan.actions {
            if let Deed::Crash(nodes) = &action.deed {
                nodes.iter().for_each(|&node| lasting[node as usize] = false);
            }
        }
        lasting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    fn plan(actions: &str) -> Plan {
        let text =
            format!("name = 'a'\nnodes = 5\nduration = '10s'\nbootstrap = 'full'\n{actions}");
        scenario::parse("a.toml", &text, &[]).unwrap().plan(1).unwrap()
    }

    const PUBLISHES: &str = "[[at]]\ntime = '1s'\npublish = { node = 1, data = 'abc' }\n\
                             [[at]]\ntime = '3s'\npublish = { node = 4, data = 'abcdef' }\n";

    #[test]
    fn the_last_publish_is_the_one_that_counts() {
        let plan = plan(PUBLISHES);
        let setting = Setting::of(&plan).unwrap();
        assert_eq!((setting.source, setting.len), (4, 6));
        assert_eq!(setting.start, Instant::from_nanos(3_000_000_000));
    }

    #[test]
    fn those_who_crash_do_not_count() {
        let plan = plan(&format!("{PUBLISHES}[[at]]\ntime = '5s'\ncrash = [1, 3]\n"));
        assert_eq!(Setting::of(&plan).unwrap().lasting(), [true, false, true, false, true]);
    }

    #[test]
    fn what_no_rival_knows_is_refused_by_its_name() {
        let error = Setting::of(&plan("")).unwrap_err();
        assert!(error.contains("add a `publish`"), "{error}");
        let leaves = plan(&format!("{PUBLISHES}[[at]]\ntime = '5s'\nleave = 2\n"));
        let error = Setting::of(&leaves).unwrap_err();
        assert!(error.contains("not `leave`") && error.contains("5.000000s"), "{error}");
        let publish = "[[at]]\ntime = '6s'\npublish = { node = { random = 1 }, data = 'a' }\n";
        let late = plan(&format!("start = '0s..9s'\n{publish}"));
        assert!(Setting::of(&late).unwrap_err().contains("publish later"));
    }
}
