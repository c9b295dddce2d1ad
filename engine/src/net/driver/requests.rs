//! What the handle asks: each request on its way to the engine, and to its answer.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::super::console::ConsoleLine;
use super::super::dialect::Dialect;
use super::super::request::{Published, Pulse, Request, Unmet, Wish};
use super::Running;
use super::answers::WhoWrote;
use crate::core::{Command, Input, Inspect, Metadata, Record, Value};

impl<D: Dialect> Running<D> {
    pub(super) fn on_request(&mut self, request: Request) {
        match request {
            Request::Wish(wish) => self.on_wish(wish),
            Request::Publish { value, holders, answer } => self.on_publish(value, holders, answer),
            Request::Put { key, data, terms, holders: 0, answer } => {
                self.answers.write(WhoWrote::Put(answer));
                self.handle(Input::Command(Command::Put(key, data, terms)));
            }
            Request::Put { key, data, terms, holders, answer } => {
                self.answers.write(WhoWrote::PutTo(key.clone(), answer));
                self.handle(Input::Command(Command::PutTo(key, data, terms, holders)));
            }
            Request::Delete { key, answer } => {
                self.answers.write(WhoWrote::Delete(answer));
                self.handle(Input::Command(Command::Delete(key)));
            }
            Request::Keys { keyring, answer } => {
                self.driver.use_keys(&keyring);
                self.answers.settle(answer, ());
            }
            Request::Restore { records, answer } => {
                self.on_restore(&records);
                self.answers.settle(answer, ());
            }
            Request::Leave { answer } => {
                self.answers.leave(answer);
                self.handle(Input::Command(Command::Leave));
            }
        }
    }

    fn on_wish(&mut self, Wish { pulse, node }: Wish) {
        if let Some(pulse) = pulse.filter(|&pulse| pulse != self.pulse) {
            self.on_pulse(pulse);
        }
        if let Some(node) = node {
            self.handle(Input::Command(Command::Update(node)));
        }
    }

    fn on_pulse(&mut self, pulse: Pulse) {
        self.pulse = pulse;
        let me = Arc::clone(self.driver.engine.inspect().me);
        match pulse {
            Pulse::Beating => {
                self.print(ConsoleLine::Start(me.node()));
                self.listing.start(self.driver.clock.now().mono);
                self.handle(Input::Command(Command::Start));
            }
            Pulse::Silent => {
                self.print(ConsoleLine::Stop(me.node()));
                self.listing.stop();
                self.handle(Input::Command(Command::Stop));
            }
        }
    }

    fn on_publish(&mut self, value: Value, holders: usize, asked: oneshot::Sender<Published>) {
        let allowed = Metadata::check_successor(self.driver.engine.inspect().metadata);
        self.handle(Input::Command(match holders {
            0 => Command::Publish(value),
            _ => Command::PublishTo(value, holders),
        }));
        if let Err(refused) = allowed {
            return self.answers.settle(asked, Err(Unmet::Refused(refused)));
        }
        let Inspect { me, metadata, .. } = self.driver.engine.inspect();
        let metadata = metadata.expect("a node holds what it has published");
        self.print(ConsoleLine::Publish { me: me.node(), data: metadata.data() });
        match holders {
            0 => self.answers.settle(asked, Ok(metadata.version())),
            _ => self.answers.confirm(metadata.version(), asked),
        }
    }

    fn on_restore(&mut self, records: &[Arc<Record>]) {
        let now = self.driver.clock.now();
        self.driver.engine.restore(now, records, &mut self.outbox);
        self.drain_outbox(None);
    }
}
