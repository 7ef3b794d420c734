//! An event's way from its append to its push, as one trace of X-Ray.
//!
//! Owns: the segment's JSON, and handing it to the daemon that Lambda runs beside a function.
//! Must not know: which events have a trace, what is done with it.
//! Source: X-Ray developer guide, "Segment documents" and "Sending segment documents to the daemon": a UDP packet each.

use std::net::UdpSocket;

use serde_json::{Value, json};

/// The variable with the daemon's address, as Lambda sets it.
const DAEMON_VARIABLE: &str = "AWS_XRAY_DAEMON_ADDRESS";

const HEADER: &str = "{\"format\": \"json\", \"version\": 1}\n";

/// One function's part of an event's way.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment<'a> {
    /// The trace that the event began.
    pub trace_id: &'a str,
    /// The order.
    pub order_id: &'a str,
    /// The version that the pushed update has.
    pub version: u64,
    /// Where the way went, in its order: what was done, and when it ended, in milliseconds since 1970.
    pub steps: Vec<(&'static str, i64)>,
    /// When the first step began, in milliseconds since 1970.
    pub begun_at_ms: i64,
}

/// Who takes segments.
#[derive(Debug)]
pub struct Daemon(Option<UdpSocket>);

impl Daemon {
    /// The daemon that the environment names; without one, segments go nowhere.
    #[must_use]
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        let connect = |address: String| {
            let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
            socket.connect(address).ok()?;
            socket.set_nonblocking(true).ok()?;
            Some(socket)
        };
        Self(var(DAEMON_VARIABLE).and_then(connect))
    }

    /// Sends a function's part of an event's way. One that is lost is no error: a trace is a sample.
    pub fn send(&self, function: &str, segment: &Segment<'_>) {
        let Some(socket) = &self.0 else { return };
        let packet = format!("{HEADER}{}", document(function, segment));
        socket.send(packet.as_bytes()).ok();
    }
}

/// A segment with a subsegment for each step.
fn document(function: &str, segment: &Segment<'_>) -> Value {
    let Segment { trace_id, order_id, version, steps, begun_at_ms } = segment;
    let mut begun = *begun_at_ms;
    let subsegments: Vec<Value> = steps
        .iter()
        .map(|(name, ended)| {
            let step = json!({"id": id(), "name": name, "start_time": seconds(begun), "end_time": seconds(*ended)});
            begun = *ended;
            step
        })
        .collect();
    json!({
        "trace_id": trace_id, "id": id(), "name": function,
        "start_time": seconds(*begun_at_ms), "end_time": seconds(begun),
        "annotations": {"order_id": order_id, "version": version}, "subsegments": subsegments,
    })
}

/// 64 random bits in hexadecimal, as an id of a segment is.
fn id() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// X-Ray's times are seconds since 1970, with a fraction.
fn seconds(ms: i64) -> f64 {
    std::time::Duration::from_millis(u64::try_from(ms).unwrap_or_default()).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> Segment<'static> {
        Segment {
            trace_id: "1-5fb9999d-0123456789abcdef01234567",
            order_id: "guid_1",
            version: 7,
            steps: vec![("change feed", 1_605_999_005_600), ("fold", 1_605_999_005_620), ("push", 1_605_999_005_700)],
            begun_at_ms: 1_605_999_005_510,
        }
    }

    #[test]
    fn a_segment_goes_to_the_daemon_as_one_packet_with_its_steps() {
        let daemon = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let address = daemon.local_addr().unwrap().to_string();
        let var = |name: &str| (name == DAEMON_VARIABLE).then(|| address.clone());
        Daemon::from_vars(var).send("event-handler", &segment());
        let mut packet = [0; 4_096];
        let length = daemon.recv(&mut packet).unwrap();
        let text = std::str::from_utf8(&packet[..length]).unwrap();
        let document: Value = serde_json::from_str(text.strip_prefix(HEADER).unwrap()).unwrap();
        assert_eq!((&document["name"], &document["trace_id"]), (&json!("event-handler"), &json!(segment().trace_id)));
        assert_eq!((&document["start_time"], &document["end_time"]), (&json!(1605999005.51), &json!(1605999005.7)));
        assert_eq!(document["annotations"], json!({"order_id": "guid_1", "version": 7}));
        let steps = document["subsegments"].as_array().unwrap();
        let times: Vec<_> =
            steps.iter().map(|step| (step["name"].as_str().unwrap(), step["start_time"].as_f64().unwrap())).collect();
        assert_eq!(times, [("change feed", 1605999005.51), ("fold", 1605999005.6), ("push", 1605999005.62)]);
        assert_eq!(document["id"].as_str().unwrap().len(), 16);
    }

    #[test]
    fn without_a_daemon_a_segment_goes_nowhere() {
        Daemon::from_vars(|_| None).send("event-handler", &segment());
        Daemon::from_vars(|_| Some("nonsense".to_owned())).send("event-handler", &segment());
    }
}
