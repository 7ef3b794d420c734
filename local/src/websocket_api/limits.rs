//! The numbers of the WebSocket API, each a setting that a test can lower.
//!
//! Owns: every bound and every behaviour that AWS does not document, with AWS's likeliest one as its default.
//! Must not know: who keeps to them.
//! Source: API Gateway quotas for WebSocket APIs; the others are ours and say so.

use std::time::Duration;

use serde::Deserialize;

/// Bounds and open questions of a WebSocket API. In JSON every field may be absent, and a duration is in milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest frame from a browser, in bytes: 32 KB.
    pub frame_bytes_max: usize,
    /// Largest message from a browser, in bytes: 128 KB.
    pub message_bytes_max: usize,
    /// Largest body of a POST to `@connections`, in bytes: 128 KB.
    pub post_bytes_max: usize,
    /// Longest time without a message in either direction: 10 minutes.
    #[serde(rename = "idle_max_ms", deserialize_with = "milliseconds")]
    pub idle_max: Duration,
    /// Longest life of a connection: 2 hours.
    #[serde(rename = "life_max_ms", deserialize_with = "milliseconds")]
    pub life_max: Duration,
    /// Longest wait for an integration: 29 seconds.
    #[serde(rename = "integration_time_out_ms", deserialize_with = "milliseconds")]
    pub integration_time_out: Duration,
    /// Largest reply of an authorizer, in bytes: 8 KB.
    pub authorizer_bytes_max: usize,
    /// Longest request target, in bytes: 4,096.
    pub url_bytes_max: usize,
    /// Largest headers of a request, all values together, in bytes: 10,240, as for REST APIs.
    pub header_bytes_max: usize,
    /// Largest request head that is read at all, in bytes. Ours: it bounds the memory of a connection that has said nothing.
    pub request_head_bytes_max: usize,
    /// Longest wait for a request's head. Ours: a peer that dribbles its headers holds a socket and nothing more.
    #[serde(rename = "header_time_out_ms", deserialize_with = "milliseconds")]
    pub header_time_out: Duration,
    /// Connections that are opened in a second, in the long run: 500 an account and region.
    pub connections_per_second_max: u32,
    /// Connections that are opened at once. AWS does not say; as many as in a second.
    pub connections_burst_max: u32,
    /// Messages and calls of `@connections` in a second, in the long run: 10,000 an account and region.
    pub requests_per_second_max: u32,
    /// Messages and calls of `@connections` at once: 5,000.
    pub requests_burst_max: u32,
    /// Throttled messages in a row after which a connection is closed with 1008. AWS does not say how many.
    pub throttled_in_a_row_max: u32,
    /// Messages of one connection that are served at once; 1 keeps their order. AWS does not say; it is told to be concurrent.
    pub messages_in_flight_max: usize,
    /// Whether a ping from the browser counts against the idle limit. AWS does not say; likely not.
    pub ping_is_activity: bool,
    /// Whether a message to the browser counts against the idle limit and moves `lastActiveAt`. AWS does not say; likely so.
    pub push_is_activity: bool,
    /// Whether a reply of status 400 or more to a message is the browser's "Internal server error". AWS does not say; likely
    /// not.
    pub error_status_is_error_frame: bool,
    /// Largest frame to a browser, in bytes: a longer message goes out in several. AWS does not say; likely one frame.
    pub push_frame_bytes_max: usize,
    /// Messages that wait for one slow browser before a POST is answered 429. AWS does not say.
    pub outbound_messages_max: usize,
    /// Longest wait until the browser's socket has taken a POST, before it is answered 429. AWS does not say.
    #[serde(rename = "post_time_out_ms", deserialize_with = "milliseconds")]
    pub post_time_out: Duration,
    /// Longest wait for the browser's half of a closing handshake. Ours.
    #[serde(rename = "close_time_out_ms", deserialize_with = "milliseconds")]
    pub close_time_out: Duration,
    /// Longest wait for all connections to end when the front end stops. Ours.
    #[serde(rename = "stop_time_out_ms", deserialize_with = "milliseconds")]
    pub stop_time_out: Duration,
    /// Pause after the machine refused to accept a connection. Ours.
    #[serde(rename = "accept_pause_ms", deserialize_with = "milliseconds")]
    pub accept_pause: Duration,
    /// Furthest that a signature's time may be from this machine's: 5 minutes.
    #[serde(rename = "signature_age_max_ms", deserialize_with = "milliseconds")]
    pub signature_age_max: Duration,
    /// Whether `@connections` asks for a signature.
    pub verify_signatures: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 32 * 1024,
            message_bytes_max: 128 * 1024,
            post_bytes_max: 128 * 1024,
            idle_max: Duration::from_secs(10 * 60),
            life_max: Duration::from_secs(2 * 60 * 60),
            integration_time_out: Duration::from_secs(29),
            authorizer_bytes_max: 8 * 1024,
            url_bytes_max: 4_096,
            header_bytes_max: 10_240,
            request_head_bytes_max: 32 * 1024,
            header_time_out: Duration::from_secs(10),
            connections_per_second_max: 500,
            connections_burst_max: 500,
            requests_per_second_max: 10_000,
            requests_burst_max: 5_000,
            throttled_in_a_row_max: 100,
            messages_in_flight_max: 16,
            ping_is_activity: false,
            push_is_activity: true,
            error_status_is_error_frame: false,
            push_frame_bytes_max: 128 * 1024,
            outbound_messages_max: 64,
            post_time_out: Duration::from_secs(10),
            close_time_out: Duration::from_secs(2),
            stop_time_out: Duration::from_secs(5),
            accept_pause: Duration::from_millis(100),
            signature_age_max: Duration::from_secs(5 * 60),
            verify_signatures: true,
        }
    }
}

fn milliseconds<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Duration, D::Error> {
    u64::deserialize(value).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_is_absent_has_its_default_and_one_that_does_not_exist_is_named() {
        let limits: Limits = serde_json::from_str(r#"{"idle_max_ms": 5, "verify_signatures": false}"#).unwrap();
        assert_eq!((limits.idle_max, limits.verify_signatures), (Duration::from_millis(5), false));
        assert_eq!(limits.frame_bytes_max, 32 * 1024);
        let refused = serde_json::from_str::<Limits>(r#"{"idle_max": 5}"#).unwrap_err().to_string();
        assert!(refused.starts_with("unknown field `idle_max`"), "{refused}");
    }
}
