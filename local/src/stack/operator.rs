//! What an operator sees of a running stack.
//!
//! Owns: nothing; it looks at the parts.
//! Must not know: who looks, how it is shown.
//! Source: docs/console.md.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    lambda::{Functions, Invocation},
    queue::{Message, Queues},
    websocket_api::{Connections, OpenConnection},
};

/// What an operator sees of a running stack.
#[derive(Clone)]
pub struct Watch {
    pub(super) connections: Connections,
    pub(super) functions: Arc<Functions>,
    pub(super) queues: Arc<Queues>,
}

impl Watch {
    /// The open connections, the oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<OpenConnection> {
        self.connections.list()
    }

    /// The last invocations that have ended, the newest first.
    #[must_use]
    pub fn invocations(&self) -> Vec<Invocation> {
        self.functions.ended()
    }

    /// The messages of each queue, the oldest first.
    #[must_use]
    pub fn queues(&self) -> BTreeMap<String, Vec<Message>> {
        let messages = |name: &str| (name.to_owned(), self.queues.messages(name).unwrap_or_default());
        self.queues.names().map(messages).collect()
    }
}
