//! Orders: what a handle tells its node's task, and how it gets an answer or learns that there is
//! no task any more.

use tokio::sync::{mpsc, oneshot};

use super::{NodeList, NodeListError};
use crate::net::Order;

impl NodeList {
    /// Gives an order to the task; the way by which it went.
    pub(super) async fn order(&self, order: Order) -> Result<mpsc::Sender<Order>, NodeListError> {
        let orders = {
            let state = self.state.lock().await;
            let running = state.running.as_ref().ok_or_else(|| self.absent())?;
            running.orders.clone()
        };
        match orders.send(order).await {
            Ok(()) => Ok(orders),
            Err(_) => Err(self.absence().await),
        }
    }

    /// Why there is nobody to take an order.
    fn absent(&self) -> NodeListError {
        self.ended().map_or(NodeListError::NotJoined, NodeListError::Ended)
    }

    /// The same when the task took none any more: how it ended shows once it has.
    pub(super) async fn absence(&self) -> NodeListError {
        // What came of a leave is its caller's.
        let _ = self.state.lock().await.reap().await;
        self.absent()
    }
}

/// What a task answers to an order; `None` when it has ended without.
///
/// An order that was being sent just as the task ended stays in the channel for as long as others
/// can send through it, and the hope of an answer with it: so the end of the task counts as well.
pub(super) async fn answer<T, O>(
    mut hoped: oneshot::Receiver<T>,
    orders: &mpsc::Sender<O>,
) -> Option<T> {
    tokio::select! {
        biased;
        answer = &mut hoped => answer.ok(),
        () = orders.closed() => hoped.try_recv().ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_order_that_was_under_way_as_the_task_ended_is_not_waited_for() {
        let (orders, task) = mpsc::channel(1);
        let (done, hoped) = oneshot::channel::<()>();
        let way = orders.reserve().await.unwrap();
        drop(task);
        way.send(done);
        let told = tokio::time::timeout(Duration::from_secs(5), answer(hoped, &orders)).await;
        assert_eq!(told, Ok(None), "whoever waits is told");
    }

    #[tokio::test]
    async fn what_was_answered_before_the_task_ended_counts() {
        let (orders, task) = mpsc::channel::<()>(1);
        let (done, hoped) = oneshot::channel();
        done.send(7).unwrap();
        drop(task);
        assert_eq!(answer(hoped, &orders).await, Some(7));
    }
}
