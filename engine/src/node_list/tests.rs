//! The promises of the handle, one node at a time; clusters are tested on their own.

mod entries;
mod sealing;
mod supervision;

use super::*;
use crate::core::{Event, Reach};
use crate::net::Notice;
use crate::node::Generation;

fn list(addr: &str) -> NodeList {
    NodeList::new(Node::new(addr).name("A"), Config::default()).unwrap()
}

#[tokio::test]
async fn a_joined_node_lists_itself_where_it_is_bound() {
    let list = list("127.0.0.1:0");
    assert!(list.get().is_empty() && list.local_addr().is_none());
    list.join().await.unwrap();
    let bound = list.local_addr().unwrap();
    assert_ne!(bound.port(), 0);
    assert_eq!(list.node().addr(), SocketAddr::new([127, 0, 0, 1].into(), bound.port()));
    assert_eq!(*list.get(), [list.node()]);
}

#[tokio::test]
async fn joining_twice_is_joining_once() {
    let list = list("127.0.0.1:0");
    list.join().await.unwrap();
    let node = list.node();
    list.join().await.unwrap();
    assert_eq!(list.node(), node);
    assert_eq!(list.get().len(), 1);
}

#[tokio::test]
async fn a_port_in_use_is_an_error_of_join() {
    let first = list("127.0.0.1:0");
    first.join().await.unwrap();
    let second = list(&first.local_addr().unwrap().to_string());
    let error = second.join().await.unwrap_err();
    assert!(matches!(error, NodeListError::Listen { .. }));
    assert!(error.to_string().contains("the port is in use"), "{error}");
    first.leave().await.unwrap();
    second.join().await.unwrap();
}

#[tokio::test]
async fn what_was_published_is_read_at_once() {
    let list = list("127.0.0.1:0");
    assert!(matches!(list.publish("v").await, Err(NodeListError::NotJoined)));
    list.join().await.unwrap();
    for data in ["v1", "v2", ""] {
        let version = list.publish(data).await.unwrap();
        let held = list.read().unwrap();
        assert_eq!((held.version(), &held.data()[..]), (version, data.as_bytes()));
    }
    let error = list.publish(vec![0; (1 << 20) + 1]).await.unwrap_err();
    assert!(error.to_string().contains("1048577 bytes"), "{error}");
    assert_eq!(list.read().unwrap().data().len(), 0);
}

#[tokio::test]
async fn a_node_that_left_may_join_again_as_a_later_generation() {
    let list = list("127.0.0.1:0");
    let mut generations = Vec::new();
    for _ in 0..3 {
        list.join().await.unwrap();
        list.leave().await.unwrap();
        list.leave().await.unwrap();
        assert!(list.get().is_empty() && list.read().is_none());
        generations.push(list.shared.view.borrow().generation);
    }
    assert!(generations.is_sorted_by(|a, b| a < b), "{generations:?}");
}

#[tokio::test]
async fn a_node_that_has_used_up_its_generations_joins_again_by_its_clock() {
    let list = list("127.0.0.1:0");
    list.shared.view.send_modify(|view| view.generation = Some(Generation::MAX));
    list.join().await.unwrap();
    let now = list.environment.clock().now().wall;
    let generation = list.shared.view.borrow().generation;
    assert!(generation <= Some(Generation::start(None, now)), "{generation:?}");
    assert!(generation.is_some());
}

#[tokio::test]
async fn a_leave_that_nobody_waits_for_ends_before_the_next_join() {
    let list = list("127.0.0.1:0");
    list.join().await.unwrap();
    let first = list.record().unwrap().generation();
    let _ = tokio::time::timeout(std::time::Duration::ZERO, list.leave()).await;
    list.join().await.unwrap();
    assert!(list.record().unwrap().generation() > first);
    assert_eq!(list.get().len(), 1);
}

#[tokio::test]
async fn members_that_are_restored_are_listed_when_that_returns() {
    let lists = [list("127.0.0.1:0"), list("127.0.0.1:0")];
    for list in &lists {
        list.join().await.unwrap();
    }
    lists[0].restore(lists[1].record()).await.unwrap();
    assert_eq!(lists[0].get().len(), 2);
}

