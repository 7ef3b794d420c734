//! A subscribe function's invocation, step by step.
//!
//! Owns: which step follows which: rule 2.
//! Must not know: the event handler.
//! Source: `functions/subscribe/src/order.rs`.

use crate::{
    browser::{Connection, Frame},
    system::{Rules, State},
};

/// An invocation for a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Subscribe {
    pub(crate) connection: Connection,
    /// Where the browser resumes.
    pub(crate) since: Option<u8>,
    pub(crate) next: Next,
}

/// The step that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Next {
    /// Write the subscription's row; the projection may have been read before, which rule 2 forbids.
    Row { read: Option<u8> },
    /// Read the projection.
    Projection,
    /// Answer with the projection as of `version`, and the events before it.
    Answer { version: u8 },
    /// Delete the row: an unsubscribe.
    Delete,
    /// Say that it is deleted.
    Unsubscribed,
}

impl Subscribe {
    pub(crate) fn new(connection: Connection, since: Option<u8>, rules: Rules) -> Self {
        let next = if rules.row_before_projection { Next::Row { read: None } } else { Next::Projection };
        Self { connection, since, next }
    }

    /// Takes the next step; the answer is whether it was the last one.
    pub(crate) fn step(&mut self, state: &mut State, rules: Rules) -> bool {
        match self.next {
            Next::Row { read } => {
                state.rows.insert(self.connection);
                self.next = read.map_or(Next::Projection, |version| Next::Answer { version });
            }
            Next::Projection => {
                let version = state.stored;
                self.next = if rules.row_before_projection {
                    Next::Answer { version }
                } else {
                    Next::Row { read: Some(version) }
                };
            }
            Next::Answer { version } => {
                let first = self.since.map_or(version, |since| since) + 1;
                state.send(self.connection, Frame::Update { first, last: version });
                return true;
            }
            Next::Delete => {
                state.rows.remove(&self.connection);
                self.next = Next::Unsubscribed;
            }
            Next::Unsubscribed => {
                state.send(self.connection, Frame::Unsubscribed);
                return true;
            }
        }
        false
    }
}
