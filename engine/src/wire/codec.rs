//! The building blocks of the format: numbers, lists and structs, read with distrust.
//!
//! The only module that names `bincode`, which writes and reads the numbers of variable length.

use std::net::{IpAddr, SocketAddr};

use bincode::config;

use super::reject::Reject;
use crate::config::WireVersion;
use crate::core::packet::Bounded;

/// Numbers up to 250 take one byte, larger ones a tag and as many bytes as their size class
/// needs. The limit is that of one number, since no list and no text is left to the library.
const NUMBERS: config::Configuration<config::LittleEndian, config::Varint, config::Limit<16>> =
    config::standard().with_limit::<16>();

/// Something with a place in a packet. What a claimed count is checked against is the fewest bytes
/// that so many take.
pub(super) trait Wire: Bounded + Sized {
    /// Writes the value.
    fn put(&self, out: &mut Writer<'_>);

    /// Reads a value.
    fn take(input: &mut Reader<'_>) -> Result<Self, Reject>;

    /// How many bytes [`Wire::put`] writes in this version.
    fn len(&self, wire: WireVersion) -> usize;
}

/// Where encoded values go, and in which version.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    pub(super) wire: WireVersion,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, wire: WireVersion) -> Self {
        Self { out, wire }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Bytes with their length in front.
    pub(super) fn blob(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes(bytes);
    }

    /// A number of variable length.
    pub(super) fn number(&mut self, number: u64) {
        if let (1, Ok(byte)) = (number_len(number), u8::try_from(number)) {
            // By far the most numbers, and a byte of its own for each: the library takes longer.
            return self.out.push(byte);
        }
        bincode::encode_into_std_write(number, self.out, NUMBERS)
            .expect("a number can always be appended to a vector");
    }
}

/// Where encoded values come from, and in which version they are.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    pub(super) wire: WireVersion,
    /// Extensions that were passed over.
    pub(super) skipped: u16,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, wire: WireVersion::One, skipped: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Reject> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Reject::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Reject> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Reject::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// A number of variable length, in its shortest form only.
    pub(super) fn number(&mut self) -> Result<u64, Reject> {
        use bincode::error::DecodeError;
        let (number, used) = match bincode::decode_from_slice(self.rest, NUMBERS) {
            Ok(read) => read,
            Err(DecodeError::UnexpectedEnd { .. }) => return Err(Reject::Truncated),
            Err(_) => return Err(Reject::Malformed),
        };
        if used != number_len(number) {
            return Err(Reject::Malformed);
        }
        self.rest = &self.rest[used..];
        Ok(number)
    }

    /// A count of things that take at least `len_min` bytes each, which must all be there.
    pub(super) fn count(&mut self, len_min: usize) -> Result<usize, Reject> {
        let count = usize::try_from(self.number()?).map_err(|_| Reject::FalseLength)?;
        let promised = count.checked_mul(len_min).ok_or(Reject::FalseLength)?;
        if promised <= self.rest.len() { Ok(count) } else { Err(Reject::FalseLength) }
    }

    /// Bytes with their length in front.
    pub(super) fn blob(&mut self) -> Result<&'a [u8], Reject> {
        let len = self.count(1)?;
        self.bytes(len)
    }
}