#[tokio::test]
async fn what_a_leave_came_to_is_told_to_whoever_waits_for_it_last() {
    let list = list("127.0.0.1:0");
    list.join().await.unwrap();
    list.publish("v").await.unwrap();
    // A member that is not there, so that nobody takes the value.
    let gone = Node::new("127.0.0.1:9").build().unwrap();
    let gone = Record::new(gone, list.record().unwrap().generation());
    list.restore([Arc::new(gone)]).await.unwrap();
    let first = tokio::time::timeout(std::time::Duration::ZERO, list.leave()).await;
    assert!(first.is_err(), "{first:?}");
    let last = list.leave().await;
    assert!(matches!(last, Err(NodeListError::NotConfirmed(_))), "{last:?}");
}

#[tokio::test]
async fn subscribers_hear_of_the_end_of_the_handle() {
    let list = list("127.0.0.1:0");
    let mut changes = list.subscribe();
    list.join().await.unwrap();
    list.publish("v").await.unwrap();
    drop(list);
    let mut last = None;
    while let Some(notice) = changes.recv().await {
        last = Some(notice);
    }
    assert!(matches!(last, Some(Notice::Event(Event::Published(_)))), "{last:?}");
}

#[tokio::test]
async fn events_that_were_not_taken_in_time_are_counted() {
    let list = list("127.0.0.1:0");
    let mut changes = list.subscribe();
    list.join().await.unwrap();
    for round in 0..EVENTS_MAX + 10 {
        rename(&list, &format!("A{round}")).await;
    }
    // The node's own joining is one of them, that it is the first another, and views come between.
    let missed = changes.recv().await;
    assert!(matches!(missed, Some(Notice::Missed(12..=20))), "{missed:?}");
    assert!(matches!(changes.recv().await, Some(Notice::Event(_))));
}

/// Returns once readers see it.
async fn rename(list: &NodeList, name: &str) {
    list.update(NodeBuilder::from(list.node()).name(name)).unwrap();
    while list.get()[0].name() != name {
        tokio::task::yield_now().await;
    }
}

