//! What can be switched off in the model, and how much there is of everything in it.

/// The rules of the guarantee, each of which can be switched off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// 1: the projection is written before the subscribers are read.
    pub(crate) persist_before_push: bool,
    /// 2: a subscription's row is written before the projection is read.
    pub(crate) row_before_projection: bool,
    /// 3: a redelivered event that is folded already is still pushed.
    pub(crate) push_what_is_folded: bool,
    /// 4: a push that fails is settled.
    pub(crate) settle_failed_pushes: bool,
    /// Whoever is left is pushed to by messages of the page queue; else the batch is reported and comes again.
    pub(crate) retry_apart: bool,
    /// A message of the page queue names who is left, until nobody is.
    pub(crate) retry_left: bool,
    /// A bad connection is closed.
    pub(crate) close_bad: bool,
    /// Whoever lost an order has the row deleted that was read, and no row that was written since.
    pub(crate) delete_row_that_was_read: bool,
    /// Whoever lost an order is told, and then the row is deleted; else the other way round.
    pub(crate) tell_before_delete: bool,
    /// Whoever was answered that the order has no events is not told that it is lost.
    pub(crate) remember_hidden: bool,
    /// Whoever meets an event behind a gap notes it beside the projection, and whoever folds the missing event goes on.
    pub(crate) note_gaps: bool,
    /// The projection is written over exactly what was read, the note included.
    pub(crate) write_over_what_was_read: bool,
}

impl Rules {
    pub(crate) const ALL: Self = Self {
        persist_before_push: true,
        row_before_projection: true,
        push_what_is_folded: true,
        settle_failed_pushes: true,
        retry_apart: true,
        retry_left: true,
        close_bad: true,
        delete_row_that_was_read: true,
        tell_before_delete: true,
        remember_hidden: true,
        note_gaps: true,
        write_over_what_was_read: true,
    };
}

/// How much there is of everything: what makes the states countable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bounds {
    pub(crate) events: u8,
    pub(crate) browsers: u8,
    /// The first of the browsers take no push, on any connection, as long as the world lasts.
    pub(crate) bad: u8,
    /// Versions at which the order is somebody else's than the browsers', one bit each; none if nobody owns it.
    pub(crate) foreign: u8,
    /// Whether the browsers are subscribed when the world begins.
    pub(crate) are_subscribed: bool,
    /// Functions that are killed.
    pub(crate) crashes: u8,
    /// Pushes and closes that fail.
    pub(crate) pushes_failed: u8,
    /// Sockets that are lost.
    pub(crate) disconnects: u8,
    /// Batches that are delivered once more, while another handler works.
    pub(crate) strays: u8,
    /// Browsers that unsubscribe, and may subscribe again.
    pub(crate) unsubscribes: u8,
    /// Events that are put ahead of their predecessors.
    pub(crate) ahead: u8,
}

impl Bounds {
    /// One event, one browser, and nothing that goes wrong.
    pub(crate) const CALM: Self = Self {
        events: 1,
        browsers: 1,
        bad: 0,
        foreign: 0,
        are_subscribed: false,
        crashes: 0,
        pushes_failed: 0,
        disconnects: 0,
        strays: 0,
        unsubscribes: 0,
        ahead: 0,
    };
    pub(crate) const ONE_BROWSER: Self = Self { events: 2, crashes: 1, ..Self::CALM };
    pub(crate) const TWO_BROWSERS: Self = Self { events: 1, browsers: 2, ..Self::ONE_BROWSER };
    /// The order is somebody else's with its second event, and comes back with the third.
    pub(crate) const LOST_AND_FOUND: Self = Self { events: 3, foreign: 0b100, are_subscribed: true, ..Self::CALM };
    /// More browsers than may be closed at once.
    pub(crate) const FOUR_BROWSERS: Self = Self { browsers: 4, are_subscribed: true, ..Self::CALM };

    /// Whether the browsers may see the order as of a version.
    pub(crate) fn is_shown(&self, version: u8) -> bool {
        self.foreign == 0 || version > 0 && self.foreign & (1 << version) == 0
    }

    /// Whose order it is as of a version.
    pub(crate) fn owner(&self, version: u8) -> Option<&'static str> {
        match (version, self.is_shown(version)) {
            (0, _) => None,
            (_, true) => Some(US),
            (_, false) => Some("somebody else"),
        }
    }
}

/// The principal of the browsers.
pub(crate) const US: &str = "us";