/// How many bytes a number of variable length takes.
pub(super) const fn number_len(number: u64) -> usize {
    match number {
        0..=250 => 1,
        251..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// The most that a count, a length or another number of 32 bits takes.
pub(super) const COUNT_LEN_MAX: usize = number_len(u32::MAX as u64);

/// How many bytes a blob takes, its length included.
pub(super) const fn blob_len(bytes: usize) -> usize {
    number_len(bytes as u64) + bytes
}

// The macros below name `Wire`, `WireVersion`, `Writer`, `Reader` and `Reject` as their callers
// import them.

/// Implements [`Wire`] for structs by their fields, each listed once. `[n]` behind a field is the
/// most that it takes, where that is not what follows from its type, and `=> check` names what must
/// hold between the fields that were read.
macro_rules! wire_structs {
    ($(
        $name:ty { $($field:ident: $of:ty $([$bare:expr])?),+ $(,)? } $(=> $check:ident)?
    )+) => {$(
        impl Bounded for $name {
            const LEN_MIN: usize = 0 $(+ <$of as Bounded>::LEN_MIN)+;
            const LEN_BARE: usize = 0 $(+ wire_structs!(@bare $of $([$bare])?))+;
            const IS_FIXED: bool = true $(&& <$of as Bounded>::IS_FIXED)+;

            fn len_max(&self) -> usize {
                let beside = 0 $(+ Bounded::len_max(&self.$field) - <$of as Bounded>::LEN_BARE)+;
                Self::LEN_BARE + beside
            }
        }

        impl Wire for $name {
            fn put(&self, out: &mut Writer<'_>) {
                $(Wire::put(&self.$field, out);)+
            }

            fn take(
                input: &mut Reader<'_>,
            ) -> Result<Self, Reject> {
                let value = Self { $($field: Wire::take(input)?),+ };
                $($check(&value)?;)?
                Ok(value)
            }

            fn len(&self, wire: WireVersion) -> usize {
                0 $(+ Wire::len(&self.$field, wire))+
            }
        }
    )+};
    (@bare $of:ty) => { <$of as Bounded>::LEN_BARE };
    (@bare $of:ty [$bare:expr]) => { $bare };
}
pub(super) use wire_structs;

/// Implements [`Wire`] for enums whose variants hold one value each, behind a tag of one byte.
macro_rules! wire_choices {
    ($($name:ident { $($tag:literal => $variant:ident),+ $(,)? } $(=> $check:ident)?)+) => {$(
        impl Bounded for $name {
            const LEN_MIN: usize = 1;
            const LEN_BARE: usize = 1;
            const IS_FIXED: bool = false;

            fn len_max(&self) -> usize {
                1 + match self {
                    $(Self::$variant(value) => Bounded::len_max(value),)+
                }
            }
        }

        impl Wire for $name {
            fn put(&self, out: &mut Writer<'_>) {
                match self {
                    $(Self::$variant(value) => {
                        out.bytes(&[$tag]);
                        Wire::put(value, out);
                    })+
                }
            }

            fn take(
                input: &mut Reader<'_>,
            ) -> Result<Self, Reject> {
                let value = match <u8 as Wire>::take(input)? {
                    $($tag => Self::$variant(Wire::take(input)?),)+
                    _ => return Err(Reject::Malformed),
                };
                $($check(&value)?;)?
                Ok(value)
            }

            fn len(&self, wire: WireVersion) -> usize {
                1 + match self {
                    $(Self::$variant(value) => Wire::len(value, wire),)+
                }
            }
        }
    )+};
}
pub(super) use wire_choices;

/// Implements [`Wire`] for what always takes `$len` bytes.
macro_rules! wire_fixed {
    ($($name:ty, $len:literal: |$value:ident| $put:expr, |$bytes:ident| $take:expr;)+) => {$(
        impl Bounded for $name {
            const LEN_MIN: usize = $len;
            const LEN_BARE: usize = $len;
            const IS_FIXED: bool = true;

            fn len_max(&self) -> usize {
                $len
            }
        }

        impl Wire for $name {
            fn put(&self, out: &mut Writer<'_>) {
                let $value = self;
                let bytes: [u8; $len] = $put;
                out.bytes(&bytes);
            }

            fn take(
                input: &mut Reader<'_>,
            ) -> Result<Self, Reject> {
                let $bytes: [u8; $len] = input.array()?;
                $take
            }

            fn len(&self, _: WireVersion) -> usize {
                $len
            }
        }
    )+};
}
pub(super) use wire_fixed;

wire_fixed! {
    u8, 1: |value| [*value], |bytes| Ok(bytes[0]);
    u32, 4: |value| value.to_le_bytes(), |bytes| Ok(Self::from_le_bytes(bytes));
}

/// Ring buckets, the only numbers of 16 bits.
impl Bounded for u16 {
    const LEN_MIN: usize = 1;
    const LEN_BARE: usize = number_len(u16::MAX as u64);
    const IS_FIXED: bool = false;

    fn len_max(&self) -> usize {
        Self::LEN_BARE
    }
}

impl Wire for u16 {
    fn put(&self, out: &mut Writer<'_>) {
        out.number(u64::from(*self));
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        Self::try_from(input.number()?).map_err(|_| Reject::OverLimit)
    }

    fn len(&self, _: WireVersion) -> usize {
        number_len(u64::from(*self))
    }
}

impl<T: Bounded> Bounded for Vec<T> {
    const LEN_MIN: usize = 1;
    const LEN_BARE: usize = COUNT_LEN_MAX;
    const IS_FIXED: bool = false;

    fn len_max(&self) -> usize {
        let items = match T::IS_FIXED {
            true => self.len() * T::LEN_BARE,
            false => self.iter().map(Bounded::len_max).sum(),
        };
        Self::LEN_BARE + items
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Writer<'_>) {
        out.number(self.len() as u64);
        for item in self {
            item.put(out);
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        let count = input.count(T::LEN_MIN)?;
        // What a record takes in memory is several times what it takes on the wire: the vector
        // grows with what was really read, not with the count.
        let mut items = Self::with_capacity(if T::IS_FIXED { count } else { 0 });
        for _ in 0..count {
            items.push(T::take(input)?);
        }
        Ok(items)
    }

    fn len(&self, wire: WireVersion) -> usize {
        let items = match T::IS_FIXED {
            true => self.len() * T::LEN_MIN,
            false => self.iter().map(|item| item.len(wire)).sum(),
        };
        number_len(self.len() as u64) + items
    }
}

impl<T: Bounded> Bounded for Box<T> {
    const LEN_MIN: usize = T::LEN_MIN;
    const LEN_BARE: usize = T::LEN_BARE;
    const IS_FIXED: bool = T::IS_FIXED;

    fn len_max(&self) -> usize {
        T::len_max(self)
    }
}

impl<T: Wire> Wire for Box<T> {
    fn put(&self, out: &mut Writer<'_>) {
        T::put(self, out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        T::take(input).map(Self::new)
    }

    fn len(&self, wire: WireVersion) -> usize {
        T::len(self, wire)
    }
}

impl<T: Bounded> Bounded for Option<T> {
    const LEN_MIN: usize = 1;
    const LEN_BARE: usize = 1 + T::LEN_BARE;
    const IS_FIXED: bool = false;

    fn len_max(&self) -> usize {
        1 + self.as_ref().map_or(T::LEN_BARE, T::len_max)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Writer<'_>) {
        out.bytes(&[u8::from(self.is_some())]);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        match u8::take(input)? {
            0 => Ok(None),
            1 => T::take(input).map(Some),
            _ => Err(Reject::Malformed),
        }
    }

    fn len(&self, wire: WireVersion) -> usize {
        1 + self.as_ref().map_or(0, |value| value.len(wire))
    }
}

impl Bounded for SocketAddr {
    const LEN_MIN: usize = 1 + 4 + 2;
    /// One more than an IPv6 address takes, by which all that is packed was measured so far.
    const LEN_BARE: usize = 1 + 1 + 16 + 2;
    const IS_FIXED: bool = false;

    fn len_max(&self) -> usize {
        Self::LEN_BARE
    }
}

impl Wire for SocketAddr {
    fn put(&self, out: &mut Writer<'_>) {
        match self.ip() {
            IpAddr::V4(ip) => {
                // In one piece: most of what a cluster sends while it starts are records.
                let ([a, b, c, d], [low, high]) = (ip.octets(), self.port().to_le_bytes());
                out.bytes(&[4, a, b, c, d, low, high]);
            }
            IpAddr::V6(ip) => {
                out.bytes(&[6]);
                out.bytes(&ip.octets());
                out.bytes(&self.port().to_le_bytes());
            }
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        let ip = match u8::take(input)? {
            4 => IpAddr::from(input.array::<4>()?),
            6 => IpAddr::from(input.array::<16>()?),
            _ => return Err(Reject::Malformed),
        };
        let addr = Self::new(ip, u16::from_le_bytes(input.array()?));
        if is_reachable(addr) { Ok(addr) } else { Err(Reject::BadAddress) }
    }

    fn len(&self, _: WireVersion) -> usize {
        if self.is_ipv4() { 1 + 4 + 2 } else { 1 + 16 + 2 }
    }
}

/// True when one node may be at this address, in the one form in which we write it. A member at
/// a multicast address would have the whole cluster send its packets to many.
fn is_reachable(addr: SocketAddr) -> bool {
    let ip = addr.ip();
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    let one_host = !ip.is_unspecified() && !ip.is_multicast() && !broadcast;
    addr.port() != 0 && one_host && ip.to_canonical() == ip
}
