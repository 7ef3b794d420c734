//! A browser: what it follows, what it was shown, and what it says next.
//!
//! Its client is the one in Rust (`protocol::Follower` and its assembler) or the one that is shipped for browsers
//! (`script`). Whichever it is, the record of what it was shown is the same.

mod rust;
mod seen;

use std::collections::{BTreeMap, VecDeque};

use domain::{OrderId, Principal};

pub(crate) use rust::RustClient;
pub(crate) use seen::{Seen, View};

use crate::report::Report;

/// One browser, which follows its orders over one connection after the other.
pub(crate) struct Browser {
    pub(crate) name: usize,
    /// Who its user is.
    pub(crate) principal: Principal,
    /// Messages that it has to send, in order, each with the connection.
    pub(crate) outbox: VecDeque<(String, String)>,
    /// What it was shown of each order, from each time on that it began to follow it; the last one is the present.
    pub(crate) orders: BTreeMap<OrderId, Vec<Seen>>,
    /// Orders that it was told are no longer its own; the page has not decided what to do.
    pub(crate) lost: Vec<OrderId>,
    pub(crate) client: Client,
}

/// The client that a browser runs.
pub(crate) enum Client {
    Rust(Box<RustClient>),
    /// The shipped client, with its sockets.
    Script(Sockets),
}

/// The sockets of a page, by the numbers that its engine gave them.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    /// Those that wait for a connection.
    pub(crate) opening: VecDeque<u32>,
    /// Those whose connection is being made.
    pub(crate) connecting: BTreeMap<String, u32>,
    pub(crate) open: BTreeMap<String, u32>,
}

impl Browser {
    /// A browser with what it is to follow: from the beginning, or from the projection.
    pub(crate) fn new(name: usize, principal: Principal, client: Client, orders: &[(OrderId, bool)]) -> Self {
        let seen = |from_the_beginning: bool| vec![Seen::new(from_the_beginning)];
        Self {
            name,
            principal,
            outbox: VecDeque::new(),
            orders: orders.iter().map(|(order_id, beginning)| (order_id.clone(), seen(*beginning))).collect(),
            lost: Vec::new(),
            client,
        }
    }

    /// Whether it wants a connection that nobody makes yet.
    pub(crate) fn wants_connection(&self) -> bool {
        match &self.client {
            Client::Rust(client) => client.wants_connection(),
            Client::Script(sockets) => !sockets.opening.is_empty(),
        }
    }

    /// Whether it says a subscribe again that failed; the shipped client does so by itself.
    pub(crate) fn asks_again(&self) -> bool {
        matches!(&self.client, Client::Rust(client) if client.asks_again)
    }

    /// A connection is being made for it.
    pub(crate) fn connecting(&mut self, connection_id: &str) {
        match &mut self.client {
            Client::Rust(client) => client.is_connecting = true,
            Client::Script(sockets) => {
                let socket = sockets.opening.pop_front().unwrap();
                sockets.connecting.insert(connection_id.to_owned(), socket);
            }
        }
    }

    /// One of its connections.
    pub(crate) fn connection(&self) -> Option<&String> {
        match &self.client {
            Client::Rust(client) => client.connection.as_ref(),
            Client::Script(sockets) => sockets.open.keys().next_back(),
        }
    }

    /// Whether it follows any order.
    pub(crate) fn follows(&self) -> bool {
        self.orders.values().filter_map(|seen| seen.last()).any(|seen| seen.is_followed)
    }

    /// Whether nothing is due from it or to it.
    pub(crate) fn is_settled(&self) -> bool {
        let is_client_settled = match &self.client {
            Client::Rust(client) => client.is_settled(),
            Client::Script(sockets) => sockets.opening.is_empty() && sockets.connecting.is_empty(),
        };
        let is_connected = self.connection().is_some() || !self.follows();
        is_client_settled && is_connected && self.outbox.is_empty() && self.lost.is_empty()
    }

    /// An order is no longer its own.
    pub(crate) fn lost(&mut self, order_id: OrderId, report: &mut Report) {
        report.orders_lost += 1;
        self.seen(&order_id).is_followed = false;
        self.lost.push(order_id);
    }

    /// What it is shown of an order at present.
    pub(crate) fn seen(&mut self, order_id: &OrderId) -> &mut Seen {
        self.orders.get_mut(order_id).expect("it follows the order").last_mut().unwrap()
    }
}
