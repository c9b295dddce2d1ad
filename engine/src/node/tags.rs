//! Tags: pairs of texts that a node says of itself, such as `role=db`.

use std::fmt;
use std::str::FromStr;

use super::{NodeError, TAGS_LEN_MAX, TAGS_MAX, check_printable};

/// Pairs of key and value, in order of the keys, each of which is there once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tags(Box<[(Box<str>, Box<str>)]>);

impl Tags {
    /// The tags of these pairs.
    ///
    /// # Errors
    /// When they are too many or too long together, a key is empty, has a `=` or is there twice, or
    /// a text has a character that can't be shown.
    pub fn of<T: Into<Box<str>>>(
        pairs: impl IntoIterator<Item = (T, T)>,
    ) -> Result<Self, NodeError> {
        let pairs = pairs.into_iter().map(|(key, value)| (key.into(), value.into()));
        let mut pairs: Vec<(Box<str>, Box<str>)> = pairs.collect();
        pairs.sort_unstable();
        let tags = Self(pairs.into());
        tags.check()?;
        Ok(tags)
    }

    fn check(&self) -> Result<(), NodeError> {
        let (count, len) = (self.0.len(), self.len());
        if count > TAGS_MAX {
            return Err(NodeError::TooManyTags { count });
        }
        if len > TAGS_LEN_MAX {
            return Err(NodeError::TooLong { what: "tags", len, max: TAGS_LEN_MAX });
        }
        let twice = self.0.windows(2).find(|pair| pair[0].0 == pair[1].0).map(|pair| &pair[0].0);
        let mut keys = self.0.iter().map(|(key, _)| key);
        let odd = keys.find(|key| key.is_empty() || key.contains('='));
        if let Some(key) = twice.or(odd) {
            return Err(NodeError::TagKey { key: key.to_string() });
        }
        for (key, value) in &self.0 {
            check_printable("tags", key)?;
            check_printable("tags", value)?;
        }
        Ok(())
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
        Some(&self.0[at].1)
    }

    /// All pairs, in order of the keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes in all keys and values.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|(key, value)| key.len() + value.len()).sum()
    }
}

/// As they are typed, with a space between two.
impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (key, value)) in self.iter().enumerate() {
            let gap = if at > 0 { " " } else { "" };
            write!(f, "{gap}{key}={value}")?;
        }
        Ok(())
    }
}

/// One tag as it is typed: `KEY=VALUE`.
impl FromStr for Tags {
    type Err = NodeError;

    fn from_str(text: &str) -> Result<Self, NodeError> {
        let pair = text.split_once('=');
        Self::of([pair.ok_or_else(|| NodeError::TagKey { key: text.to_owned() })?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Node, TEXTS_LEN_MAX, ZONE_LEN_MAX};

    fn at() -> crate::node::NodeBuilder {
        Node::new("127.0.0.1:1")
    }

    #[test]
    fn tags_are_found_by_key_and_shown_in_order_whatever_the_order_they_came_in() {
        let node = at().tag("role", "db").tag("disk", "x").tag("disk", "ssd").build().unwrap();
        assert_eq!((node.tags().get("disk"), node.tags().get("dis")), (Some("ssd"), None));
        assert_eq!(node.tags().to_string(), "disk=ssd role=db");
        assert_eq!(node.tags(), &Tags::of([("role", "db"), ("disk", "ssd")]).unwrap());
        assert_eq!("a=b=c".parse(), Tags::of([("a", "b=c")]));
    }

    #[test]
    fn tags_and_zones_have_limits_told_with_both_numbers() {
        let many = |count: usize| (0..count).fold(at(), |node, n| node.tag(format!("k{n}"), ""));
        assert!(many(TAGS_MAX).build().is_ok());
        let told = many(TAGS_MAX + 1).build().unwrap_err();
        assert_eq!(told, NodeError::TooManyTags { count: 33 });
        let long = |len: usize| at().tag("k", "v".repeat(len - 1));
        assert!(long(TAGS_LEN_MAX).build().is_ok());
        let told = long(TAGS_LEN_MAX + 1).build().unwrap_err();
        assert_eq!(told, NodeError::TooLong { what: "tags", len: 513, max: 512 });
        let zone = |len: usize| at().zone("z".repeat(len));
        assert!(zone(ZONE_LEN_MAX).build().is_ok());
        let told = zone(ZONE_LEN_MAX + 1).build().unwrap_err();
        assert_eq!(told, NodeError::TooLong { what: "zone", len: 65, max: 64 });
    }

    #[test]
    fn all_that_a_node_says_fits_a_datagram() {
        let data = "d".repeat(TEXTS_LEN_MAX - TAGS_LEN_MAX);
        let node = at().private_data(data).tag("k", "v".repeat(TAGS_LEN_MAX - 1));
        assert!(node.clone().build().is_ok());
        let told = node.zone("z").build().unwrap_err().to_string();
        assert!(
            told.contains("name, private data, zone and tags") && told.contains("832"),
            "{told}"
        );
    }

    #[test]
    fn a_key_that_could_not_be_typed_is_refused() {
        for key in ["", "a=b"] {
            let told = at().tag(key, "x").build().unwrap_err();
            assert_eq!(told, NodeError::TagKey { key: key.to_owned() });
        }
        assert!(Tags::of([("a", "1"), ("a", "2")]).is_err());
        assert!("role".parse::<Tags>().unwrap_err().to_string().contains("KEY=VALUE"));
        assert!(matches!(at().zone("\u{1b}").build(), Err(NodeError::Unprintable { .. })));
        assert!(matches!(at().tag("a", "\n").build(), Err(NodeError::Unprintable { .. })));
    }
}
