//! One setting as a person typed it, and its reading by the kind that its key asks for.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize as _;

use super::choices::{Choice, choose, names};
use crate::node::Tags;
use crate::text::Printable;
use crate::units::{parse_duration, parse_size};
use crate::wire_version::WireVersion;

/// A value as a person typed it, in TOML, on the command line or in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Setting {
    /// A whole number.
    Integer(i64),
    /// A text, which may stand for a duration, a size or a choice.
    Text(String),
    /// True or false.
    Flag(bool),
    /// A list of texts.
    List(Vec<String>),
}

impl Setting {
    /// Overwrites a text, which may have been a secret.
    pub(super) fn wipe(&mut self) {
        if let Self::Text(text) = self {
            text.zeroize();
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Integer(_) => "a number",
            Self::Text(_) => "a text",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list",
        }
    }
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected a number, a text, true or false, or a list of texts"
        )]
        enum Typed {
            Integer(i64),
            Flag(bool),
            Text(String),
            List(Vec<String>),
        }
        Ok(match Typed::deserialize(deserializer)? {
            Typed::Integer(number) => Self::Integer(number),
            Typed::Flag(flag) => Self::Flag(flag),
            Typed::Text(text) => Self::Text(text),
            Typed::List(texts) => Self::List(texts),
        })
    }
}

impl Serialize for Setting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::List(texts) => serializer.collect_seq(texts),
        }
    }
}

pub(super) fn number<N: TryFrom<i64>>(value: &Setting) -> Result<N, String> {
    let Setting::Integer(number) = *value else { return Err(expected("a whole number", value)) };
    N::try_from(number).map_err(|_| {
        let limits = [i64::MAX, u32::MAX.into(), u16::MAX.into(), u8::MAX.into()];
        let most = limits.into_iter().find(|&limit| N::try_from(limit).is_ok());
        match most.filter(|_| number >= 0) {
            Some(most) => format!("{number} is out of range: at most {most}"),
            None => format!("{number} is out of range: it must not be negative"),
        }
    })
}

pub(super) fn duration(value: &Setting) -> Result<Duration, String> {
    let Setting::Text(text) = value else {
        return Err(expected("a duration in quotes, such as \"250ms\"", value));
    };
    parse_duration(text)
}

pub(super) fn size(value: &Setting) -> Result<usize, String> {
    let bytes = match value {
        Setting::Integer(_) => return number(value),
        Setting::Text(text) => parse_size(text)?,
        _ => return Err(expected("a size, such as 1400 or \"64KiB\"", value)),
    };
    usize::try_from(bytes).map_err(|_| format!("{bytes} is out of range: at most {}", usize::MAX))
}

pub(super) fn flag(value: &Setting) -> Result<bool, String> {
    if let Setting::Flag(flag) = *value { Ok(flag) } else { Err(expected("true or false", value)) }
}

pub(super) fn text(value: &Setting) -> Result<&str, String> {
    if let Setting::Text(text) = value { Ok(text) } else { Err(expected("a text", value)) }
}

pub(super) fn texts(value: &Setting) -> Result<Vec<String>, String> {
    match value {
        Setting::List(texts) => Ok(texts.clone()),
        Setting::Text(text) => Ok(vec![text.clone()]),
        _ => Err(expected("a list of texts", value)),
    }
}

pub(super) fn listen_addr(value: &Setting) -> Result<SocketAddr, String> {
    let text = text(value)?;
    let ip = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0));
    text.parse().or_else(|_| ip()).map_err(|_| format!("`{text}` is neither IP nor IP:PORT"))
}

pub(super) fn choice<T: Choice>(value: &Setting) -> Result<T, String> {
    let Setting::Text(typed) = value else {
        return Err(expected(&format!("one of {}", names::<T>().join(", ")), value));
    };
    choose(typed)
}

pub(super) fn wire_max(value: &Setting) -> Result<WireVersion, String> {
    let typed: u8 = number(value)?;
    let known = WireVersion::ALL.map(|version| version.to_string()).join(" and ");
    WireVersion::of(typed).ok_or_else(|| format!("version {typed} is not known: {known} are"))
}

/// One text for each tag, so that all fit a command line.
pub(super) fn tags(value: &Setting) -> Result<Tags, String> {
    let typed = texts(value)?;
    let mut pairs = Vec::with_capacity(typed.len());
    for tag in &typed {
        let told = || format!("`{}` is no tag: write KEY=VALUE", Printable(tag));
        pairs.push(tag.split_once('=').ok_or_else(told)?);
    }
    Tags::of(pairs).map_err(|error| error.to_string())
}

fn expected(what: &str, value: &Setting) -> String {
    format!("this is {}, it must be {what}", value.kind())
}
