//! Faults: what goes wrong on AWS now and then, on purpose and again in the same way.
//!
//! Owns: the script's format, and deciding at each place whether a fault strikes.
//! Must not know: how a fault is carried out; each place does that itself.
//! Source: ours; `docs/faults.md` describes the script. The same seed and the same order of events give the same faults.

mod interception;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Deserialize;

pub(crate) use interception::{Interception, Upstream};

/// The faults of a stack. Clones share their counts.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<State>>);

/// A script that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// It is not of the script's format.
    #[error("it is no script of faults: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A rule lacks what its fault needs, or has what it cannot use.
    #[error("rule {number} ({fault}): {reason}")]
    Rule {
        /// The rule's place in the script, from 1.
        number: usize,
        /// Its fault.
        fault: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
}

#[derive(Debug, Default)]
struct State {
    random: fastrand::Rng,
    rules: Vec<Counted>,
}

/// A rule, how often its place was passed, and how often it struck.
#[derive(Debug)]
struct Counted {
    rule: Rule,
    passed: u64,
    struck: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    #[serde(default)]
    seed: u64,
    faults: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    fault: Kind,
    /// The `Handler` of the function that is meant; any function without it.
    function: Option<String>,
    /// The call before which a function is killed, such as `PutItem order_projections`.
    before: Option<String>,
    /// The call after which a function is killed, its answer never seen.
    after: Option<String>,
    /// A delay, in milliseconds.
    ms: Option<u64>,
    /// Whether a POST that fails reaches the browser all the same.
    #[serde(default)]
    delivered: bool,
    /// The first passing that counts, from 1.
    #[serde(default = "one")]
    from: u64,
    /// Every so many passings from there.
    #[serde(default = "one")]
    every: u64,
    /// How often the fault strikes at most.
    #[serde(default = "one")]
    times: u64,
    /// How likely it strikes then, from 0 to 1.
    chance: Option<f64>,
}

fn one() -> u64 {
    1
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Kill,
    DuplicateBatch,
    DelayBatch,
    ThrottlePost,
    FailPost,
    HangPost,
    LosePost,
    DelayPost,
    DeadConnection,
    MissDisconnect,
}

/// What happens to a POST to `@connections`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PostFault {
    /// It is answered 429 and not delivered.
    Throttle,
    /// It is answered 500.
    Fail { delivered: bool },
    /// It is never answered.
    Hang { delivered: bool },
    /// It is answered 200, and the connection is lost before the message is through.
    Lose,
    /// It is answered 200 and delivered later, behind what is posted meanwhile.
    Delay(Duration),
    /// The connection is dead from here on without a close: POSTs to it hang, and what its browser says is not heard.
    Dead,
}

/// On which side of a call a function is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::DuplicateBatch => "duplicate_batch",
            Self::DelayBatch => "delay_batch",
            Self::ThrottlePost => "throttle_post",
            Self::FailPost => "fail_post",
            Self::HangPost => "hang_post",
            Self::LosePost => "lose_post",
            Self::DelayPost => "delay_post",
            Self::DeadConnection => "dead_connection",
            Self::MissDisconnect => "miss_disconnect",
        }
    }
}

