//! The numbers of the WebSocket API, each a setting that a test can lower.
//!
//! Owns: every bound and every behaviour that AWS does not document, with AWS's likeliest one as its default.
//! Must not know: who keeps to them.
//! Source: API Gateway quotas for WebSocket APIs; the others are ours and say so.

use std::time::Duration;

/// Bounds and open questions of a WebSocket API.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest frame from a browser, in bytes: 32 KB.
    pub frame_bytes_max: usize,
    /// Largest message from a browser, in bytes: 128 KB.
    pub message_bytes_max: usize,
    /// Largest body of a POST to `@connections`, in bytes: 128 KB.
    pub post_bytes_max: usize,
    /// Longest time without a message in either direction: 10 minutes.
    pub idle_max: Duration,
    /// Longest life of a connection: 2 hours.
    pub life_max: Duration,
    /// Longest wait for an integration: 29 seconds.
    pub integration_time_out: Duration,
    /// Longest request target, in bytes: 4,096.
    pub url_bytes_max: usize,
    /// Largest headers of a request, all values together, in bytes: 10,240, as for REST APIs.
    pub header_bytes_max: usize,
    /// Largest request head that is read at all, in bytes. Ours: it bounds the memory of a connection that has said nothing.
    pub request_head_bytes_max: usize,
    /// Longest wait for a request's head. Ours: a peer that dribbles its headers holds a socket and nothing more.
    pub header_time_out: Duration,
    /// Messages of one connection that are served at once; 1 keeps their order. AWS does not say; it is told to be concurrent.
    pub messages_in_flight_max: usize,
    /// Messages that wait for one slow browser before a POST is answered 429. AWS does not say.
    pub outbound_messages_max: usize,
    /// Longest wait until the browser's socket has taken a POST, before it is answered 429. AWS does not say.
    pub post_time_out: Duration,
    /// Longest wait for the browser's half of a closing handshake. Ours.
    pub close_time_out: Duration,
    /// Longest wait for all connections to end when the front end stops. Ours.
    pub stop_time_out: Duration,
    /// Pause after the machine refused to accept a connection. Ours.
    pub accept_pause: Duration,
    /// Furthest that a signature's time may be from this machine's: 5 minutes.
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
            url_bytes_max: 4_096,
            header_bytes_max: 10_240,
            request_head_bytes_max: 32 * 1024,
            header_time_out: Duration::from_secs(10),
            messages_in_flight_max: 16,
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
