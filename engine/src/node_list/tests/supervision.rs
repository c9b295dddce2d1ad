//! However a node's task ends, who follows the node, reads it or asks something of it is told.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tracing::span;

use super::*;
use crate::core::{Output, Packet, Reach};
use crate::net::Departure;

/// Lets all pass, until it panics at the next thing that the node takes in.
#[derive(Debug, Default)]
struct Fuse {
    is_lit: AtomicBool,
}

impl Fuse {
    fn light(&self) {
        self.is_lit.store(true, Ordering::SeqCst);
    }
}

impl Interceptor for Fuse {
    fn on_input(&self, _: Option<(SocketAddr, &Packet)>, _: &[Output]) {
        assert!(!self.is_lit.swap(false, Ordering::SeqCst), "the fuse\nblew");
    }

    fn on_departure(&self, departure: Departure) {
        // Whoever it goes to is of no concern here.
        let _ = departure.send();
    }
}

fn fused(addr: &str) -> (Arc<NodeList>, Arc<Fuse>) {
    let fuse = Arc::new(Fuse::default());
    let (node, config) = (Node::new(addr).name("A"), Config::default());
    (NodeList::intercepted(node, config, Arc::clone(&fuse) as Arc<_>).unwrap().into(), fuse)
}

fn blown() -> Ended {
    Ended::Panicked("the fuse\\nblew".into())
}

/// A runtime whose tasks run by themselves.
fn busy_runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A runtime whose tasks run only while something is waited for in it.
fn idle_runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The next notice, which must come soon.
async fn next(changes: &mut Events) -> Option<Notice> {
    let soon = tokio::time::timeout(Duration::from_secs(10), changes.recv()).await;
    soon.expect("a subscriber waits in vain")
}

/// Skips the node's own joining, and that it is the first.
async fn after_joined(changes: &mut Events) -> Option<Notice> {
    let joined = next(changes).await;
    assert!(matches!(joined, Some(Notice::Event(Event::Joined(_)))), "{joined:?}");
    assert_eq!(next(changes).await, Some(Notice::Alone(Reach::First)));
    next(changes).await
}

fn assert_shows_nothing(list: &NodeList) {
    assert!(list.get().is_empty() && list.read().is_none() && list.record().is_none());
    assert!(list.local_addr().is_none());
}

#[tokio::test]
async fn a_node_whose_task_panicked_is_empty_and_says_why() {
    let (list, fuse) = fused("127.0.0.1:0");
    let mut subscribers = [list.subscribe(), list.subscribe()];
    list.join().await.unwrap();
    list.publish("v").await.unwrap();
    assert_eq!(list.ended(), None);
    fuse.light();
    let error = list.publish("w").await.unwrap_err();
    assert!(matches!(&error, NodeListError::Ended(ended) if *ended == blown()), "{error}");
    let text = error.to_string();
    assert!(text.contains("panicked: the fuse\\nblew") && text.contains("`join`"), "{text}");
    assert_shows_nothing(&list);
    assert_eq!(list.ended(), Some(blown()));
    for changes in &mut subscribers {
        let published = after_joined(changes).await;
        assert!(matches!(published, Some(Notice::Event(Event::Published(_)))), "{published:?}");
        assert_eq!(next(changes).await, Some(Notice::Ended(blown())));
    }
    // Whoever subscribes now is told as well, and so is whoever asks again.
    assert_eq!(next(&mut list.subscribe()).await, Some(Notice::Ended(blown())));
    assert!(matches!(list.publish("x").await, Err(NodeListError::Ended(_))));
    assert!(matches!(list.restore([]).await, Err(NodeListError::Ended(_))));
}

#[tokio::test]
async fn a_node_ends_with_a_task_that_it_cannot_do_without() {
    let list = list("127.0.0.1:0");
    let mut changes = list.subscribe();
    let mut driver = list.driver::<Engine>(&HandleState::default()).await.unwrap();
    driver.tasks.spawn(async { panic!("no more seeds") });
    let run = tokio::time::timeout(Duration::from_secs(10), driver.run());
    run.await.expect("it lives on without");
    let ended = Ended::Panicked("no more seeds".into());
    assert_eq!(list.ended(), Some(ended.clone()));
    assert_eq!(after_joined(&mut changes).await, Some(Notice::Ended(ended)));
}

