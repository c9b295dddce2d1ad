//! A protocol's own keys: declared once, each with its default, and read by their names.

use std::borrow::Cow;
use std::time::Duration;

/// A key of `[protocol]`.
#[derive(Clone, Debug)]
pub struct Key {
    /// As it is typed.
    pub name: &'static str,
    /// What it is when it is not, which says as well what kind of value it takes.
    pub default: KeyValue,
    /// What it does, in a few words.
    pub about: &'static str,
}

/// A value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyValue {
    /// A whole number.
    Number(u64),
    /// A duration.
    Time(Duration),
    /// True or false.
    Flag(bool),
    /// Any other text.
    Text(Cow<'static, str>),
}

/// A value that a protocol can't be set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError {
    /// The key; one of `[engine]` if it is none of the protocol's own.
    pub key: &'static str,
    /// What is wrong, and the fix.
    pub why: String,
}

/// What all keys of a protocol are set to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(Vec<(&'static str, KeyValue)>);

impl Keys {
    /// All at their defaults.
    pub fn defaults(keys: &[Key]) -> Self {
        Self(keys.iter().map(|key| (key.name, key.default.clone())).collect())
    }

    /// Sets a key.
    pub(crate) fn set(&mut self, name: &str, value: KeyValue) {
        let set = self.0.iter_mut().find(|(key, _)| *key == name);
        set.expect("only keys that are declared are set").1 = value;
    }

    /// Every key in order of declaration.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &KeyValue)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// A number. Like the others, it must be declared as what it is read as.
    pub fn number(&self, name: &str) -> u64 {
        match self.get(name) {
            KeyValue::Number(number) => *number,
            other => panic!("`{name}` is declared as {other:?}, and read as a number"),
        }
    }

    /// A duration.
    pub fn time(&self, name: &str) -> Duration {
        match self.get(name) {
            KeyValue::Time(time) => *time,
            other => panic!("`{name}` is declared as {other:?}, and read as a duration"),
        }
    }

    /// True or false.
    pub fn flag(&self, name: &str) -> bool {
        match self.get(name) {
            KeyValue::Flag(flag) => *flag,
            other => panic!("`{name}` is declared as {other:?}, and read as true or false"),
        }
    }

    /// A text.
    pub fn text(&self, name: &str) -> &str {
        match self.get(name) {
            KeyValue::Text(text) => text,
            other => panic!("`{name}` is declared as {other:?}, and read as a text"),
        }
    }

    fn get(&self, name: &str) -> &KeyValue {
        let found = self.0.iter().find(|(key, _)| *key == name);
        &found.unwrap_or_else(|| panic!("the protocol declares no key `{name}`")).1
    }
}
