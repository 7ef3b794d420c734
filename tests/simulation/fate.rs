//! What happens to one call.
//!
//! Owns: the faults of a call, how likely each is, and its name in the report.
//! Must not know: what the call does.
//! Source: facts on AWS: throttling, 5xx, answers that are lost after the work was done, calls that hang.

use fastrand::Rng;

/// Which kinds of faults a seed has: each seed has others, so that no kind makes good what another one breaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kinds {
    /// Calls to DynamoDB and SQS.
    pub(crate) operations: bool,
    /// Calls to `@connections`.
    pub(crate) pushes: bool,
    /// Invocations are killed.
    pub(crate) kills: bool,
    /// Batches come again or too early.
    pub(crate) strays: bool,
    /// Browsers leave, and connections are lost.
    pub(crate) losses: bool,
    /// Connections are dead without a close.
    pub(crate) deaths: bool,
    /// Connections take no push for the rest of their lives.
    pub(crate) clogs: bool,
    /// `@connections` is out of order for a while.
    pub(crate) outages: bool,
    /// `$disconnect` is missed.
    pub(crate) misses: bool,
    /// Messages overtake each other.
    pub(crate) overtaking: bool,
    /// Orders get other owners, and come back.
    pub(crate) owners: bool,
    /// Tokens end while their connections are open.
    pub(crate) tokens: bool,
    /// Projections are large: updates of several orders travel in parts at the same time.
    pub(crate) large: bool,
    /// A producer that counts for itself puts events ahead of their predecessors.
    pub(crate) ahead: bool,
}

impl Kinds {
    /// No faults.
    pub(crate) const NONE: Self = Self {
        operations: false,
        pushes: false,
        kills: false,
        strays: false,
        losses: false,
        deaths: false,
        clogs: false,
        outages: false,
        misses: false,
        overtaking: false,
        owners: false,
        tokens: false,
        large: false,
        ahead: false,
    };

    pub(crate) fn draw(random: &mut Rng) -> Self {
        Self {
            operations: random.bool(),
            pushes: random.bool(),
            kills: random.bool(),
            strays: random.bool(),
            losses: random.bool(),
            deaths: random.bool(),
            clogs: random.bool(),
            outages: random.bool(),
            misses: random.bool(),
            overtaking: random.bool(),
            owners: random.bool(),
            tokens: random.bool(),
            large: random.u8(0..8) == 0,
            ahead: random.bool(),
        }
    }
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is served and answered.
    Served,
    /// It is refused because of throttling.
    Throttled,
    /// It is answered with a server error, and served all the same or not.
    Failed { served: bool },
    /// The connection breaks, after it was served or before.
    Broken { served: bool },
    /// It is never answered, after it was served or before.
    Hanging { served: bool },
    /// A post is accepted, and its connection lost before the message is through.
    Lost,
}

impl Fate {
    /// The fault's name, if it is one.
    pub(crate) fn fault(self) -> Option<&'static str> {
        match self {
            Self::Served => None,
            Self::Throttled => Some("call throttled"),
            Self::Failed { served: false } => Some("call failed"),
            Self::Failed { served: true } => Some("call failed though served"),
            Self::Broken { served: false } => Some("call broken off"),
            Self::Broken { served: true } => Some("call broken off though served"),
            Self::Hanging { served: false } => Some("call hanging"),
            Self::Hanging { served: true } => Some("call hanging though served"),
            Self::Lost => Some("push lost with its connection"),
        }
    }

    /// Draws the fate of a call to DynamoDB or SQS.
    pub(crate) fn of_operation(random: &mut Rng) -> Self {
        match random.u32(0..1_000) {
            0..15 => Self::Throttled,
            15..25 => Self::Failed { served: false },
            25..35 => Self::Failed { served: true },
            35..45 => Self::Broken { served: false },
            45..60 => Self::Broken { served: true },
            60..63 => Self::Hanging { served: false },
            63..66 => Self::Hanging { served: true },
            _ => Self::Served,
        }
    }

    /// Draws the fate of a call to `@connections`.
    pub(crate) fn of_push(random: &mut Rng) -> Self {
        match random.u32(0..1_000) {
            0..70 => Self::Throttled,
            70..100 => Self::Failed { served: false },
            100..130 => Self::Failed { served: true },
            130..140 => Self::Broken { served: false },
            140..150 => Self::Broken { served: true },
            150..155 => Self::Hanging { served: false },
            155..160 => Self::Hanging { served: true },
            160..190 => Self::Lost,
            _ => Self::Served,
        }
    }
}
