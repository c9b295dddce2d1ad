//! Settings that are one of a few words, each with its name as it is typed and shown.

use std::fmt;
use std::str::FromStr;

use crate::text::Printable;
use crate::units::nearest;

/// A closed set of words.
pub(super) trait Choice: Copy + 'static {
    /// All of it.
    const ALL: &'static [Self];

    /// As it is typed.
    fn name(self) -> &'static str;
}

/// What may be typed.
pub(super) fn names<T: Choice>() -> Vec<&'static str> {
    T::ALL.iter().map(|choice| choice.name()).collect()
}

/// The choice of this name.
pub(super) fn choose<T: Choice>(typed: &str) -> Result<T, String> {
    let found = T::ALL.iter().copied().find(|choice| choice.name() == typed);
    found.ok_or_else(|| {
        let (names, typed) = (names::<T>(), Printable(typed));
        let all = names.join(", ");
        match nearest(&typed.to_string(), names) {
            Some(near) => format!("`{typed}` is none of {all}: did you mean `{near}`?"),
            None => format!("`{typed}` is none of {all}"),
        }
    })
}

macro_rules! choices {
    ($(
        $(#[$doc:meta])*
        pub enum $name:ident {
            $($(#[$about:meta])* $variant:ident = $text:literal,)*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$about])* $variant,)*
        }

        impl Choice for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        /// As it is typed.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        /// As it is typed.
        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                choose(text)
            }
        }
    )*};
}

choices! {
    /// How packets travel.
    pub enum TransportKind {
        /// In datagrams, and over TCP what exceeds one; nothing does with `wire = "pekonode"`.
        #[default]
        Udp = "udp",
        /// All over TCP.
        Tcp = "tcp",
    }

    /// How a node learns that another is alive.
    pub enum Liveness {
        /// Probes, and beats as well for as long as a member is known that goes by these: so a
        /// cluster changes its way node by node.
        #[default]
        Auto = "auto",
        /// Every node beats once a cycle and beats are relayed in bulk.
        Beats = "beats",
        /// Every node probes one other a cycle, at a cost that does not grow with the cluster.
        Probes = "probes",
        /// Nobody beats and silence removes nobody: for measurements.
        Off = "off",
    }

    /// What becomes of the list of a node that nobody answers: it may be the only one that lives,
    /// or the only one that is cut off, and can't know which.
    pub enum Isolation {
        /// It stays as it was until somebody answers: a list that is out of date does less harm
        /// than an empty one.
        #[default]
        Keep = "keep",
        /// All are removed after their time, as if they were dead.
        Judge = "judge",
    }

    /// Whether a node repairs differences by swaps.
    pub enum Swap {
        /// Once a cycle with one random member.
        #[default]
        On = "on",
        /// Never: for measurements.
        Off = "off",
    }

    /// What the packets look like.
    pub enum Wire {
        /// Those of this crate.
        #[default]
        Native = "native",
        /// The JSON of pekonode, so that the node is one of a cluster of unmodified Go nodes. See
        /// [`crate::pekonode`] for what it does there and what it can't.
        Pekonode = "pekonode",
    }
}

impl Liveness {
    /// True where a node finds out by asking who lives.
    pub fn asks(self) -> bool {
        matches!(self, Self::Probes | Self::Auto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_read_as_shown<T>()
    where
        T: Choice + fmt::Display + FromStr<Err = String> + PartialEq + fmt::Debug,
    {
        for &choice in T::ALL {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
    }

    #[test]
    fn every_choice_is_read_as_it_is_shown() {
        is_read_as_shown::<TransportKind>();
        is_read_as_shown::<Liveness>();
        is_read_as_shown::<Isolation>();
        is_read_as_shown::<Swap>();
        is_read_as_shown::<Wire>();
    }

    #[test]
    fn a_word_that_is_no_choice_is_told_with_all_and_the_nearest() {
        let told = "`probe` is none of auto, beats, probes, off: did you mean `probes`?";
        assert_eq!("probe".parse::<Liveness>(), Err(told.to_owned()));
        assert_eq!("\u{1b}".parse::<Swap>(), Err("`\\u{1b}` is none of on, off".to_owned()));
    }
}
