//! Files that anybody may have written, read with distrust: no more of them than their limit, and
//! no text that writes on a terminal.
//!
//! What is read back obeys the rules of what is typed. A file that `sim` wrote may have come from
//! another machine, in an archive or a pull request.

use std::borrow::Cow;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rumormill::text::{Printable, find_unprintable};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use thiserror::Error;

/// Why a file could not be read, or is not what it should be.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    #[error("{}: there is no such file", shown(path))]
    Missing { path: PathBuf },
    #[error("cannot read {}: {source}", shown(path))]
    Disk { path: PathBuf, source: io::Error },
    #[error("{}: longer than {max} bytes: this is no such file", shown(path))]
    TooLong { path: PathBuf, max: u64 },
    #[error("{}{}: {why}", shown(path), at(*line))]
    Wrong { path: PathBuf, line: Option<u64>, why: String },
}

fn at(line: Option<u64>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}

impl ReadError {
    /// A file that is there and says what it can't.
    pub(crate) fn wrong(path: &Path, line: Option<u64>, why: impl Display) -> Self {
        Self::Wrong { path: path.to_owned(), line, why: Printable(why).to_string() }
    }

    fn disk(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            _ => Self::Disk { path, source },
        }
    }
}

/// A path as it may be printed: a file's name can hold whatever a terminal obeys.
pub(crate) fn shown(path: &Path) -> Printable<std::path::Display<'_>> {
    Printable(path.display())
}

/// Reads a file or a pipe to its end, of which `max` bytes at the most are ever held.
pub(crate) fn bytes(path: &Path, max: u64) -> Result<Vec<u8>, ReadError> {
    let file = File::open(path).map_err(|source| ReadError::disk(path, source))?;
    bytes_of(file, path, max)
}

/// What stands for standard input among the names of files.
pub(crate) const STDIN: &str = "-";

/// Reads standard input to its end, as [`bytes`]. It can be read only once, and is kept for
/// whoever asks again.
pub(crate) fn stdin(max: u64) -> Result<Vec<u8>, ReadError> {
    static READ: Mutex<Option<Vec<u8>>> = Mutex::new(None);
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    match &*read {
        Some(bytes) => Ok(bytes.clone()),
        None => {
            let bytes = bytes_of(io::stdin(), Path::new(STDIN), max)?;
            Ok(read.insert(bytes).clone())
        }
    }
}

fn bytes_of(file: impl Read, path: &Path, max: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    match file.take(max + 1).read_to_end(&mut bytes) {
        Ok(len) if len as u64 > max => Err(ReadError::TooLong { path: path.to_owned(), max }),
        Ok(_) => Ok(bytes),
        Err(source) => Err(ReadError::disk(path, source)),
    }
}

/// Opens a file that `sim` wrote: pipes and devices are none, and may have no end.
pub(crate) fn open(path: &Path) -> Result<File, ReadError> {
    let metadata = fs::metadata(path).map_err(|source| ReadError::disk(path, source))?;
    if !metadata.is_file() {
        return Err(ReadError::wrong(path, None, "this is no ordinary file"));
    }
    File::open(path).map_err(|source| ReadError::disk(path, source))
}

/// Reads a JSON document that `sim` wrote, of at most `max` bytes.
pub(crate) fn json<T: DeserializeOwned>(path: &Path, max: u64) -> Result<T, ReadError> {
    serde_json::from_slice(&bytes_of(open(path)?, path, max)?).map_err(|error| {
        let line = (error.line() > 0).then_some(error.line() as u64);
        ReadError::wrong(path, line, json_fault(&error))
    })
}

/// What JSON is wrong, without the place, which is that of a text and not of a file.
pub(crate) fn json_fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(fault, _)| fault).to_owned()
}

/// A reader that fails at a line longer than it should be, instead of holding all of it.
#[derive(Debug)]
pub(crate) struct LineLimit<R> {
    inner: R,
    max: u64,
    /// Bytes of the line that is being read.
    len: u64,
}

impl<R> LineLimit<R> {
    pub(crate) fn new(inner: R, max: u64) -> Self {
        Self { inner, max, len: 0 }
    }
}