/// The next notice as a short text; that the node is the first of its cluster is none here, nor is
/// a view, which comes when it is time for it.
async fn told(changes: &mut Events) -> String {
    let is_none_here = |notice: &Notice| {
        matches!(notice, Notice::Alone(Reach::First) | Notice::Event(Event::View { .. }))
    };
    let mut notice = changes.recv().await.unwrap();
    while is_none_here(&notice) {
        notice = changes.recv().await.unwrap();
    }
    match notice {
        Notice::Event(Event::Joined(record)) => format!("joined {}", record.node().name()),
        Notice::Event(Event::Updated { new, .. }) => format!("updated {}", new.node().name()),
        Notice::Event(Event::Published(held)) if held.data().len() > 9 => "a large value".into(),
        Notice::Event(Event::Published(held)) => String::from_utf8_lossy(held.data()).into_owned(),
        Notice::Missed(count) => format!("missed {count}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_subscriber_that_is_forgotten_keeps_no_value_but_the_newest() {
    let list = list("127.0.0.1:0");
    list.join().await.unwrap();
    let mut values = Vec::new();
    let mut forgotten = vec![list.subscribe()];
    for round in 0..20 {
        list.publish(vec![round; 100_000]).await.unwrap();
        values.push(Arc::downgrade(list.read().unwrap().data()));
        // Its state at the beginning is a value as well.
        forgotten.push(list.subscribe());
    }
    // One stopped between the two notices of one wait.
    assert_eq!(told(&mut forgotten[0]).await, "joined A");
    assert_eq!(told(&mut forgotten[0]).await, "missed 19");
    let alive = |values: &[std::sync::Weak<[u8]>]| {
        values.iter().filter(|value| value.strong_count() > 0).count()
    };
    assert_eq!(alive(&values), 1, "the one that is read");
    list.publish("small").await.unwrap();
    assert_eq!(alive(&values), 0);
    list.leave().await.unwrap();
    drop(forgotten);
    assert!(list.shared.held(&list.shared.view.borrow()).is_none());
}

#[tokio::test]
async fn values_that_were_overtaken_are_missed_and_other_notices_keep_their_order() {
    let list = list("127.0.0.1:0");
    let mut early = list.subscribe();
    list.join().await.unwrap();
    list.publish("v1").await.unwrap();
    let mut late = list.subscribe();
    rename(&list, "B").await;
    list.publish("v2").await.unwrap();
    list.publish("v3").await.unwrap();
    rename(&list, "C").await;
    for changes in [&mut early, &mut late] {
        let expected = ["joined A", "missed 1", "updated B", "missed 1", "v3", "updated C"];
        for expected in expected {
            assert_eq!(told(changes).await, expected);
        }
    }
    list.publish("v4").await.unwrap();
    assert_eq!(told(&mut early).await, "v4");
    list.publish("v5").await.unwrap();
    assert_eq!(told(&mut early).await, "v5", "who is quick misses nothing");
    for expected in ["missed 1", "v5"] {
        assert_eq!(told(&mut late).await, expected);
    }
}

#[tokio::test]
async fn a_new_subscriber_is_told_the_present_state_first_and_nothing_twice() {
    let list = list("127.0.0.1:0");
    let mut early = list.subscribe();
    list.join().await.unwrap();
    list.publish("v1").await.unwrap();
    let mut late = list.subscribe();
    let shown = |notice: Option<Notice>| match notice {
        Some(Notice::Event(Event::Joined(record))) => record.node().name().to_owned(),
        Some(Notice::Event(Event::Published(held))) => {
            String::from_utf8(held.data().to_vec()).unwrap()
        }
        other => panic!("{other:?}"),
    };
    let first = Some(Notice::Alone(Reach::First));
    assert_eq!(shown(early.recv().await), "A");
    assert_eq!(early.recv().await, first);
    assert_eq!(shown(early.recv().await), "v1");
    assert_eq!(shown(late.recv().await), "A");
    assert_eq!(shown(late.recv().await), "v1");
    assert_eq!(late.recv().await, first);
    list.publish("v2").await.unwrap();
    for changes in [&mut early, &mut late] {
        assert_eq!(shown(changes.recv().await), "v2");
    }
    list.leave().await.unwrap();
    let mut after = list.subscribe();
    list.join().await.unwrap();
    for changes in [&mut early, &mut late] {
        assert_eq!(changes.recv().await, Some(Notice::Left));
    }
    for changes in [&mut early, &mut late, &mut after] {
        assert_eq!(shown(changes.recv().await), "A");
    }
}

#[tokio::test]
async fn refused_packets_are_told_by_their_reason_once() {
    let list = list("127.0.0.1:0");
    list.join().await.unwrap();
    let mut changes = list.subscribe();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..3 {
        socket.send_to(b"GET / HTTP/1.1", list.local_addr().unwrap()).unwrap();
    }
    while list.stats().rejected.total() < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    list.publish("v").await.unwrap();
    assert!(matches!(changes.recv().await, Some(Notice::Event(Event::Joined(_)))));
    assert_eq!(changes.recv().await, Some(Notice::Alone(Reach::First)));
    let reason = crate::wire::Reject::ForeignMagic;
    assert_eq!(changes.recv().await, Some(Notice::Rejected(reason)));
    assert!(matches!(changes.recv().await, Some(Notice::Event(Event::Published(_)))));
}

#[tokio::test]
async fn a_buffer_that_the_system_clamps_is_told_once_with_both_numbers() {
    let told = |mut changes: Events| async move {
        let mut clamped = Vec::new();
        loop {
            match changes.recv().await.expect("it has not ended") {
                Notice::BufferClamped { wanted, granted } => clamped.push((wanted, granted)),
                Notice::Event(Event::Published(_)) => return clamped,
                _ => {}
            }
        }
    };
    for (buffer, times) in [(1, 0), (1 << 30, 1)] {
        let config = Config::builder().buffer(buffer).build().unwrap();
        let list = NodeList::new(Node::new("127.0.0.1:0"), config).unwrap();
        let changes = list.subscribe();
        list.join().await.unwrap();
        list.publish("v").await.unwrap();
        let told = told(changes).await;
        assert_eq!(told.len(), times, "{told:?}");
        for (wanted, granted) in told {
            assert_eq!((wanted, granted), (1_200 << 30, list.stats().queue_bytes));
        }
        assert!(list.stats().queue_bytes >= 1_200);
    }
}

#[test]
fn what_is_no_seed_is_refused_with_the_fix() {
    let list = list("127.0.0.1:0");
    let error = list.set("10.0.0.9").unwrap_err().to_string();
    assert!(error.contains("`10.0.0.9`") && error.contains("HOST:PORT"), "{error}");
    let config = Config::builder().seeds(["nowhere"]).build().unwrap();
    assert!(NodeList::new(Node::new("127.0.0.1:0"), config).is_err());
    for port in 1..=NodeList::SEEDS_MAX {
        list.set(format!("node:{port}")).unwrap();
    }
    list.set("node:1").unwrap();
    assert!(matches!(list.set("node:9999"), Err(NodeListError::SeedsFull)));
}

#[test]
fn a_node_of_loopback_listens_there_and_any_other_everywhere_unless_told_where() {
    let listen = |addr: &str, listen: Option<&str>| {
        let mut config = Config::default();
        if let Some(listen) = listen {
            config = config.with_listen_addr(listen.parse().unwrap());
        }
        listen_addr(&Node::new(addr).build().unwrap(), &config).to_string()
    };
    for (addr, expected) in [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("127.9.8.7:8000", "127.9.8.7:8000"),
        ("[::1]:8000", "[::1]:8000"),
        ("[::ffff:127.0.0.1]:8000", "127.0.0.1:8000"),
        ("0.0.0.0:8000", "0.0.0.0:8000"),
        ("10.0.0.5:8000", "0.0.0.0:8000"),
        ("[::]:8000", "[::]:8000"),
        ("[fd00::5]:8000", "[::]:8000"),
    ] {
        assert_eq!(listen(addr, None), expected, "{addr}");
    }
    for (addr, told, expected) in [
        ("127.0.0.1:8000", "0.0.0.0:0", "0.0.0.0:8000"),
        ("[::1]:8000", "0.0.0.0:0", "[::]:8000"),
        ("10.0.0.5:8000", "0.0.0.0:0", "0.0.0.0:8000"),
        ("10.0.0.5:8000", "127.0.0.1:9", "127.0.0.1:9"),
        ("[fd00::5]:8000", "0.0.0.0:0", "[::]:8000"),
    ] {
        assert_eq!(listen(addr, Some(told)), expected, "{addr} told {told}");
    }
}

#[tokio::test]
async fn nobody_reaches_a_node_of_loopback_at_another_address_of_the_machine() {
    use tokio::net::TcpStream;
    let everywhere = Config::default().with_listen_addr("0.0.0.0:0".parse().unwrap());
    for (config, is_reached) in [(Config::default(), false), (everywhere, true)] {
        let list = NodeList::new(Node::new("127.0.0.1:0"), config).unwrap();
        list.join().await.unwrap();
        let bound = list.local_addr().unwrap();
        assert_eq!(bound.ip().is_loopback(), !is_reached, "{bound}");
        assert!(TcpStream::connect(("127.0.0.1", bound.port())).await.is_ok());
        // Not every system has the whole network of loopback.
        if std::net::UdpSocket::bind("127.0.0.2:0").is_ok() {
            let reached = TcpStream::connect(("127.0.0.2", bound.port())).await;
            assert_eq!(reached.is_ok(), is_reached, "{reached:?}");
        }
    }
}

#[tokio::test]
async fn a_node_says_the_zone_and_tags_of_its_settings_unless_it_has_its_own() {
    let config = Config::builder().zone("a").tags("role=db".parse().unwrap()).build().unwrap();
    let list = NodeList::new(Node::new("127.0.0.1:0").zone("b"), config).unwrap();
    list.join().await.unwrap();
    let says = |list: &NodeList| (list.node().zone().to_owned(), list.node().tags().to_string());
    assert_eq!(says(&list), ("b".to_owned(), "role=db".to_owned()));
    list.update(Node::new("127.0.0.1:0").tag("role", "web")).unwrap();
    let changed = ("a".to_owned(), "role=web".to_owned());
    while says(&list) != changed {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
