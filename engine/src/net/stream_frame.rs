//! What stands on a stream: who is calling, then packets, each behind its length.
//!
//! A connection carries packets one way, from who dialled it. It begins with six bytes: "rms",
//! the version of this layout, and the port at which the caller is reached, little-endian; its
//! address is the one the connection comes from, so that nobody can have answers sent to a third
//! party. Each packet follows a length of four bytes, little-endian, which is held against the
//! limit before anything is read or set aside.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

const MAGIC: [u8; 4] = *b"rms\x01";
const HELLO_LEN: usize = 6;
const PREFIX_LEN: usize = 4;

/// How long the other side may take to say who it is, or a few bytes to arrive.
const PATIENCE: Duration = Duration::from_secs(3);

/// What even a bad connection carries in a second.
const BYTES_PER_SECOND: u64 = 32 * 1024;

/// How long this many bytes may take.
pub(crate) fn patience(len: usize) -> Duration {
    PATIENCE + Duration::from_millis(len as u64 * 1_000 / BYTES_PER_SECOND)
}

/// Why nothing more is read from a stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ending {
    /// Its end, between two packets.
    #[error("the stream ended")]
    Closed,
    /// Nothing came for so long that it is not worth keeping.
    #[error("nothing came for long")]
    Idle,
    /// What was begun did not come in time.
    #[error("what was begun did not come in time")]
    Slow,
    /// Something else talks to this port.
    #[error("not a stream of a rumormill node")]
    Foreign,
    /// A length beyond the limit.
    #[error("a packet of {0} bytes was announced, which is beyond the limit")]
    TooLong(usize),
    /// The system says so.
    #[error(transparent)]
    Broken(#[from] io::Error),
}

/// A packet with its length in front.
pub(crate) fn framed(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = vec![0; PREFIX_LEN];
    encode(&mut frame);
    let len = u32::try_from(frame.len() - PREFIX_LEN).expect("values end at 1 GiB");
    frame[..PREFIX_LEN].copy_from_slice(&len.to_le_bytes());
    frame
}

/// Says who is calling.
pub(crate) async fn write_hello(to: &mut (impl AsyncWrite + Unpin), port: u16) -> io::Result<()> {
    let mut hello = [0; HELLO_LEN];
    hello[..4].copy_from_slice(&MAGIC);
    hello[4..].copy_from_slice(&port.to_le_bytes());
    write_frame(to, &hello).await
}

/// Writes all or fails, within the time for so many bytes.
pub(crate) async fn write_frame(
    to: &mut (impl AsyncWrite + Unpin),
    frame: &[u8],
) -> io::Result<()> {
    timeout(patience(frame.len()), to.write_all(frame)).await?
}

/// The port at which the caller is reached.
pub(crate) async fn read_hello(from: &mut (impl AsyncRead + Unpin)) -> Result<u16, Ending> {
    let mut hello = [0; HELLO_LEN];
    timeout(PATIENCE, from.read_exact(&mut hello)).await.map_err(|_| Ending::Slow)??;
    let [a, b, c, d, port @ ..] = hello;
    match u16::from_le_bytes(port) {
        port if [a, b, c, d] == MAGIC && port != 0 => Ok(port),
        _ => Err(Ending::Foreign),
    }
}

/// Reads the next packet into the buffer, which grows only with what really comes.
pub(crate) async fn read_frame(
    from: &mut (impl AsyncRead + Unpin),
    idle_max: Duration,
    len_max: usize,
    buffer: &mut Vec<u8>,
) -> Result<(), Ending> {
    let mut prefix = [0; PREFIX_LEN];
    let first = timeout(idle_max, from.read(&mut prefix)).await.map_err(|_| Ending::Idle)??;
    if first == 0 {
        return Err(Ending::Closed);
    }
    let rest = from.read_exact(&mut prefix[first..]);
    timeout(PATIENCE, rest).await.map_err(|_| Ending::Slow)??;
    let len = u32::from_le_bytes(prefix) as usize;
    if len > len_max {
        return Err(Ending::TooLong(len));
    }
    buffer.clear();
    let mut body = from.take(len as u64);
    let whole = body.read_to_end(buffer);
    let read = timeout(patience(len), whole).await.map_err(|_| Ending::Slow)??;
    if read == len { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    const IDLE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn what_is_written_is_read_in_order() {
        let (mut a, mut b) = duplex(64);
        let writer = tokio::spawn(async move {
            write_hello(&mut a, 8_000).await.unwrap();
            for len in [0, 1, 1_000] {
                write_frame(&mut a, &framed(|out| out.extend(vec![7; len]))).await.unwrap();
            }
        });
        assert_eq!(read_hello(&mut b).await.unwrap(), 8_000);
        let mut buffer = vec![1; 5];
        for len in [0, 1, 1_000] {
            read_frame(&mut b, IDLE, 1_000, &mut buffer).await.unwrap();
            assert_eq!(buffer, vec![7; len]);
        }
        writer.await.unwrap();
        let end = read_frame(&mut b, IDLE, 1_000, &mut buffer).await;
        assert!(matches!(end, Err(Ending::Closed)));
    }

    #[tokio::test]
    async fn a_length_beyond_the_limit_is_refused_before_anything_is_read() {
        let (mut a, mut b) = duplex(64);
        a.write_all(&[0xff; 8]).await.unwrap();
        let mut buffer = Vec::new();
        let end = read_frame(&mut b, IDLE, 1_000, &mut buffer).await;
        assert!(matches!(end, Err(Ending::TooLong(0xffff_ffff))));
        assert_eq!(buffer.capacity(), 0);
    }

    #[tokio::test]
    async fn a_stranger_is_told_by_its_first_bytes() {
        let (mut a, mut b) = duplex(64);
        a.write_all(b"GET / HTTP/1.1").await.unwrap();
        assert!(matches!(read_hello(&mut b).await, Err(Ending::Foreign)));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_trickles_end_by_their_deadlines() {
        let (mut a, mut b) = duplex(64);
        assert!(matches!(read_hello(&mut b).await, Err(Ending::Slow)));
        let mut buffer = Vec::new();
        assert!(matches!(read_frame(&mut b, IDLE, 99, &mut buffer).await, Err(Ending::Idle)));
        let trickle = tokio::spawn(async move {
            while a.write_all(&[50]).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        assert!(matches!(read_frame(&mut b, IDLE, 99, &mut buffer).await, Err(Ending::Slow)));
        drop(b);
        trickle.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_takes_no_memory_before_the_bytes_come() {
        let (mut a, mut b) = duplex(64);
        a.write_all(&(1_u32 << 29).to_le_bytes()).await.unwrap();
        let mut buffer = Vec::new();
        assert!(matches!(read_frame(&mut b, IDLE, 1 << 30, &mut buffer).await, Err(Ending::Slow)));
        assert!(buffer.capacity() < 1 << 16);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_never_reads_makes_the_write_fail_in_time() {
        let (mut a, _b) = duplex(64);
        let error = write_frame(&mut a, &[0; 1_000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
