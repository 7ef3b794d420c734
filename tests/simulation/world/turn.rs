//! What can happen next, and how likely each is.
//!
//! Calls are answered often, so that the functions get on; what goes wrong is rare, and never alone.

use super::{
    World,
    queues::{DEFERRED, PAGES},
};
use crate::browser::Browser;

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Answer,
    Carry,
    Append,
    Deliver,
    Stray,
    Page,
    Deferred,
    Connect,
    Speak,
    AskAgain,
    Decide,
    Leave,
    Kill,
    Die,
    Clog,
    Outage,
    Expire,
    Spoil,
    Ahead,
    Fill,
    Notice,
    Wait,
}

impl World {
    /// What can happen, each with its weight.
    pub(super) fn turns(&self) -> Vec<(u32, Turn)> {
        let kinds = self.kinds;
        let is_on = |weight: u32, possible: bool| if possible { weight } else { 0 };
        let connected = || self.browsers.iter().any(|browser| browser.connection().is_some());
        vec![
            (is_on(600, !self.waiting.is_empty()), Turn::Answer),
            (is_on(300, self.sockets.values().any(|socket| !socket.is_dead && !socket.wire.is_empty())), Turn::Carry),
            (is_on(50, !self.due_without_gaps().is_empty()), Turn::Append),
            (is_on(200, self.batch.is_none() && self.feed.records.len() > self.done), Turn::Deliver),
            (is_on(200, self.queues.has_due(PAGES)), Turn::Page),
            (is_on(200, self.queues.has_due(DEFERRED)), Turn::Deferred),
            (is_on(10, kinds.strays && !self.feed.records.is_empty()), Turn::Stray),
            (is_on(100, self.browsers.iter().any(Browser::wants_connection)), Turn::Connect),
            (is_on(200, self.browsers.iter().any(|browser| !browser.outbox.is_empty())), Turn::Speak),
            (is_on(50, self.browsers.iter().any(Browser::asks_again)), Turn::AskAgain),
            (is_on(50, self.browsers.iter().any(|browser| !browser.lost.is_empty())), Turn::Decide),
            (is_on(12, kinds.losses && connected()), Turn::Leave),
            (is_on(12, kinds.kills && !self.actors.is_empty()), Turn::Kill),
            (is_on(2, kinds.deaths && connected()), Turn::Die),
            (is_on(4, kinds.clogs && connected()), Turn::Clog),
            (is_on(4, kinds.outages), Turn::Outage),
            (is_on(6, kinds.tokens && connected()), Turn::Expire),
            (is_on(2, self.has_log_to_spoil()), Turn::Spoil),
            (is_on(25, self.kinds.ahead && self.pair_of_due().is_some()), Turn::Ahead),
            (is_on(8, !self.gaps.is_empty()), Turn::Fill),
            (is_on(10, !self.dead().is_empty()), Turn::Notice),
            (10, Turn::Wait),
        ]
    }
}
