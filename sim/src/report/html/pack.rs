//! The block of data in a page: a header in JSON and typed arrays, deflated and in base64.
//!
//! Unpacked it is the length of the header (`u32`), the header, and the arrays. The header's
//! `arrays` says of each its type, place and length. An array goes by places of bytes: first the
//! lowest byte of all its numbers, then the next of all, because bytes of one place are alike and
//! deflate far better together.

use std::collections::BTreeMap;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::Serialize;

/// Arrays on their way into a page.
#[derive(Debug, Default)]
pub(super) struct Pack {
    bytes: Vec<u8>,
    arrays: BTreeMap<&'static str, Array>,
}

#[derive(Debug, Serialize)]
struct Array {
    r#type: &'static str,
    /// In bytes, after the header.
    at: usize,
    /// In numbers.
    length: usize,
}

#[derive(Serialize)]
struct PackHeader<'a, T> {
    arrays: &'a BTreeMap<&'static str, Array>,
    #[serde(flatten)]
    rest: &'a T,
}

impl Pack {
    pub(super) fn u8(&mut self, name: &'static str, numbers: impl Iterator<Item = u8>) {
        self.add(name, "u8", numbers.map(|number| [number]));
    }

    pub(super) fn u16(&mut self, name: &'static str, numbers: impl Iterator<Item = u16>) {
        self.add(name, "u16", numbers.map(u16::to_le_bytes));
    }

    pub(super) fn u32(&mut self, name: &'static str, numbers: impl Iterator<Item = u32>) {
        self.add(name, "u32", numbers.map(u32::to_le_bytes));
    }

    /// Moments in milliseconds.
    pub(super) fn times(&mut self, name: &'static str, ms: impl Iterator<Item = f64>) {
        self.add(name, "f64", ms.map(f64::to_le_bytes));
    }

    /// The block, as it stands in the page.
    pub(super) fn finish(self, header: &impl Serialize) -> String {
        let header = PackHeader { arrays: &self.arrays, rest: header };
        let block = serde_json::to_vec(&header).expect("a header has string keys");
        let length = block.len() as u32;
        let mut deflater = DeflateEncoder::new(Vec::new(), Compression::best());
        let parts = [&length.to_le_bytes()[..], &block, &self.bytes];
        let written = parts.iter().try_for_each(|part| deflater.write_all(part));
        let deflated = written.and_then(|()| deflater.finish()).expect("memory takes all");
        STANDARD.encode(deflated)
    }

    fn add<const N: usize>(
        &mut self,
        name: &'static str,
        r#type: &'static str,
        numbers: impl Iterator<Item = [u8; N]>,
    ) {
        let at = self.bytes.len();
        let numbers: Vec<[u8; N]> = numbers.collect();
        for place in 0..N {
            self.bytes.extend(numbers.iter().map(|number| number[place]));
        }
        let before = self.arrays.insert(name, Array { r#type, at, length: numbers.len() });
        assert!(before.is_none(), "two arrays are called {name}");
    }
}
