//! A subscribe function's invocation, step by step: rule 2, as in `functions/subscribe/src/order.rs`.

use crate::{
    browser::{Connection, Frame},
    rules::Rules,
    state::{Row, State},
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
    /// Read the projection, after this row was written.
    Projection { row: u8 },
    /// Write into the row that the order is answered as one without events, as of `version`.
    Hide { row: u8, version: u8 },
    /// Answer with the projection as of `version`, and the events before it.
    Answer { version: u8 },
    /// Delete the row: an unsubscribe.
    Delete,
    /// Say that it is deleted.
    Unsubscribed,
}

impl Subscribe {
    pub(crate) fn new(connection: Connection, since: Option<u8>, rules: Rules) -> Self {
        let next = if rules.row_before_projection { Next::Row { read: None } } else { Next::Projection { row: 0 } };
        Self { connection, since, next }
    }

    /// Takes the next step; the answer is whether it was the last one.
    pub(crate) fn step(&mut self, state: &mut State, rules: Rules) -> bool {
        match self.next {
            Next::Row { read } => {
                let id = state.next_row();
                state.rows.insert(self.connection, Row { id, hidden_at: None });
                self.next = read.map_or(Next::Projection { row: id }, |version| Next::Answer { version });
            }
            Next::Projection { row } => {
                let version = state.stored;
                self.next = match (rules.row_before_projection, state.bounds.is_shown(version) || version == 0) {
                    (false, _) => Next::Row { read: Some(version) },
                    (true, true) => Next::Answer { version },
                    (true, false) if rules.remember_hidden => Next::Hide { row, version },
                    (true, false) => Next::Answer { version: 0 },
                };
            }
            Next::Hide { row, version } => {
                let written = state.rows.get_mut(&self.connection).filter(|written| written.id == row);
                if let Some(written) = written {
                    written.hidden_at = Some(version);
                }
                self.next = Next::Answer { version: 0 };
            }
            Next::Answer { version } => {
                let reset = self.since.is_some_and(|since| since > version);
                let since = self.since.filter(|_| !reset).unwrap_or(version);
                state.send(self.connection, Frame::Update { first: since + 1, last: version, reset });
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
