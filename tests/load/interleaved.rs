//! Comparing several sides in one run.
//!
//! Owns: that the sides take turns, round by round, and what is said of the rounds.
//! Must not know: what is measured.
//! Source: a machine's speed changes while it measures; what changes both sides of a round leaves their ratio.

use serde_json::{Value, json};

/// What one side measured, a number a round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds(Vec<f64>);

/// A ratio of two sides, round by round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    low: f64,
    high: f64,
}

impl Rounds {
    pub(crate) fn push(&mut self, measured: f64) {
        self.0.push(measured);
    }

    pub(crate) fn median(&self) -> f64 {
        quantile(&self.0, 0.5)
    }

    /// This side over another, each round by itself.
    pub(crate) fn over(&self, other: &Self) -> Ratio {
        let ratios: Vec<f64> = self.0.iter().zip(&other.0).map(|(one, other)| one / other).collect();
        Ratio { median: quantile(&ratios, 0.5), low: quantile(&ratios, 0.0), high: quantile(&ratios, 1.0) }
    }
}

impl Ratio {
    pub(crate) fn text(&self) -> String {
        let digits = if self.median < 20.0 { 2 } else { 0 };
        format!("{:.digits$} ({:.digits$} to {:.digits$})", self.median, self.low, self.high)
    }

    pub(crate) fn json(&self) -> Value {
        json!({"median": self.median, "lowest": self.low, "highest": self.high})
    }
}

/// The value below which this share of all lies.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// Lets every side measure once a round, in turn.
pub(crate) fn rounds<S>(rounds: usize, sides: &mut [S], mut measure: impl FnMut(&mut S) -> f64) -> Vec<Rounds> {
    let mut measured = vec![Rounds::default(); sides.len()];
    for _ in 0..rounds {
        for (side, measured) in sides.iter_mut().zip(&mut measured) {
            measured.push(measure(side));
        }
    }
    measured
}
