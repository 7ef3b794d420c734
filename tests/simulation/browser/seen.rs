//! What a browser was shown of an order.

use domain::Json;

use crate::report::Report;

/// What was shown from the time on that it began to follow the order.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) is_followed: bool,
    /// The version with which it started: 0 if it follows from the beginning, or could not see the order.
    pub(crate) started_at: u64,
    has_started: bool,
    /// Each version that it was shown after that.
    pub(crate) versions: Vec<u64>,
    /// Each projection that it was shown, over all starts.
    pub(crate) views: Vec<View>,
}

/// A projection that was shown.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) version: u64,
    pub(crate) projection: Json,
    /// Whether it was sent so, and not folded by the client on the way through a long resume.
    pub(crate) is_sent: bool,
}

impl Seen {
    pub(crate) fn new(from_the_beginning: bool) -> Self {
        Self {
            is_followed: true,
            started_at: 0,
            has_started: from_the_beginning,
            versions: Vec::new(),
            views: Vec::new(),
        }
    }

    /// The version up to which it was shown everything.
    pub(crate) fn version(&self) -> u64 {
        self.versions.last().copied().unwrap_or(self.started_at)
    }

    /// It is shown an update: events, none if it starts with the projection, and the projection with
    /// whether it was sent.
    pub(crate) fn show(
        &mut self,
        version: u64,
        versions: &[u64],
        is_reset: bool,
        view: Option<(Json, bool)>,
        report: &mut Report,
    ) {
        if is_reset || !self.has_started {
            assert!(versions.is_empty(), "a start has no events: {versions:?}");
            report.resets += u64::from(is_reset);
            self.has_started = true;
            self.started_at = version;
            self.versions.clear();
        }
        report.deliveries += u64::try_from(versions.len()).unwrap();
        self.versions.extend(versions);
        assert_eq!(self.version(), version, "the last event has the update's version");
        self.views.extend(view.map(|(projection, is_sent)| View { version, projection, is_sent }));
    }
}