#[tokio::test]
async fn a_node_that_ended_joins_again_at_its_port_as_a_later_generation() {
    let (list, _) = fused("127.0.0.1:0");
    list.join().await.unwrap();
    let addr = list.local_addr().unwrap();
    list.leave().await.unwrap();
    let (list, fuse) = fused(&addr.to_string());
    list.join().await.unwrap();
    let first = list.record().unwrap().generation();
    let mut changes = list.subscribe();
    fuse.light();
    list.publish("v").await.unwrap_err();
    assert_eq!(after_joined(&mut changes).await, Some(Notice::Ended(blown())));
    list.join().await.unwrap();
    assert_eq!((list.ended(), list.local_addr()), (None, Some(addr)));
    assert!(list.record().unwrap().generation() > first);
    list.publish("w").await.unwrap();
    let published = after_joined(&mut changes).await;
    assert!(matches!(published, Some(Notice::Event(Event::Published(_)))), "{published:?}");
}

#[tokio::test]
async fn whoever_is_told_of_an_end_may_join_at_once() {
    let (list, fuse) = fused("127.0.0.1:0");
    let mut changes = list.subscribe();
    list.join().await.unwrap();
    fuse.light();
    // Nobody waits for the task's answer, so that nobody has seen it return.
    list.update(Node::new("127.0.0.1:0").name("B")).unwrap();
    assert_eq!(after_joined(&mut changes).await, Some(Notice::Ended(blown())));
    list.join().await.unwrap();
    assert_eq!(list.get().len(), 1, "a join that returns has joined");
}

/// Here the task ends on one thread while its callers wait on another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_a_node_that_ends_is_told_why_and_finds_the_port_free() {
    let (list, _) = fused("127.0.0.1:0");
    list.join().await.unwrap();
    let addr = list.local_addr().unwrap();
    list.leave().await.unwrap();
    let (list, fuse) = fused(&addr.to_string());
    for _ in 0..100 {
        list.join().await.unwrap();
        fuse.light();
        let error = list.publish("v").await.unwrap_err();
        assert!(matches!(&error, NodeListError::Ended(ended) if *ended == blown()), "{error}");
    }
}

#[test]
fn a_node_whose_runtime_is_gone_says_so_in_every_other() {
    let (ours, theirs) = (idle_runtime(), busy_runtime());
    let list = list("127.0.0.1:0");
    let mut subscribers = [list.subscribe(), list.subscribe()];
    theirs.block_on(list.join()).unwrap();
    drop(theirs);
    assert_shows_nothing(&list);
    assert_eq!(list.ended(), Some(Ended::RuntimeGone));
    ours.block_on(async {
        for changes in &mut subscribers {
            assert_eq!(after_joined(changes).await, Some(Notice::Ended(Ended::RuntimeGone)));
        }
        let error = list.publish("v").await.unwrap_err().to_string();
        assert!(error.contains("runtime") && error.contains("shut down"), "{error}");
        list.leave().await.unwrap();
        assert_eq!(list.ended(), Some(Ended::RuntimeGone), "it never said goodbye");
        list.join().await.unwrap();
        assert_eq!((list.ended(), list.get().len()), (None, 1));
        list.leave().await.unwrap();
        for changes in &mut subscribers {
            assert_eq!(after_joined(changes).await, Some(Notice::Left));
        }
    });
}

#[test]
fn a_task_that_never_ran_ends_like_any_other() {
    let theirs = idle_runtime();
    let list = list("127.0.0.1:0");
    theirs.block_on(list.join()).unwrap();
    drop(theirs);
    assert_shows_nothing(&list);
    assert_eq!(list.ended(), Some(Ended::RuntimeGone));
}

#[tokio::test]
async fn a_leave_is_told_once_also_when_nobody_waits_for_it() {
    let list = list("127.0.0.1:0");
    let mut subscribers = [list.subscribe(), list.subscribe()];
    list.join().await.unwrap();
    let _ = tokio::time::timeout(Duration::ZERO, list.leave()).await;
    for changes in &mut subscribers {
        assert_eq!(after_joined(changes).await, Some(Notice::Left));
    }
    assert_shows_nothing(&list);
    assert!(matches!(list.publish("v").await, Err(NodeListError::NotJoined)));
    list.leave().await.unwrap();
    list.join().await.unwrap();
    list.leave().await.unwrap();
    for changes in &mut subscribers {
        assert_eq!(after_joined(changes).await, Some(Notice::Left));
    }
    assert_eq!(list.ended(), None);
}