impl Rule {
    fn check(&self) -> Result<(), &'static str> {
        let takes_delay = matches!(self.fault, Kind::DelayBatch | Kind::DelayPost);
        let takes_function = matches!(self.fault, Kind::Kill | Kind::DuplicateBatch | Kind::DelayBatch);
        let takes_delivered = matches!(self.fault, Kind::FailPost | Kind::HangPost);
        let sides = usize::from(self.before.is_some()) + usize::from(self.after.is_some());
        if takes_delay != self.ms.is_some() {
            Err("a delay needs \"ms\", and nothing else takes it")
        } else if sides != usize::from(self.fault == Kind::Kill) {
            Err("a kill needs either \"before\" or \"after\", and nothing else takes them")
        } else if self.function.is_some() && !takes_function {
            Err("only a kill and the faults of batches take \"function\"")
        } else if self.delivered && !takes_delivered {
            Err("only fail_post and hang_post take \"delivered\"")
        } else if self.every == 0 || self.from == 0 {
            Err("\"from\" and \"every\" begin at 1")
        } else if self.chance.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
            Err("\"chance\" goes from 0 to 1")
        } else {
            Ok(())
        }
    }

    fn is_about(&self, function: &str) -> bool {
        self.function.as_deref().is_none_or(|about| about == function)
    }

    fn delay(&self) -> Duration {
        Duration::from_millis(self.ms.unwrap_or_default())
    }

    /// What it does to a POST, if that is what it is for.
    fn post(&self) -> Option<PostFault> {
        match self.fault {
            Kind::ThrottlePost => Some(PostFault::Throttle),
            Kind::FailPost => Some(PostFault::Fail { delivered: self.delivered }),
            Kind::HangPost => Some(PostFault::Hang { delivered: self.delivered }),
            Kind::LosePost => Some(PostFault::Lose),
            Kind::DelayPost => Some(PostFault::Delay(self.delay())),
            Kind::DeadConnection => Some(PostFault::Dead),
            Kind::Kill | Kind::DuplicateBatch | Kind::DelayBatch | Kind::MissDisconnect => None,
        }
    }
}

impl Counted {
    /// Counts a passing, and says whether the fault would strike there.
    fn passes(&mut self, random: &mut fastrand::Rng) -> bool {
        self.passed += 1;
        let Rule { from, every, times, chance, .. } = self.rule;
        let is_due = self.passed.checked_sub(from).is_some_and(|since| since.is_multiple_of(every));
        is_due && self.struck < times && chance.is_none_or(|chance| random.f64() < chance)
    }
}

impl Faults {
    /// Reads a script.
    ///
    /// # Errors
    /// [`ScriptError`] names the rule that is wrong.
    pub fn read(script: &str) -> Result<Self, ScriptError> {
        let Script { seed, faults } = serde_json::from_str(script)?;
        for (index, rule) in faults.iter().enumerate() {
            let wrong = |reason| ScriptError::Rule { number: index + 1, fault: rule.fault.name(), reason };
            rule.check().map_err(wrong)?;
        }
        let rules = faults.into_iter().map(|rule| Counted { rule, passed: 0, struck: 0 }).collect();
        Ok(Self(Arc::new(Mutex::new(State { random: fastrand::Rng::with_seed(seed), rules }))))
    }

