//! One state of the model's world.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    browser::{Browser, Connection, Frame},
    handler::{Handler, Page, Task},
    rules::{Bounds, Rules},
    subscribe::Subscribe,
};

/// A row of `subscriptions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    /// Which write it is, where that can matter.
    pub(crate) id: u8,
    /// The version at which the order was answered as one without events.
    pub(crate) hidden_at: Option<u8>,
}

/// One state of the world of one order: its log, its projection, its change feed, its page queue, some browsers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// How much there is of everything; it never changes.
    pub(crate) bounds: Bounds,
    /// The versions of the log's events, in the order in which they were put: the change feed.
    pub(crate) feed: Vec<u8>,
    /// The stored projection's version.
    pub(crate) stored: u8,
    /// What is noted beside it: the highest version of an event that waits behind a gap, or 0.
    pub(crate) ahead: u8,
    /// The highest version that the stored projection ever had.
    pub(crate) stored_max: u8,
    /// How many records of the change feed are done with.
    pub(crate) done: u8,
    /// Rows of subscriptions, and how many were written.
    pub(crate) rows: BTreeMap<Connection, Row>,
    rows_written: u8,
    /// Messages of the page queue.
    pub(crate) pages: BTreeSet<Page>,
    /// The handler of the batch that is due, one of a batch that comes once more, and one of a message of the page queue.
    pub(crate) handlers: [Option<Handler>; 3],
    pub(crate) subscribes: Vec<Subscribe>,
    pub(crate) browsers: Vec<Browser>,
    connections: Connection,
    /// Connections of bad browsers, and how many pushes each of them refused.
    refused: BTreeMap<Connection, u8>,
    /// Whether a batch was reported because of connections that took no push.
    pub(crate) is_held: bool,
    /// What may still go wrong.
    pub(crate) budget: Bounds,
}

impl State {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let browsers = 1..=if bounds.are_subscribed { bounds.browsers } else { 0 };
        let subscribed: Vec<Browser> = browsers.clone().map(Browser::subscribed).collect();
        let unsubscribed = vec![Browser::new(); usize::from(bounds.browsers) - subscribed.len()];
        Self {
            bounds,
            feed: Vec::new(),
            stored: 0,
            ahead: 0,
            stored_max: 0,
            done: 0,
            rows: browsers.map(|connection| (connection, Row { id: 0, hidden_at: None })).collect(),
            rows_written: 0,
            pages: BTreeSet::new(),
            handlers: [None, None, None],
            subscribes: Vec::new(),
            connections: u8::try_from(subscribed.len()).unwrap(),
            refused: subscribed.iter().take(bounds.bad.into()).map(|bad| (bad.socket.unwrap(), 0)).collect(),
            browsers: [subscribed, unsubscribed].concat(),
            is_held: false,
            budget: bounds,
        }
    }

    /// The version up to which the log has every event.
    pub(crate) fn head(&self) -> u8 {
        self.folded_from(0, u8::MAX)
    }

    /// How far the log can be folded from a version on, at most up to another one.
    pub(crate) fn folded_from(&self, at: u8, to: u8) -> u8 {
        (at..to).find(|version| !self.feed.contains(&(version + 1))).unwrap_or(at.max(to))
    }

    /// The records of the change feed that are handed over: how many there are.
    pub(crate) fn records(&self) -> u8 {
        u8::try_from(self.feed.len()).unwrap()
    }

    pub(crate) fn is_open(&self, connection: Connection) -> bool {
        self.browsers.iter().any(|browser| browser.socket == Some(connection))
    }

    pub(crate) fn browser_of(&mut self, connection: Connection) -> Option<&mut Browser> {
        self.browsers.iter_mut().find(|browser| browser.socket == Some(connection))
    }

    /// Whether a connection is open and takes no push.
    pub(crate) fn is_bad(&self, connection: Connection) -> bool {
        self.refused.contains_key(&connection)
    }

    /// A bad connection refuses a push.
    pub(crate) fn refuse(&mut self, connection: Connection) {
        let refused = self.refused.get_mut(&connection).unwrap();
        *refused = refused.saturating_add(1);
    }

    /// The most pushes that an open connection refused.
    pub(crate) fn refused_max(&self) -> u8 {
        self.refused.values().copied().max().unwrap_or_default()
    }

    /// The id of the next row that is written; where no order is lost, all rows have the same.
    pub(crate) fn next_row(&mut self) -> u8 {
        self.rows_written += u8::from(self.bounds.foreign != 0);
        self.rows_written
    }

    /// Sends a frame to a connection that may be gone.
    pub(crate) fn send(&mut self, connection: Connection, frame: Frame) {
        if let Some(browser) = self.browser_of(connection) {
            browser.send(frame);
        }
    }

    pub(crate) fn connect(&mut self, browser: usize) {
        self.connections += 1;
        self.browsers[browser].socket = Some(self.connections);
        if browser < usize::from(self.bounds.bad) {
            self.refused.insert(self.connections, 0);
        }
    }

    /// API Gateway closes a connection: what is on its wire is lost, its row is left to the next push.
    pub(crate) fn close(&mut self, connection: Connection) {
        self.refused.remove(&connection);
        if let Some(browser) = self.browser_of(connection) {
            browser.disconnected();
        }
    }

    pub(crate) fn subscribe(&mut self, browser: usize, rules: Rules) {
        let browser = &mut self.browsers[browser];
        let since = browser.ask();
        let subscribe = Subscribe::new(browser.socket.unwrap(), since, rules);
        self.begin(subscribe);
    }

    pub(crate) fn begin(&mut self, subscribe: Subscribe) {
        self.subscribes.push(subscribe);
        self.subscribes.sort_unstable();
    }

    /// Whether nothing is under way but what has to do with bad connections.
    pub(crate) fn is_quiet(&self) -> bool {
        let is_bad = |page: &Page| page.left.iter().all(|connection| self.is_bad(*connection));
        let is_page_bad = |handler: &Handler| matches!(&handler.task, Task::Page(page) if is_bad(page));
        let is_fed = self.handlers[..2].iter().all(Option::is_none) && self.done == self.records();
        is_fed
            && self.handlers[2].as_ref().is_none_or(is_page_bad)
            && self.pages.iter().all(is_bad)
            && self.subscribes.iter().all(|subscribe| self.is_bad(subscribe.connection))
            && self.good_browsers().all(Browser::is_idle)
    }

    /// Whether each subscribed browser that takes pushes has every event, if it may see the order.
    pub(crate) fn is_complete(&self) -> bool {
        let subscribed = self.good_browsers().filter(|browser| browser.socket.is_some() && browser.wants);
        let mut versions = subscribed.map(|browser| (browser.version(), browser.follower.awaits_answer()));
        let head = self.head();
        let is_shown = self.bounds.is_shown(head) || head == 0;
        self.stored == head && (!is_shown || versions.all(|at| at == (Some(head), false)))
    }

    fn good_browsers(&self) -> impl Iterator<Item = &Browser> {
        self.browsers.iter().skip(self.bounds.bad.into())
    }
}
