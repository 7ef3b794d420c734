//! A browser, its socket, and what is on the way to it. It follows "What a client does" of the protocol, with the real
//! `protocol::Follower`.

use domain::{EventRef, OrderId, Redacted, Version};
use protocol::{Follower, SentEvent, Step, Update};

/// A number of a connection; none is used twice.
pub(crate) type Connection = u8;

/// What is on the way to a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Frame {
    /// Events from `first` to `last`, and the projection as of `last`; no events if `first` is above `last`.
    Update { first: u8, last: u8, reset: bool },
    /// The answer to an unsubscribe.
    Unsubscribed,
    /// The order has another owner, and the subscription has ended.
    Forbidden,
    /// API Gateway's word that a function failed.
    Failed,
}

/// One browser that looks at the order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Browser {
    /// The open connection.
    pub(crate) socket: Option<Connection>,
    /// What is on the way to it, in no order: frames may overtake each other.
    pub(crate) wire: Vec<Frame>,
    /// Whether it wants the order's updates.
    pub(crate) wants: bool,
    /// Whether something it said failed, and is to be said again.
    pub(crate) asks_again: bool,
    /// Whether an unsubscribe was said that is not answered.
    pub(crate) is_leaving: bool,
    pub(crate) follower: Follower,
    /// The version with which it started, and each that it showed after that.
    pub(crate) shown: Vec<u8>,
}

/// What a frame makes a browser say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Nothing,
    /// Subscribe again, from where it stands.
    Subscribe,
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self {
            socket: None,
            wire: Vec::new(),
            wants: true,
            asks_again: false,
            is_leaving: false,
            follower: Follower::default(),
            shown: Vec::new(),
        }
    }

    /// A browser that is subscribed to the order, which has no events yet.
    pub(crate) fn subscribed(connection: Connection) -> Self {
        Self { socket: Some(connection), follower: Follower::resuming(Version::NONE), shown: vec![0], ..Self::new() }
    }

    /// The version up to which it has every event, once it has started.
    pub(crate) fn version(&self) -> Option<u8> {
        self.follower.since().map(|since| u8::try_from(since.version.get()).unwrap())
    }

    /// It says subscribe: where it resumes.
    pub(crate) fn ask(&mut self) -> Option<u8> {
        self.asks_again = false;
        let wanted = self.follower.ask(&order_id());
        wanted.since.map(|since| u8::try_from(since.version.get()).unwrap())
    }

    pub(crate) fn disconnected(&mut self) {
        self.socket = None;
        self.wire.clear();
        self.asks_again = false;
        self.is_leaving = false;
        self.follower.disconnected();
    }

    /// Puts a frame on the way.
    pub(crate) fn send(&mut self, frame: Frame) {
        self.wire.push(frame);
        self.wire.sort_unstable();
    }

    /// Takes a frame off the wire.
    pub(crate) fn receive(&mut self, index: usize) -> Says {
        match self.wire.remove(index) {
            Frame::Update { first, last, reset } => self.accept(&update(first, last, reset)),
            Frame::Unsubscribed => {
                self.is_leaving = false;
                Says::Nothing
            }
            Frame::Forbidden => {
                // The page is told, and follows the order anew.
                self.follower = Follower::default();
                self.asks_again = false;
                self.shown.clear();
                if self.wants { Says::Subscribe } else { Says::Nothing }
            }
            Frame::Failed if self.is_leaving => {
                // Nobody knows whether the row is deleted, or yet will be: the next subscribe is on another connection.
                self.disconnected();
                Says::Nothing
            }
            Frame::Failed => {
                self.asks_again = self.wants;
                Says::Nothing
            }
        }
    }

    fn accept(&mut self, update: &Update) -> Says {
        if !self.wants {
            return Says::Nothing;
        }
        let last = u8::try_from(update.version.get()).unwrap();
        match self.follower.accept(update) {
            Step::Started => self.shown.push(last),
            Step::Advanced(events) => {
                self.shown.extend(events.iter().map(|event| u8::try_from(event.version.get()).unwrap()));
            }
            Step::Reset => self.shown = vec![last],
            Step::Refolded | Step::Duplicate | Step::Gap | Step::GapAwaited => {}
        }
        if self.follower.must_resume() { Says::Subscribe } else { Says::Nothing }
    }

    /// Whether nothing is due from it or to it.
    pub(crate) fn is_idle(&self) -> bool {
        self.wire.is_empty() && !self.asks_again
    }

    /// Whether it shows every version once and in order, from where it started.
    pub(crate) fn shows_a_run(&self) -> bool {
        self.shown.windows(2).all(|pair| pair[1] == pair[0] + 1)
    }
}

pub(crate) fn order_id() -> OrderId {
    OrderId::new("order").unwrap()
}

fn update(first: u8, last: u8, reset: bool) -> Update {
    let event = |version: u8| SentEvent {
        version: Version::new(version.into()),
        event_ref: EventRef::parse(&version.to_string()).unwrap(),
        ts_us: 0,
        data: Redacted::default(),
    };
    Update {
        order_id: order_id(),
        version: Version::new(last.into()),
        events: (first..=last).map(event).collect(),
        projection: Some(Redacted::default()),
        reset,
        refolded: false,
    }
}