    /// Counts a passing of the rules that mean something here; the first that strikes is what happens.
    fn pass<T>(&self, meaning: impl Fn(&Rule) -> Option<T>) -> Option<T> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { random, rules } = &mut *state;
        let mut strike = None;
        for counted in rules {
            let Some(meant) = meaning(&counted.rule) else { continue };
            if counted.passes(random) && strike.is_none() {
                counted.struck += 1;
                tracing::warn!(fault = counted.rule.fault.name(), passing = counted.passed, "a fault strikes");
                strike = Some(meant);
            }
        }
        strike
    }

    /// Whether a function's calls have to be watched.
    pub(crate) fn watches(&self, function: &str) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rules = state.rules.iter().map(|counted| &counted.rule);
        rules.any(|rule| rule.fault == Kind::Kill && rule.is_about(function))
    }

    /// A function makes a call: whether it is killed there.
    pub(crate) fn kills(&self, function: &str, side: Side, call: &str) -> bool {
        let is_meant = |named: &str| call == named || call.split(' ').next() == Some(named);
        let meaning = |rule: &Rule| {
            let named = match side {
                Side::Before => &rule.before,
                Side::After => &rule.after,
            };
            let is_here = rule.fault == Kind::Kill && rule.is_about(function);
            (is_here && named.as_deref().is_some_and(is_meant)).then_some(())
        };
        self.pass(meaning).is_some()
    }

    /// A batch is about to be tried: how long it is held up.
    pub(crate) fn delays_batch(&self, function: &str) -> Option<Duration> {
        self.pass(|rule| (rule.fault == Kind::DelayBatch && rule.is_about(function)).then(|| rule.delay()))
    }

    /// A batch is done: whether it comes again.
    pub(crate) fn duplicates_batch(&self, function: &str) -> bool {
        self.pass(|rule| (rule.fault == Kind::DuplicateBatch && rule.is_about(function)).then_some(())).is_some()
    }

    /// A POST to an open connection comes in: what happens to it.
    pub(crate) fn post(&self) -> Option<PostFault> {
        self.pass(Rule::post)
    }

    /// A connection has ended: whether `$disconnect` never comes.
    pub(crate) fn misses_disconnect(&self) -> bool {
        self.pass(|rule| (rule.fault == Kind::MissDisconnect).then_some(())).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(script: &str, passings: usize) -> Vec<usize> {
        let faults = Faults::read(script).unwrap();
        (1..=passings).filter(|_| faults.post().is_some()).collect()
    }

    #[test]
    fn a_rule_strikes_where_it_says() {
        assert_eq!(struck(r#"{"faults":[{"fault":"throttle_post"}]}"#, 9), [1]);
        assert_eq!(struck(r#"{"faults":[{"fault":"throttle_post","from":3,"every":2,"times":3}]}"#, 99), [3, 5, 7]);
        let two = r#"{"faults":[{"fault":"lose_post"},{"fault":"fail_post","delivered":true}]}"#;
        let faults = Faults::read(two).unwrap();
        assert_eq!(faults.post(), Some(PostFault::Lose));
        assert_eq!(faults.post(), Some(PostFault::Fail { delivered: true }), "one fault at a time");
        assert_eq!(faults.post(), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let script =
            |seed| format!(r#"{{"seed":{seed},"faults":[{{"fault":"hang_post","every":1,"times":99,"chance":0.3}}]}}"#);
        assert_eq!(struck(&script(1), 99), struck(&script(1), 99));
        assert_ne!(struck(&script(1), 99), struck(&script(2), 99));
    }

    #[test]
    fn a_kill_is_at_one_call_of_one_function() {
        let script = r#"{"faults":[{"fault":"kill","function":"f","after":"PutItem t","times":9}]}"#;
        let faults = Faults::read(script).unwrap();
        assert!(faults.watches("f") && !faults.watches("g"));
        assert!(!faults.kills("g", Side::After, "PutItem t"));
        assert!(!faults.kills("f", Side::Before, "PutItem t"));
        assert!(!faults.kills("f", Side::After, "PutItem u"));
        assert!(faults.kills("f", Side::After, "PutItem t"));
        let any_table = Faults::read(r#"{"faults":[{"fault":"kill","before":"PutItem"}]}"#).unwrap();
        assert!(any_table.kills("g", Side::Before, "PutItem u"));
    }

    #[test]
    fn a_wrong_rule_is_named() {
        let wrong = |rule: &str| Faults::read(&format!(r#"{{"faults":[{{"fault":"miss_disconnect"}},{rule}]}}"#));
        let reasons = [
            (
                r#"{"fault":"kill"}"#,
                "rule 2 (kill): a kill needs either \"before\" or \"after\", and nothing else takes them",
            ),
            (r#"{"fault":"delay_post"}"#, "rule 2 (delay_post): a delay needs \"ms\", and nothing else takes it"),
            (r#"{"fault":"lose_post","every":0}"#, "rule 2 (lose_post): \"from\" and \"every\" begin at 1"),
            (r#"{"fault":"lose_post","chance":2}"#, "rule 2 (lose_post): \"chance\" goes from 0 to 1"),
            (
                r#"{"fault":"lose_post","function":"f"}"#,
                "rule 2 (lose_post): only a kill and the faults of batches take \"function\"",
            ),
        ];
        for (rule, reason) in reasons {
            assert_eq!(wrong(rule).unwrap_err().to_string(), reason);
        }
        assert!(wrong(r#"{"fault":"explode"}"#).unwrap_err().to_string().contains("unknown variant `explode`"));
        assert!(wrong(r#"{"fault":"kill","befor":"x"}"#).unwrap_err().to_string().contains("unknown field `befor`"));
    }
}
