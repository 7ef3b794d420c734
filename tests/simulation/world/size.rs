//! How much there is of everything in a world.

use std::ops::RangeInclusive;

/// The bounds from which a seed draws, and the steps that it may take.
#[derive(Clone, Debug)]
pub(crate) struct Size {
    pub(crate) orders: RangeInclusive<usize>,
    pub(crate) browsers: RangeInclusive<usize>,
    pub(crate) events: RangeInclusive<u64>,
    /// Whether most browsers follow a few of the orders.
    pub(crate) few_followed: bool,
    /// Steps in which things go wrong, at least; and after which everything has to be settled, at most.
    pub(crate) faulty_steps: u64,
    pub(crate) steps_max: u64,
}

impl Size {
    pub(crate) const SMALL: Self = Self {
        orders: 1..=10,
        browsers: 1..=6,
        events: 6..=24,
        few_followed: false,
        faulty_steps: 400,
        steps_max: 20_000,
    };
    pub(crate) const LARGE: Self = Self {
        orders: 60..=100,
        browsers: 30..=50,
        events: 60..=120,
        few_followed: true,
        faulty_steps: 2_000,
        steps_max: 100_000,
    };
}
