//! From a folded projection to its subscribers, all of them or a page.
//!
//! Owns: what is pushed together, what a page that is handed over says, and that each outcome leads to what rule 4 says.
//! Must not know: the change feed, folding, how a browser subscribed, how a page travels.
//! Source: rules 3 and 4 of the guarantee; `docs/decisions/0009-many-subscribers-are-reached-in-pages.md`.

mod deliver;
mod folded;
mod handover;

use std::sync::Arc;

use domain::Redaction;
use push::Push;
use store::{SdkConfig, Store};
use telemetry::trace::Daemon;

pub use deliver::DeliveryError;
pub use folded::{Folded, OwnerBefore, ReadFoldedError};
pub use handover::{Handover, UnreadableHandover};

/// What reaching an order's subscribers takes.
#[derive(Clone, Debug)]
pub struct Delivery {
    store: Store,
    push: Push,
    redaction: Redaction,
    /// In whose name an update's trace is told.
    function: &'static str,
    daemon: Arc<Daemon>,
}

impl Delivery {
    /// Reads the environment, but for what `sdk` has; `function` is who delivers.
    ///
    /// # Errors
    /// The variable that is missing or wrong.
    pub fn with_sdk(
        function: &'static str,
        sdk: &SdkConfig,
        var: &impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            store: Store::from_vars(sdk, var)?,
            push: Push::from_vars(sdk, var)?,
            redaction: Redaction::from_vars(var),
            function,
            daemon: Arc::new(Daemon::from_vars(var)),
        })
    }

    /// The tables.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }
}