#[tokio::test]
async fn whoever_is_told_of_a_leave_finds_the_port_free() {
    let list = list("127.0.0.1:0");
    let mut changes = list.subscribe();
    for _ in 0..20 {
        list.join().await.unwrap();
        let bound = list.local_addr().unwrap();
        let (told, left) = tokio::join!(
            async {
                let told = after_joined(&mut changes).await;
                std::net::UdpSocket::bind(bound).expect("the port of datagrams is free");
                std::net::TcpListener::bind(bound).expect("the port of streams is free");
                told
            },
            list.leave()
        );
        left.unwrap();
        assert_eq!(told, Some(Notice::Left));
    }
}

#[tokio::test]
async fn a_node_that_panicked_has_nothing_left_to_leave() {
    let (list, fuse) = fused("127.0.0.1:0");
    let mut changes = list.subscribe();
    list.join().await.unwrap();
    fuse.light();
    list.publish("v").await.unwrap_err();
    list.leave().await.unwrap();
    assert_eq!(list.ended(), Some(blown()));
    assert_eq!(after_joined(&mut changes).await, Some(Notice::Ended(blown())));
    // It is the goodbye itself at which it panics.
    list.join().await.unwrap();
    fuse.light();
    list.leave().await.unwrap();
    assert_eq!(list.ended(), Some(blown()));
    assert_eq!(after_joined(&mut changes).await, Some(Notice::Ended(blown())));
    list.join().await.unwrap();
    list.leave().await.unwrap();
    assert_eq!(list.ended(), None);
    assert_eq!(after_joined(&mut changes).await, Some(Notice::Left));
}

#[test]
fn subscriptions_end_with_the_handle_wherever_the_task_is() {
    let ours = idle_runtime();
    // The task lies in a runtime in which nothing runs any more, and still has all it holds.
    let theirs = idle_runtime();
    let stuck = list("127.0.0.1:0");
    theirs.block_on(stuck.join()).unwrap();
    // Its runtime is gone.
    let gone = list("127.0.0.1:0");
    busy_runtime().block_on(gone.join()).unwrap();
    let running = list("127.0.0.1:0");
    let elsewhere = busy_runtime();
    elsewhere.block_on(running.join()).unwrap();
    for list in [stuck, gone, running, list("127.0.0.1:0")] {
        let mut changes = list.subscribe();
        let is_ended = list.ended().is_some();
        let is_joined = list.local_addr().is_some();
        drop(list);
        ours.block_on(async {
            if is_joined {
                assert_eq!(after_joined(&mut changes).await, None);
            } else if is_ended {
                let told = next(&mut changes).await;
                assert_eq!(told, Some(Notice::Ended(Ended::RuntimeGone)));
            }
            assert_eq!(next(&mut changes).await, None);
        });
    }
}

/// Counts the errors that are logged.
#[derive(Clone, Default)]
struct Errors(Arc<AtomicUsize>);

impl tracing::Subscriber for Errors {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn an_end_is_logged_as_an_error_and_a_leave_or_a_dropped_handle_is_not() {
    let errors = Errors::default();
    // With one subscriber in the process, whether a line is wanted is asked of the thread that
    // comes to it first, which may be that of another test, and kept; with two it is asked of both.
    let _second = tracing::Dispatch::new(Errors::default());
    let _logged = tracing::subscriber::set_default(errors.clone());
    let logged = || errors.0.swap(0, Ordering::SeqCst);
    let runtime = idle_runtime();
    let (list, fuse) = fused("127.0.0.1:0");
    runtime.block_on(async {
        list.join().await.unwrap();
        list.leave().await.unwrap();
        assert_eq!(logged(), 0, "a leave is no error");
        list.join().await.unwrap();
        fuse.light();
        list.publish("v").await.unwrap_err();
        assert_eq!(logged(), 1, "a panic is one");
        list.join().await.unwrap();
    });
    drop(runtime);
    assert_eq!(logged(), 1, "the end of the runtime is one");
    let runtime = idle_runtime();
    runtime.block_on(list.join()).unwrap();
    drop(list);
    drop(runtime);
    assert_eq!(logged(), 0, "nobody holds the node any more");
}
