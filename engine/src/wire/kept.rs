//! What is kept in a folder, in the layout that it has in packets: one codec, one set of checks.

use std::net::SocketAddr;

use super::codec::{Reader, Wire, Writer};
use super::reject::Reject;
use crate::config::WireVersion;
use crate::core::Metadata;
use crate::core::packet::{AgedEntry, Covered};

/// The version of what is kept: whoever raises it raises that of the folder's format as well.
const VERSION: WireVersion = WireVersion::Two;

macro_rules! kept {
    ($($put:ident, $take:ident: $kind:ty;)+) => {$(
        pub(crate) fn $put(value: &$kind) -> Vec<u8> {
            let mut bytes = Vec::new();
            value.put(&mut Writer::new(&mut bytes, VERSION));
            bytes
        }

        pub(crate) fn $take(bytes: &[u8]) -> Result<$kind, Reject> {
            let mut reader = Reader::new(bytes);
            reader.wire = VERSION;
            let value = Wire::take(&mut reader)?;
            if reader.is_empty() { Ok(value) } else { Err(Reject::TrailingBytes) }
        }
    )+};
}

kept! {
    put_entry, take_entry: AgedEntry;
    put_covered, take_covered: Covered;
    put_metadata, take_metadata: Metadata;
    put_members, take_members: Vec<SocketAddr>;
}
