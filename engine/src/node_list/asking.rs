//! The way from a handle to its node's task, and back with an answer or the news that there is no
//! task any more.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::{NodeList, NodeListError};
use crate::net::{Request, RequestLine, Requests, Wish};
use crate::node::Node;

/// The line from a handle, and all its clones, to the node's task.
#[derive(Debug)]
pub(super) struct TaskLine(Mutex<TaskLineState>);

#[derive(Debug)]
struct TaskLineState {
    /// Who the node is to be, whether it has joined or not.
    node: Node,
    /// Leads to the task of the last join.
    way: Option<RequestLine>,
}

impl TaskLine {
    /// Leads nowhere before the first join.
    pub(super) fn new(node: Node) -> Self {
        Self(Mutex::new(TaskLineState { node, way: None }))
    }

    fn state(&self) -> MutexGuard<'_, TaskLineState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn node(&self) -> Node {
        self.state().node.clone()
    }

    /// Leads to another task from now on: who the node is, and what is asked of it after that.
    pub(super) fn open(&self) -> (Node, Requests) {
        let (way, requests) = Requests::channel();
        let mut state = self.state();
        state.way = Some(way);
        (state.node.clone(), requests)
    }

    pub(super) fn way(&self) -> Option<RequestLine> {
        self.state().way.clone()
    }

    /// Changes who the node is, wherever it is, and tells its task if there is one.
    pub(super) fn update(&self, node: &Node) {
        let mut state = self.state();
        state.node = node.with_addr(state.node.addr());
        state.tell(Wish { node: Some(state.node.clone()), ..Wish::default() });
    }

    /// Tells the task, if there is one.
    pub(super) fn wish(&self, wish: Wish) {
        self.state().tell(wish);
    }
}

impl TaskLineState {
    fn tell(&self, wish: Wish) {
        if let Some(way) = &self.way {
            way.wish(wish);
        }
    }
}

impl NodeList {
    /// Asks the task, and waits for its answer.
    pub(super) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, NodeListError> {
        let way = self.state.lock().await.running.as_ref().and_then(|_| self.line.way());
        match ask(&way.ok_or_else(|| self.absent())?, request).await {
            Some(answer) => Ok(answer),
            None => Err(self.absence().await),
        }
    }

    /// Why there is nobody to ask.
    fn absent(&self) -> NodeListError {
        self.ended().map_or(NodeListError::NotJoined, NodeListError::Ended)
    }

    /// The same when the task answers no more: how it ended shows once it has.
    async fn absence(&self) -> NodeListError {
        // What came of a leave is its caller's.
        let _ = self.state.lock().await.reap().await;
        self.absent()
    }
}

/// Asks by this way, and waits for the answer; `None` when the task has ended without.
pub(super) async fn ask<T>(
    way: &RequestLine,
    request: impl FnOnce(oneshot::Sender<T>) -> Request,
) -> Option<T> {
    let (asked, hoped) = oneshot::channel();
    if !way.ask(request(asked)).await {
        return None;
    }
    answer(hoped, way.closed()).await
}

/// A request that was being sent just as the task ended stays in the queue for as long as others
/// can send through it, and the hope of an answer with it: so the end of the task counts as well.
async fn answer<T>(mut hoped: oneshot::Receiver<T>, ended: impl Future<Output = ()>) -> Option<T> {
    tokio::select! {
        biased;
        answer = &mut hoped => answer.ok(),
        () = ended => hoped.try_recv().ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_request_that_was_under_way_as_the_task_ended_is_not_waited_for() {
        let (way, task) = Requests::channel();
        let (_in_the_queue, hoped) = oneshot::channel::<()>();
        drop(task);
        let told = tokio::time::timeout(Duration::from_secs(5), answer(hoped, way.closed())).await;
        assert_eq!(told, Ok(None), "whoever waits is told");
    }

    #[tokio::test]
    async fn what_was_answered_before_the_task_ended_counts() {
        let (way, task) = Requests::channel();
        let (asked, hoped) = oneshot::channel();
        asked.send(7).unwrap();
        drop(task);
        assert_eq!(answer(hoped, way.closed()).await, Some(7));
    }

    #[tokio::test]
    async fn a_node_that_is_to_start_is_told_all_that_is_wished_for_after_it_was_read() {
        let node = |name| Node::new("10.0.0.1:1").name(name).build().unwrap();
        let line = TaskLine::new(node("A"));
        line.update(&node("B"));
        let (first, mut requests) = line.open();
        assert_eq!(first, node("B"));
        line.update(&Node::new("10.0.0.2:2").name("C").build().unwrap());
        let Some(Request::Wish(wish)) = requests.recv().await else { panic!("no wish") };
        assert_eq!(wish.node, Some(node("C")), "its address is not looked at");
        assert_eq!(line.node(), node("C"), "and so the next time");
        drop(requests);
        line.wish(Wish::default());
    }
}
