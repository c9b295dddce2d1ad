//! What stands on a stream: who is calling, perhaps an answer, then packets behind their lengths.
//!
//! What the caller and the one that is called say first is up to [`StreamGuard`]. The address that
//! the caller is reached at is the one the connection comes from, with the port that it names, so
//! that nobody can have answers sent to a third party. Each packet follows a length of four bytes,
//! little-endian, which is held against the limit before anything is read or set aside.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::wire::{Reject, StreamGuard};

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
    /// Who is at the other end is none of ours.
    #[error("no node of ours: {0}")]
    Refused(Reject),
    /// What came is not what was sent, in the order in which it was.
    #[error("not what was sent in its turn: {0}")]
    Sequence(Reject),
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

/// Writes all or fails, within the time for so many bytes.
pub(crate) async fn write_whole(
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
) -> io::Result<()> {
    timeout(patience(bytes.len()), to.write_all(bytes)).await?
}

/// What the other end answers to a call.
pub(crate) async fn read_answer(
    from: &mut (impl AsyncRead + Unpin),
    len: usize,
) -> Result<Vec<u8>, Ending> {
    let mut answer = vec![0; len];
    read_exact(from, &mut answer).await?;
    Ok(answer)
}

/// All that a caller says before its packets.
pub(crate) async fn read_hello(
    from: &mut (impl AsyncRead + Unpin),
    guard: &StreamGuard,
) -> Result<Vec<u8>, Ending> {
    let mut hello = vec![0; StreamGuard::HEAD_LEN];
    read_exact(from, &mut hello).await?;
    let head = hello.first_chunk().expect("it is as long as a head");
    let len = guard.hello_len(head).map_err(Ending::Refused)?;
    hello.resize(len, 0);
    read_exact(from, &mut hello[StreamGuard::HEAD_LEN..]).await?;
    Ok(hello)
}

async fn read_exact(from: &mut (impl AsyncRead + Unpin), room: &mut [u8]) -> Result<(), Ending> {
    timeout(PATIENCE, from.read_exact(room)).await.map_err(|_| Ending::Slow)??;
    Ok(())
}

/// Reads the next packet, for which memory is taken only as it really comes.
pub(crate) async fn read_frame(
    from: &mut (impl AsyncRead + Unpin),
    idle_max: Duration,
    len_max: usize,
) -> Result<Vec<u8>, Ending> {
    let mut prefix = [0; PREFIX_LEN];
    let first = timeout(idle_max, from.read(&mut prefix)).await.map_err(|_| Ending::Idle)??;
    if first == 0 {
        return Err(Ending::Closed);
    }
    read_exact(from, &mut prefix[first..]).await?;
    let len = u32::from_le_bytes(prefix) as usize;
    if len > len_max {
        return Err(Ending::TooLong(len));
    }
    let mut packet = Vec::new();
    let mut body = from.take(len as u64);
    let whole = body.read_to_end(&mut packet);
    let read = timeout(patience(len), whole).await.map_err(|_| Ending::Slow)??;
    if read == len { Ok(packet) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) }
}

/// Reads up to so many bytes, to the end of the connection, as far as they come in time; and how
/// it ended.
pub(crate) async fn read_to_end(
    from: &mut (impl AsyncRead + Unpin),
    len_max: usize,
) -> (Vec<u8>, Ending) {
    let mut bytes = Vec::new();
    let mut body = from.take(len_max as u64);
    let ending = match timeout(PATIENCE, body.read_to_end(&mut bytes)).await {
        Ok(Ok(_)) => Ending::Closed,
        Ok(Err(error)) => error.into(),
        Err(_) => Ending::Slow,
    };
    (bytes, ending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use tokio::io::duplex;

    const IDLE: Duration = Duration::from_secs(10);

    fn guard() -> StreamGuard {
        StreamGuard::of(&Config::default())
    }

    #[tokio::test]
    async fn what_is_written_is_read_in_order() {
        let (mut a, mut b) = duplex(64);
        let writer = tokio::spawn(async move {
            let hello = guard().dial(8_000, [1; 16]).hello();
            write_whole(&mut a, &hello).await.unwrap();
            for len in [0, 1, 1_000] {
                write_whole(&mut a, &framed(|out| out.extend(vec![7; len]))).await.unwrap();
            }
        });
        let hello = read_hello(&mut b, &guard()).await.unwrap();
        assert_eq!(guard().accept(&hello, [2; 16]).unwrap().0.port(), 8_000);
        for len in [0, 1, 1_000] {
            assert_eq!(read_frame(&mut b, IDLE, 1_000).await.unwrap(), vec![7; len]);
        }
        writer.await.unwrap();
        let end = read_frame(&mut b, IDLE, 1_000).await;
        assert!(matches!(end, Err(Ending::Closed)));
    }

    #[tokio::test]
    async fn a_length_beyond_the_limit_is_refused_before_anything_is_read() {
        let (mut a, mut b) = duplex(64);
        a.write_all(&[0xff; 8]).await.unwrap();
        let end = read_frame(&mut b, IDLE, 1_000).await;
        assert!(matches!(end, Err(Ending::TooLong(0xffff_ffff))));
        let mut rest = [0; 4];
        b.read_exact(&mut rest).await.unwrap();
    }

    #[tokio::test]
    async fn a_packet_that_ends_too_early_is_broken_and_no_packet() {
        let (mut a, mut b) = duplex(64);
        a.write_all(&[8, 0, 0, 0, 1, 2, 3]).await.unwrap();
        drop(a);
        assert!(matches!(read_frame(&mut b, IDLE, 99).await, Err(Ending::Broken(_))));
    }

    #[tokio::test]
    async fn a_stranger_is_told_by_its_first_bytes() {
        let (mut a, mut b) = duplex(64);
        a.write_all(b"GET / HTTP/1.1").await.unwrap();
        let end = read_hello(&mut b, &guard()).await;
        assert!(matches!(end, Err(Ending::Refused(Reject::ForeignMagic))));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_trickles_end_by_their_deadlines() {
        let (mut a, mut b) = duplex(64);
        assert!(matches!(read_hello(&mut b, &guard()).await, Err(Ending::Slow)));
        assert!(matches!(read_answer(&mut b, 32).await, Err(Ending::Slow)));
        assert!(matches!(read_frame(&mut b, IDLE, 99).await, Err(Ending::Idle)));
        let trickle = tokio::spawn(async move {
            while a.write_all(&[50]).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        assert!(matches!(read_frame(&mut b, IDLE, 99).await, Err(Ending::Slow)));
        drop(b);
        trickle.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_before_a_connection_hung_is_not_lost() {
        let (mut a, mut b) = duplex(64);
        a.write_all(b"{}").await.unwrap();
        let (bytes, ending) = read_to_end(&mut b, 99).await;
        assert!(bytes == b"{}" && matches!(ending, Ending::Slow), "{bytes:?} {ending}");
        a.write_all(&[7; 50]).await.unwrap();
        drop(a);
        let (bytes, ending) = read_to_end(&mut b, 40).await;
        assert!(bytes == [7; 40] && matches!(ending, Ending::Closed), "{bytes:?} {ending}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_never_reads_makes_the_write_fail_in_time() {
        let (mut a, _b) = duplex(64);
        let error = write_whole(&mut a, &[0; 1_000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
