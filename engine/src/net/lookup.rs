//! Looks up host names on threads of their own, so that a resolver that hangs holds up nobody.
//!
//! The system's resolver can be neither asked without waiting nor interrupted. On the threads of
//! the runtime it would hold up the end of the process, which joins them; one of these is left
//! alone when nobody wants its answer any more.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::thread;

use tokio::sync::{Semaphore, oneshot};

/// Most threads of the whole process that wait for the resolver. Further names wait for one.
const THREADS_MAX: usize = 32;

/// Most addresses that one name stands for.
const ADDRS_MAX: usize = 16;

static THREADS: Semaphore = Semaphore::const_new(THREADS_MAX);

/// What is asked for the addresses of `host:port`, and takes as long as it likes.
pub(crate) type Resolver = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// The resolver of the machine.
pub(crate) fn system(name: &str) -> io::Result<Vec<SocketAddr>> {
    let addrs: Vec<_> = name.to_socket_addrs()?.map(canonical).take(ADDRS_MAX).collect();
    if addrs.is_empty() {
        Err(io::Error::other("the name stands for no address"))
    } else {
        Ok(addrs)
    }
}

pub(super) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// Asks a resolver. One that panics has failed like any other.
pub(super) async fn look_up(name: String, resolver: Resolver) -> io::Result<Vec<SocketAddr>> {
    let place = THREADS.acquire().await.expect("it is never closed");
    let (answer, answered) = oneshot::channel();
    let ask = move || {
        let found = resolver(&name);
        drop(place);
        // Nobody may want it any more.
        let _ = answer.send(found);
    };
    thread::Builder::new().name("rumormill-lookup".into()).spawn(ask)?;
    let gone = |_| io::Error::other("the look-up panicked");
    answered.await.map_err(gone)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_stands_for_its_addresses() {
        let found = look_up("localhost:7".into(), system).await.unwrap();
        assert!(found.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 7));
        assert!(look_up("no.such.name.invalid:7".into(), system).await.is_err());
    }

    #[tokio::test]
    async fn a_look_up_that_panics_has_failed_and_leaves_its_place() {
        for _ in 0..2 * THREADS_MAX {
            let found = look_up("a:1".into(), |name| panic!("{name}")).await;
            assert_eq!(found.unwrap_err().to_string(), "the look-up panicked");
        }
    }

    #[test]
    fn a_resolver_that_hangs_does_not_hold_up_the_end_of_the_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let hangs: Resolver = |_| loop {
            thread::park();
        };
        let look_up = runtime.spawn(look_up("a:1".into(), hangs));
        runtime.block_on(tokio::task::yield_now());
        assert!(!look_up.is_finished());
        drop(runtime);
    }
}
