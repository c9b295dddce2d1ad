//! A router in a network namespace, and hosts around it in others.

use super::namespaces::Namespaces;

/// A router and its hosts.
pub(crate) struct Network {
    /// The hosts, then the router.
    spaces: Namespaces,
    hosts: usize,
}

/// The widest packet that the router lets through to a host; what the host itself believes is
/// always 1,500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Usual,
    /// 1,280.
    Narrow,
}

/// The router tells nobody that a packet was too large, as in many networks.
const MUTE: &str = "
table inet mute {
  chain output {
    type filter hook output priority 0; policy accept;
    icmp type destination-unreachable drop
    icmpv6 type packet-too-big drop
  }
}
";

impl Network {
    /// One host for each width; `None` where the machine can't.
    pub(crate) fn new(widths: &[Width]) -> Option<Self> {
        let hosts = widths.len();
        let spaces = Namespaces::new(hosts + 1, |spaces| wire(spaces, widths))?;
        Some(Self { spaces, hosts })
    }

    /// Gives the router rules of nftables.
    pub(crate) fn filter(&self, rules: &str) -> Result<(), String> {
        self.spaces.filter(self.hosts, rules)
    }

    /// The namespace of a host.
    pub(crate) fn host(&self, host: usize) -> String {
        self.spaces.name(host)
    }

    /// The address of a host.
    pub(crate) fn ip(&self, host: usize) -> String {
        ip(host)
    }
}

fn ip(host: usize) -> String {
    format!("10.77.{host}.2")
}

fn wire(spaces: &Namespaces, widths: &[Width]) -> Result<(), String> {
    let router = widths.len();
    let forward = "echo 1 >/proc/sys/net/ipv4/ip_forward";
    spaces.exec(router, &["sh", "-c", forward], "")?;
    for (host, width) in widths.iter().enumerate() {
        let mtu = if *width == Width::Narrow { 1_280 } else { 1_500 };
        let near = format!(
            "link add eth0 type veth peer name v{host} netns {}\n\
             addr add {}/24 dev eth0\n\
             link set eth0 up\n\
             link set lo up\n\
             route add default via 10.77.{host}.1\n",
            spaces.name(router),
            ip(host)
        );
        spaces.ip(host, &near)?;
        let far =
            format!("addr add 10.77.{host}.1/24 dev v{host}\nlink set v{host} mtu {mtu} up\n");
        spaces.ip(router, &far)?;
    }
    spaces.filter(router, MUTE)
}
