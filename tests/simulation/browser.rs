//! A browser: what it wants, what it has shown, and what it says next.
//!
//! Owns: the client's rules of README.md of `protocol`, with the real state machine, and the record of what was shown.
//! Must not know: the gateway, the log.
//! Source: "What a client does" in README.md of `protocol`.

use std::collections::BTreeMap;

use domain::{OrderId, Principal, Redacted, Version};
use protocol::{
    ErrorCode, Follower, Message, Step, Update,
    parts::{Assembled, Assembler, Lost},
    request::{Wanted, subscribe},
};

use crate::report::Report;

/// One browser, which follows its orders over one connection after the other.
pub(crate) struct Browser {
    pub(crate) name: usize,
    /// Who its user is.
    pub(crate) principal: Principal,
    /// The connection, while there is one.
    pub(crate) socket: Option<String>,
    /// Whether a connection is being made.
    pub(crate) is_connecting: bool,
    /// Messages that it has to send, in order.
    pub(crate) outbox: Vec<String>,
    /// Whether a subscribe failed that it has to say again.
    pub(crate) asks_again: bool,
    pub(crate) orders: BTreeMap<OrderId, Followed>,
    assembler: Assembler,
}

/// What a browser has of an order.
#[derive(Default)]
pub(crate) struct Followed {
    pub(crate) follower: Follower,
    /// The version of the projection with which it started; 0 if it follows from the beginning.
    pub(crate) started_at: u64,
    /// Each version that it showed after that, with the projection as of it where one came.
    pub(crate) shown: Vec<(u64, Option<Redacted>)>,
}

impl Browser {
    /// A browser that follows some orders from their beginnings and others from their projections.
    pub(crate) fn new(name: usize, principal: Principal, orders: impl IntoIterator<Item = (OrderId, bool)>) -> Self {
        let followed = |from_the_beginning| {
            let follower = if from_the_beginning { Follower::resuming(Version::NONE) } else { Follower::default() };
            Followed { follower, ..Followed::default() }
        };
        let orders = orders.into_iter().map(|(order_id, from_the_beginning)| (order_id, followed(from_the_beginning)));
        Self {
            name,
            principal,
            socket: None,
            is_connecting: false,
            outbox: Vec::new(),
            asks_again: false,
            orders: orders.collect(),
            assembler: Assembler::default(),
        }
    }

    pub(crate) fn connected(&mut self, connection_id: &str) {
        self.is_connecting = false;
        self.socket = Some(connection_id.to_owned());
        self.subscribe(|_follower| true);
    }

    pub(crate) fn disconnected(&mut self) {
        self.socket = None;
        self.outbox.clear();
        self.asks_again = false;
        self.assembler = Assembler::default();
        self.orders.values_mut().for_each(|followed| followed.follower.disconnected());
    }

    /// Says the subscribes again that failed.
    pub(crate) fn ask_again(&mut self) {
        self.asks_again = false;
        self.subscribe(Follower::awaits_answer);
    }

    /// Whether nothing is due from it or to it.
    pub(crate) fn is_settled(&self) -> bool {
        let awaits = self.orders.values().any(|followed| followed.follower.awaits_answer());
        self.socket.is_some() && self.outbox.is_empty() && !self.asks_again && !awaits
    }

    fn subscribe(&mut self, is_wanted: impl Fn(&Follower) -> bool) {
        let wanted = self.orders.iter_mut().filter(|(_, followed)| is_wanted(&followed.follower));
        let wanted: Vec<Wanted> = wanted.map(|(order_id, followed)| followed.follower.ask(order_id)).collect();
        if !wanted.is_empty() {
            self.outbox.push(subscribe(&wanted));
        }
    }

    /// Takes a frame.
    pub(crate) fn receive(&mut self, frame: &str, report: &mut Report) {
        let whole = match self.assembler.accept(frame) {
            Assembled::Whole(whole) => whole,
            Assembled::Incomplete => return,
            Assembled::Lost(lost) => return self.lost(&lost),
        };
        match Message::read(&whole) {
            Ok(Message::Update(update)) => self.accept(&update, report),
            Ok(Message::Error(error)) => {
                assert_eq!(error.code, ErrorCode::Internal, "{}", error.message);
                self.asks_again = true;
            }
            Ok(Message::Pong | Message::Heads(_) | Message::History(_) | Message::Unsubscribed(_)) => {
                panic!("not asked for: {whole}")
            }
            Err(_gateways_own) => self.asks_again = true,
        }
    }

    /// Resumes what is known to be lost.
    fn lost(&mut self, lost: &[Lost]) {
        for each in lost {
            match each {
                Lost::Named { order_id, version } => {
                    let followed = self.orders.get_mut(order_id).expect("it subscribed to the order");
                    followed.follower.missed(*version);
                    self.asks_again |= followed.follower.awaits_answer();
                }
                Lost::Unnamed => self.subscribe(|_follower| true),
            }
        }
        self.subscribe(Follower::must_resume);
    }

    fn accept(&mut self, update: &Update, report: &mut Report) {
        let followed = self.orders.get_mut(&update.order_id).expect("it subscribed to the order");
        match followed.follower.accept(update) {
            Step::Started => followed.started_at = update.version.get(),
            Step::Reset => panic!("the log is the same one: {} at {}", update.order_id, update.version),
            Step::Advanced(events) => {
                report.deliveries += u64::try_from(events.len()).unwrap();
                followed.shown.extend(events.iter().map(|event| (event.version.get(), None)));
                let projection = followed.follower.projection().cloned();
                followed.shown.last_mut().unwrap().1 = projection;
            }
            Step::Duplicate => report.duplicates += 1,
            Step::Gap | Step::GapAwaited => report.gaps += 1,
        }
        if followed.follower.must_resume() {
            report.resumes += 1;
            self.outbox.push(subscribe(&[followed.follower.ask(&update.order_id)]));
        }
    }
}
