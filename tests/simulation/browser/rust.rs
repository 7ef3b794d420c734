//! The client in Rust: the rules of `shared/protocol/README.md` with the real state machine.

use std::collections::BTreeMap;

use domain::{Json, OrderId, Version};
use protocol::{
    ErrorCode, Follower, Message, Step, Update,
    parts::{Assembled, Assembler, Lost},
    request::{Wanted, subscribe},
};

use super::{Browser, Client};
use crate::report::Report;

/// The client's state.
pub(crate) struct RustClient {
    /// The connection, while there is one.
    pub(crate) connection: Option<String>,
    /// Whether a connection is being made.
    pub(crate) is_connecting: bool,
    /// Whether a subscribe failed that it has to say again.
    pub(crate) asks_again: bool,
    followers: BTreeMap<OrderId, Follower>,
    assembler: Assembler,
    incomplete_max: usize,
}

impl RustClient {
    pub(crate) fn new(orders: &[(OrderId, bool)], incomplete_max: usize) -> Self {
        let follower = |from_the_beginning: bool| {
            if from_the_beginning { Follower::resuming(Version::NONE) } else { Follower::default() }
        };
        let followers = orders.iter().map(|(order_id, beginning)| (order_id.clone(), follower(*beginning))).collect();
        Self {
            connection: None,
            is_connecting: false,
            asks_again: false,
            followers,
            assembler: Assembler::bounded(incomplete_max),
            incomplete_max,
        }
    }

    pub(super) fn wants_connection(&self) -> bool {
        self.connection.is_none() && !self.is_connecting && !self.followers.is_empty()
    }

    pub(super) fn is_settled(&self) -> bool {
        !self.is_connecting && !self.asks_again && !self.followers.values().any(Follower::awaits_answer)
    }

    /// What it subscribes with.
    fn ask(&mut self, is_wanted: impl Fn(&OrderId, &Follower) -> bool) -> Option<(String, String)> {
        let connection_id = self.connection.clone()?;
        let wanted = self.followers.iter_mut().filter(|(order_id, follower)| is_wanted(order_id, follower));
        let wanted: Vec<Wanted> = wanted.map(|(order_id, follower)| follower.ask(order_id)).collect();
        (!wanted.is_empty()).then(|| (connection_id, subscribe(&wanted)))
    }

    fn disconnected(&mut self) {
        self.connection = None;
        self.asks_again = false;
        self.assembler = Assembler::bounded(self.incomplete_max);
        self.followers.values_mut().for_each(Follower::disconnected);
    }
}

impl Browser {
    fn rust(&mut self) -> &mut RustClient {
        match &mut self.client {
            Client::Rust(client) => client,
            Client::Script(_) => panic!("browser {} runs the shipped client", self.name),
        }
    }

    pub(crate) fn rust_connected(&mut self, connection_id: &str) {
        let client = self.rust();
        client.is_connecting = false;
        client.connection = Some(connection_id.to_owned());
        let asked = client.ask(|_, _| true);
        self.outbox.extend(asked);
    }

    pub(crate) fn rust_disconnected(&mut self) {
        self.rust().disconnected();
    }

    pub(crate) fn rust_not_connected(&mut self) {
        self.rust().is_connecting = false;
    }

    /// Says the subscribes again that failed.
    pub(crate) fn rust_asks_again(&mut self) {
        let client = self.rust();
        client.asks_again = false;
        let asked = client.ask(|_, follower| follower.awaits_answer());
        self.outbox.extend(asked);
    }

    pub(crate) fn rust_follows(&mut self, order_id: &OrderId) {
        let client = self.rust();
        client.followers.insert(order_id.clone(), Follower::default());
        let asked = client.ask(|other, _| other == order_id);
        self.outbox.extend(asked);
    }

    pub(crate) fn rust_receives(&mut self, frame: &str, report: &mut Report) {
        let whole = match self.rust().assembler.accept(frame) {
            Assembled::Whole(whole) => whole,
            Assembled::Incomplete => return,
            Assembled::Lost(lost) => return self.missed(&lost, report),
        };
        match Message::read(&whole) {
            Ok(Message::Update(update)) => self.accept(&update, report),
            Ok(Message::Error(error)) if error.code == ErrorCode::Forbidden => {
                let order_id = error.order_id.unwrap();
                // Whoever was told once may be told again, of a row that was there twice.
                if self.rust().followers.remove(&order_id).is_some() {
                    self.lost(order_id, report);
                }
            }
            Ok(Message::Error(error)) => {
                assert_eq!(error.code, ErrorCode::Internal, "{}", error.message);
                self.rust().asks_again = true;
            }
            Ok(Message::Pong | Message::Heads(_) | Message::History(_) | Message::Unsubscribed(_)) => {
                panic!("not asked for: {whole}")
            }
            Err(_gateways_own) => self.rust().asks_again = true,
        }
    }

    /// Resumes what is known to be lost.
    fn missed(&mut self, lost: &[Lost], report: &mut Report) {
        let client = self.rust();
        for each in lost {
            report.messages_missed += 1;
            match each {
                Lost::Named { order_id, version } => {
                    let Some(follower) = client.followers.get_mut(order_id) else { continue };
                    follower.missed(*version);
                    client.asks_again |= follower.awaits_answer();
                }
                Lost::Unnamed => client.asks_again = true,
            }
        }
        let asked = client.ask(|_, follower| follower.must_resume());
        self.outbox.extend(asked);
    }

    fn accept(&mut self, update: &Update, report: &mut Report) {
        let Some(follower) = self.rust().followers.get_mut(&update.order_id) else { return };
        let step = follower.accept(update);
        let (must_resume, awaits_answer) = (follower.must_resume(), follower.awaits_answer());
        let is_sent = update.projection.is_some();
        let view = follower.projection().map(|projection| (Json::Object(projection.fields().clone()), is_sent));
        let version = update.version.get();
        match step {
            Step::Started | Step::Refolded => self.seen(&update.order_id).show(version, &[], false, view, report),
            Step::Reset => self.seen(&update.order_id).show(version, &[], true, view, report),
            Step::Advanced(events) => {
                let versions: Vec<u64> = events.iter().map(|event| event.version.get()).collect();
                self.seen(&update.order_id).show(version, &versions, false, view, report);
            }
            Step::Duplicate => report.duplicates += 1,
            Step::Gap | Step::GapAwaited => report.gaps += 1,
        }
        if must_resume && !awaits_answer {
            report.resumes += 1;
            let asked = self.rust().ask(|order_id, _| *order_id == update.order_id);
            self.outbox.extend(asked);
        }
    }
}
