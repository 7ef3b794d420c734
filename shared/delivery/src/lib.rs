//! From a folded projection to its subscribers, all of them or a page.
//!
//! [`Delivery::deliver`] is where every push of an update goes through. Where the update comes from and how a browser
//! subscribed is not known here.

mod broken;
mod deliver;
mod folded;

use std::sync::Arc;

use domain::Redaction;
use push::Push;
use queues::PageQueue;
use store::{SdkConfig, Store};
use telemetry::trace::Daemon;

pub use deliver::DeliveryError;
pub use folded::{Correction, Folded, ReadFoldedError};
pub use queues::OwnerBefore;

/// What reaching an order's subscribers takes.
#[derive(Clone, Debug)]
pub struct Delivery {
    store: Store,
    push: Push,
    redaction: Redaction,
    /// Where subscribers go who could not be reached; absent for a command, which says so instead.
    pages: Option<PageQueue>,
    /// In whose name an update's trace is told.
    function: &'static str,
    daemon: Arc<Daemon>,
}

impl Delivery {
    /// Reads the environment, except for what `sdk` has; `function` names who delivers.
    ///
    /// # Errors
    /// The variable that is missing or malformed.
    pub fn with_sdk(
        function: &'static str,
        pages: Option<PageQueue>,
        sdk: &SdkConfig,
        var: &impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            store: Store::from_vars(sdk, var)?,
            push: Push::from_vars(sdk, var)?,
            redaction: Redaction::from_vars(var),
            pages,
            function,
            daemon: Arc::new(Daemon::from_vars(var)),
        })
    }

    /// The tables.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The page queue, for whoever has one.
    #[must_use]
    pub fn pages(&self) -> Option<&PageQueue> {
        self.pages.as_ref()
    }
}
