//! By which address a node is to be reached: an address, or where on the machine to find one.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::text::Printable;

/// What a node is to advertise instead of the address that it names. From a text: `"10.0.0.5"`,
/// `"10.0.0.5:8000"`, `"10.0.0.0/8"`, or the name of an interface such as `"eth1"`.
///
/// ```
/// use rumormill::config::Advertise;
///
/// let network: Advertise = "10.0.0.0/8".parse()?;
/// assert!(network.names("eth1", "10.200.0.7".parse().unwrap()));
/// assert!(!network.names("eth0", "192.168.0.7".parse().unwrap()));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advertise {
    /// This address; port 0 means the port that the node listens on.
    Addr(SocketAddr),
    /// The address of the machine on this interface.
    Interface(String),
    /// The address of the machine in this network.
    Network {
        /// An address in it.
        ip: IpAddr,
        /// How many leading bits all of its addresses share.
        prefix_len: u8,
    },
}

impl Advertise {
    /// Longest name of an interface, in bytes: no system has longer ones.
    const NAME_LEN_MAX: usize = 255;

    /// True when this is how the machine's address on an interface is named.
    pub fn names(&self, interface: &str, ip: IpAddr) -> bool {
        match self {
            Self::Addr(addr) => addr.ip() == ip,
            Self::Interface(name) => name == interface,
            Self::Network { ip: network, prefix_len } => {
                network.is_ipv4() == ip.is_ipv4()
                    && prefix(*network, *prefix_len) == prefix(ip, *prefix_len)
            }
        }
    }
}

/// The first bits of an address.
fn prefix(ip: IpAddr, len: u8) -> u128 {
    let (bits, width) = match ip {
        IpAddr::V4(ip) => (ip.to_bits().into(), 32),
        IpAddr::V6(ip) => (ip.to_bits(), 128),
    };
    bits.checked_shr(width - u32::from(len)).unwrap_or(0)
}

impl FromStr for Advertise {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let addr = |ip| SocketAddr::new(ip, 0);
        if let Ok(addr) = text.parse().or_else(|_| text.parse().map(addr)) {
            return match addr.ip().is_unspecified() {
                true => Err(format!("nobody is reached at {addr}: leave `advertise` out")),
                false => Ok(Self::Addr(addr)),
            };
        }
        if let Some((ip, len)) = text.split_once('/') {
            let width = |ip: IpAddr| if ip.is_ipv4() { 32 } else { 128 };
            let ip = ip.parse::<IpAddr>().ok();
            let found = ip.zip(len.parse().ok()).filter(|&(ip, len)| len <= width(ip));
            return found
                .map(|(ip, prefix_len)| Self::Network { ip, prefix_len })
                .ok_or_else(|| format!("`{}` is no network such as 10.0.0.0/8", Printable(text)));
        }
        let is_odd = |char: char| char.is_whitespace() || char.is_control();
        if text.is_empty() || text.len() > Self::NAME_LEN_MAX || text.contains(is_odd) {
            let text = Printable(text);
            return Err(format!("`{text}` is no IP, IP:PORT, network or name of an interface"));
        }
        Ok(Self::Interface(text.to_owned()))
    }
}

impl fmt::Display for Advertise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addr(addr) if addr.port() == 0 => write!(f, "{}", addr.ip()),
            Self::Addr(addr) => write!(f, "{addr}"),
            Self::Interface(name) => f.write_str(name),
            Self::Network { ip, prefix_len } => write!(f, "{ip}/{prefix_len}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_a_network_and_an_interface_are_told_apart_and_shown_as_typed() {
        for text in ["10.0.0.5", "10.0.0.5:8000", "fd00::5", "[fd00::5]:8000"] {
            let parsed = text.parse().unwrap();
            assert!(matches!(parsed, Advertise::Addr(_)), "{text}");
            assert_eq!(parsed.to_string(), text);
        }
        for text in ["10.0.0.0/8", "fd00::/64", "0.0.0.0/0"] {
            let parsed = text.parse().unwrap();
            assert!(matches!(parsed, Advertise::Network { .. }), "{text}");
            assert_eq!(parsed.to_string(), text);
        }
        assert_eq!("eth1".parse(), Ok(Advertise::Interface("eth1".into())));
        for text in ["", "0.0.0.0", "[::]:80", "10.0.0.0/33", "10.0.0/8", "a b", "\u{1b}[2J"] {
            assert!(text.parse::<Advertise>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_network_names_the_addresses_in_it_of_its_own_family() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.168.4.0/22", "192.168.7.255", "192.168.8.0"),
            ("10.0.0.5/32", "10.0.0.5", "10.0.0.4"),
            ("0.0.0.0/0", "255.0.0.1", "::1"),
            ("fd00:1::/32", "fd00:1:ffff::1", "fd00:2::1"),
        ] {
            let network: Advertise = network.parse().unwrap();
            assert!(network.names("any", ip(inside)), "{network} {inside}");
            assert!(!network.names("any", ip(outside)), "{network} {outside}");
        }
    }
}