impl<R: Read> Read for LineLimit<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        for (place, piece) in buffer[..read].split(|&byte| byte == b'\n').enumerate() {
            let before = if place == 0 { self.len } else { 0 };
            self.len = before + piece.len() as u64;
            if self.len > self.max {
                let why = format!("this line is longer than {} bytes", self.max);
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
        }
        Ok(read)
    }
}

/// Something that has texts in it.
pub(crate) trait Texts {
    fn texts(&self) -> impl Iterator<Item = &str>;
}

impl Texts for String {
    fn texts(&self) -> impl Iterator<Item = &str> {
        [self.as_str()].into_iter()
    }
}

impl Texts for Cow<'static, str> {
    fn texts(&self) -> impl Iterator<Item = &str> {
        [self.as_ref()].into_iter()
    }
}

impl<T: Texts> Texts for Option<T> {
    fn texts(&self) -> impl Iterator<Item = &str> {
        self.iter().flat_map(T::texts)
    }
}

impl<T: Texts> Texts for Vec<T> {
    fn texts(&self) -> impl Iterator<Item = &str> {
        self.iter().flat_map(T::texts)
    }
}

/// Deserializes texts that may be printed: for `#[serde(deserialize_with)]`.
pub(crate) fn printable<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Texts,
{
    let read = T::deserialize(from)?;
    let fault = read.texts().find_map(refused);
    fault.map_or(Ok(read), |fault| Err(D::Error::custom(fault)))
}

/// Why a text may not be printed, if it may not.
pub(crate) fn refused(text: &str) -> Option<String> {
    let (at, char) = find_unprintable(text)?;
    let code = u32::from(char);
    // A text may be as long as its file: the place is enough.
    Some(format!("U+{code:04X} at byte {at} of a text can't be shown: leave it out"))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;

    #[test]
    fn a_file_without_end_is_read_up_to_its_limit() {
        let error = bytes(Path::new("/dev/zero"), 1_000).unwrap_err().to_string();
        assert!(error.starts_with("/dev/zero: longer than 1000 bytes"), "{error}");
        let error = json::<String>(Path::new("/dev/zero"), 1_000).unwrap_err().to_string();
        assert_eq!(error, "/dev/zero: this is no ordinary file");
    }

    #[test]
    fn a_file_of_just_its_limit_is_read_and_one_byte_more_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "\"12345678\"").unwrap();
        assert_eq!(json::<String>(file.path(), 10).unwrap(), "12345678");
        assert!(matches!(json::<String>(file.path(), 9), Err(ReadError::TooLong { max: 9, .. })));
    }

    #[test]
    fn lines_have_a_limit_wherever_the_pieces_of_a_file_part_them() {
        for size in [1, 2, 3, 64] {
            let lines = |text: &'static str| {
                let file = BufReader::with_capacity(size, LineLimit::new(text.as_bytes(), 4));
                file.lines().collect::<io::Result<Vec<String>>>()
            };
            assert_eq!(lines("1234\n\n12\n1234").unwrap(), ["1234", "", "12", "1234"]);
            assert!(lines("1\n12345\n").is_err(), "{size}");
            assert!(lines("12345").is_err(), "{size}");
        }
    }

    #[test]
    fn texts_that_write_on_a_terminal_are_refused_with_their_place() {
        #[derive(Debug, Deserialize)]
        struct Named {
            #[serde(deserialize_with = "printable")]
            #[expect(dead_code, reason = "only whether it can be read matters")]
            names: Vec<Option<String>>,
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str| {
            fs::write(file.path(), text).unwrap();
            json::<Named>(file.path(), 1_000).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(read(r#"{"names": ["中文", null, "b"]}"#), Ok(()));
        let told = read("{\n \"names\": [\"a\", \"b\\u001b[2J\"]}").unwrap_err();
        assert!(told.ends_with(":2: U+001B at byte 1 of a text can't be shown: leave it out"));
        assert!(told.starts_with(&file.path().display().to_string()), "{told}");
    }
}
