//! The console lines of pekonode, to the byte.
//!
//! Source: pekonode prints with Go's `log` package, so each line has date and time in front and
//! goes to stderr. The time here is UTC.

use std::fmt;
use std::io::Write as _;
use std::net::SocketAddr;

use crate::node::Node;
use crate::time::UnixNanos;

/// Where the lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Console {
    /// To stderr.
    Stderr,
    /// Nowhere.
    Off,
}

/// One line, without its date.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ConsoleLine<'a> {
    Join(&'a Node),
    Listen {
        bound: SocketAddr,
        members: &'a [Node],
    },
    Publish {
        me: &'a Node,
        data: &'a [u8],
    },
    SwapRequest {
        me: SocketAddr,
        to: SocketAddr,
    },
    /// The arrow goes the way of the value.
    SwapResponse {
        me: SocketAddr,
        to: SocketAddr,
    },
    Stop(&'a Node),
    Start(&'a Node),
    /// A packet showed another secret than ours, or none.
    WrongKey,
    /// A packet was no JSON, for this reason.
    NoJson(&'a str),
    /// So many bytes were read of a packet that is not to have as many.
    TooLong {
        len: usize,
        limit: usize,
    },
}

impl Console {
    /// Prints the line with the time in front.
    pub(crate) fn print(self, wall: UnixNanos, line: ConsoleLine<'_>) {
        if self == Self::Stderr {
            #[cfg(test)]
            kept::keep(&line);
            // Whoever closed stderr doesn't want the lines; the node must not end by it.
            let _ = writeln!(std::io::stderr(), "{} {line}", date(wall));
        }
    }
}

/// What the nodes of a test have printed in its thread.
#[cfg(test)]
pub(crate) mod kept {
    use std::cell::RefCell;

    use super::ConsoleLine;

    thread_local! {
        static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn keep(line: &ConsoleLine<'_>) {
        LINES.with_borrow_mut(|lines| lines.push(line.to_string()));
    }

    /// The lines since this was last called.
    pub(crate) fn take() -> Vec<String> {
        LINES.with_borrow_mut(std::mem::take)
    }
}

/// `2024/05/06 07:08:09`.
fn date(wall: UnixNanos) -> String {
    let seconds = u64::try_from(wall.0).unwrap_or(0) / 1_000_000_000;
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let rfc_3339 = humantime::format_rfc3339_seconds(time).to_string();
    rfc_3339.trim_end_matches('Z').replace('-', "/").replace('T', " ")
}

impl fmt::Display for ConsoleLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Join(node) => write!(f, "[[Join]: {}]", Braced(node)),
            Self::Listen { bound, members } => {
                write!(
                    f,
                    "[[Listen]: {bound} / [Node list]: {}]",
                    spaced(members.iter().map(Braced))
                )
            }
            Self::Publish { me, data } => {
                write!(f, "[[Publish]: {} / [Metadata]: {}]", Braced(me), spaced(data))
            }
            Self::SwapRequest { me, to } => write!(f, "[[Swap Request]: {me} -> {to}]"),
            Self::SwapResponse { me, to } => write!(f, "[[Swap Response]: {to} <- {me}]"),
            Self::Stop(node) => write!(f, "[[Stop]: {}]", Braced(node)),
            Self::Start(node) => write!(f, "[[Start]: {}]", Braced(node)),
            Self::WrongKey => f.write_str("[[Error]: The secretKey do not match]"),
            Self::NoJson(why) => write!(f, "[[Error]: {why}]"),
            Self::TooLong { len, limit } => {
                write!(f, "[[Error]: received data size ({len}) exceeds the limit ({limit})]")
            }
        }
    }
}

/// A node as Go prints a struct: `{10.0.0.5 8000 A zone=1}`.
struct Braced<'a>(&'a Node);

impl fmt::Display for Braced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (addr, name, data) = (self.0.addr(), self.0.name(), self.0.private_data());
        write!(f, "{{{} {} {name} {data}}}", addr.ip(), addr.port())
    }
}

/// Items as Go prints a slice: `[1 2 3]`.
fn spaced(items: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_those_of_pekonode() {
        let node = |port: u16, name: &str| {
            let node = Node::new(format!("127.0.0.1:{port}")).name(name).private_data("test-data");
            node.build().unwrap()
        };
        let (a, b) = (node(17012, "A-server"), node(17013, "B-server"));
        let lines = [
            ConsoleLine::Join(&a),
            ConsoleLine::Listen { bound: a.addr(), members: &[a.clone(), b.clone()] },
            ConsoleLine::Publish { me: &a, data: b"test" },
            ConsoleLine::SwapRequest { me: a.addr(), to: b.addr() },
            ConsoleLine::SwapResponse { me: b.addr(), to: a.addr() },
            ConsoleLine::Stop(&a),
            ConsoleLine::Start(&a),
            ConsoleLine::WrongKey,
            ConsoleLine::NoJson("unexpected end of JSON input"),
            ConsoleLine::TooLong { len: 16_384, limit: 16_384 },
        ];
        let expected = [
            "[[Join]: {127.0.0.1 17012 A-server test-data}]",
            "[[Listen]: 127.0.0.1:17012 / [Node list]: [{127.0.0.1 17012 A-server test-data} \
             {127.0.0.1 17013 B-server test-data}]]",
            "[[Publish]: {127.0.0.1 17012 A-server test-data} / [Metadata]: [116 101 115 116]]",
            "[[Swap Request]: 127.0.0.1:17012 -> 127.0.0.1:17013]",
            "[[Swap Response]: 127.0.0.1:17012 <- 127.0.0.1:17013]",
            "[[Stop]: {127.0.0.1 17012 A-server test-data}]",
            "[[Start]: {127.0.0.1 17012 A-server test-data}]",
            "[[Error]: The secretKey do not match]",
            "[[Error]: unexpected end of JSON input]",
            "[[Error]: received data size (16384) exceeds the limit (16384)]",
        ];
        assert_eq!(lines.map(|line| line.to_string()), expected);
    }

    #[test]
    fn the_date_is_written_as_go_writes_it() {
        assert_eq!(date(UnixNanos(1_714_979_289_999_999_999)), "2024/05/06 07:08:09");
        assert_eq!(date(UnixNanos(-1)), "1970/01/01 00:00:00");
    }
}
