//! Throttling: how many requests a route, a stage and an account take.
//!
//! Owns: token buckets, and which of them a request draws on.
//! Must not know: what a refusal looks like.
//! Source: developer guide, "Throttle requests": a bucket is filled at a rate and holds a burst; quotas of an account.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

use super::Limits;

/// A rate of requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Requests a second in the long run.
    pub per_second: f64,
    /// Requests at once.
    pub burst: f64,
}

/// The throttling of a stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Throttling {
    /// Of each route that has none of its own.
    pub default_route: Option<Rate>,
    /// Of single routes, by their keys.
    pub routes: BTreeMap<String, Rate>,
}

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    /// Tokens, and when they were counted.
    state: Mutex<(f64, Instant)>,
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        Self { rate, state: Mutex::new((rate.burst, Instant::now())) }
    }

    fn take(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, counted_at) = *state;
        let now = Instant::now();
        let filled = (now - counted_at).as_secs_f64().mul_add(self.rate.per_second, tokens).min(self.rate.burst);
        let is_taken = filled >= 1.0;
        *state = (if is_taken { filled - 1.0 } else { filled }, now);
        is_taken
    }
}

/// The buckets of one stage and of the account that it is in.
#[derive(Debug)]
pub(super) struct Throttles {
    connections: Bucket,
    requests: Bucket,
    routes: BTreeMap<String, Bucket>,
}

impl Throttles {
    pub(super) fn new<'a>(
        limits: &Limits,
        throttling: &Throttling,
        route_keys: impl Iterator<Item = &'a String>,
    ) -> Self {
        let rate_of = |key: &String| throttling.routes.get(key).copied().or(throttling.default_route);
        Self {
            connections: Bucket::new(Rate {
                per_second: limits.connections_per_second_max.into(),
                burst: limits.connections_burst_max.into(),
            }),
            requests: Bucket::new(Rate {
                per_second: limits.requests_per_second_max.into(),
                burst: limits.requests_burst_max.into(),
            }),
            routes: route_keys.filter_map(|key| Some((key.clone(), Bucket::new(rate_of(key)?)))).collect(),
        }
    }

    /// Whether a browser may connect.
    pub(super) fn take_connection(&self) -> bool {
        self.connections.take() && self.take_route("$connect")
    }

    /// Whether a message may go to the route with this key.
    pub(super) fn take_message(&self, route_key: &str) -> bool {
        self.requests.take() && self.take_route(route_key)
    }

    /// Whether `@connections` may be called.
    pub(super) fn take_callback(&self) -> bool {
        self.requests.take()
    }

    fn take_route(&self, route_key: &str) -> bool {
        self.routes.get(route_key).is_none_or(Bucket::take)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    fn rate(per_second: f64, burst: f64) -> Rate {
        Rate { per_second, burst }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_gives_its_burst_at_once_and_its_rate_after_that() {
        let bucket = Bucket::new(rate(2.0, 3.0));
        let taken = |bucket: &Bucket| (0..10).filter(|_| bucket.take()).count();
        assert_eq!(taken(&bucket), 3);
        advance(Duration::from_secs(1)).await;
        assert_eq!(taken(&bucket), 2);
        advance(Duration::from_secs(3_600)).await;
        assert_eq!(taken(&bucket), 3, "it holds no more than a burst");
    }

    #[tokio::test(start_paused = true)]
    async fn a_route_has_a_bucket_for_itself() {
        let throttling = Throttling {
            default_route: Some(rate(1.0, 1.0)),
            routes: BTreeMap::from([("b".to_owned(), rate(0.0, 0.0))]),
        };
        let keys = ["a", "b", "c"].map(str::to_owned);
        let throttles = Throttles::new(&Limits::default(), &throttling, keys.iter());
        let taken = ["a", "b", "c", "a"].map(|key| throttles.take_message(key));
        assert_eq!(taken, [true, false, true, false]);
        assert!(throttles.take_callback() && throttles.take_connection());
    }
}
