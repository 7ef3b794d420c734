//! Which of AWS's quotas a load reaches.
//!
//! Owns: the quotas, and what a load takes of each.
//! Must not know: prices.
//! Source: docs/cost.md names each; all but the partition's can be raised or grow by themselves.

use domain::limits;
use serde_json::{Value, json};

use super::{
    event::{PUSHING_MB, bound},
    load::{LIFE_MINUTES, Load},
};

/// One quota, and what is taken of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) name: &'static str,
    pub(super) limit: u64,
    pub(super) load: u64,
}

impl Quota {
    /// Whether the load is more than the quota.
    pub(super) fn binds(&self) -> bool {
        self.load > self.limit
    }

    pub(super) fn json(&self) -> Value {
        json!({"quota": self.name, "limit": self.limit, "load": self.load, "binds": self.binds()})
    }
}

impl Load {
    /// Every quota; loads are rounded up.
    pub(super) fn quotas(&self) -> Vec<Quota> {
        let quota = |name, limit, load| Quota { name, limit, load };
        let event = self.event;
        let a_second = |a_minute: u64| a_minute.div_ceil(60);
        let (bill, append) = (event.bill(), event.append());
        let connects = self.connections.div_ceil(LIFE_MINUTES * 60);
        // A connection's life has a connect, a subscribe and the push of its answer.
        let pings = self.connections.div_ceil(self.ping_seconds);
        let heads = self.connections.div_ceil(self.heads_every_seconds());
        let requests = connects * 3 + pings + heads + a_second(self.events_per_minute * bill.pushes);
        let busy_ms = bill.lambda_mb_ms / PUSHING_MB;
        let shard_ms = a_second(self.events_per_minute * event.handler_ms());
        vec![
            quota("new connections a second", 500, connects),
            quota("requests a second of API Gateway", 10_000, requests),
            quota("concurrent Lambda executions", 1_000, (a_second(self.events_per_minute * busy_ms)).div_ceil(1_000)),
            quota(
                "read units a second of a table",
                40_000,
                a_second(self.events_per_minute * event.subscription_units()),
            ),
            quota("write units a second of a table", 40_000, a_second(self.events_per_minute * append.write_units)),
            quota("read units of one order's subscriptions in a second", 3_000, event.subscription_units()),
            quota(
                "milliseconds a second of one shard's batches",
                1_000,
                shard_ms.div_ceil(bound(limits::FOLDS_IN_FLIGHT_MAX)),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::{super::event::Event, *};

    fn binding(connections: u64, events_per_minute: u64, subscribers: u64) -> Vec<&'static str> {
        let event = Event { subscribers, event_bytes: 1_000, projection_bytes: 1_000, message_bytes: 2_000 };
        let load = Load { connections, events_per_minute, ping_seconds: 60, heads_seconds: 180, event };
        load.quotas().into_iter().filter(Quota::binds).map(|quota| quota.name).collect()
    }

    #[test]
    fn each_quota_binds_where_its_limit_is_passed() {
        assert!(binding(100_000, 60, 2).is_empty());
        assert_eq!(binding(3_600_001, 0, 1), ["new connections a second", "requests a second of API Gateway"]);
        assert_eq!(
            binding(1_000, 600_001, 1),
            ["requests a second of API Gateway", "milliseconds a second of one shard's batches"]
        );
        assert_eq!(binding(1_000, 1, 100_000), ["read units of one order's subscriptions in a second"]);
    }
}
