//! What one push to `@connections` costs, by ourselves and by others.
//!
//! Owns: the comparison, at several numbers of pushes in flight.
//! Must not know: how each side sends.
//! Source: the goal: within 1.3 of a bare client that signs.

pub(crate) mod sides;
pub(crate) mod sink;

use serde_json::json;

use crate::{
    interleaved::{Rounds, rounds},
    report::{Cell, Table},
    side::Side,
};
use sink::Sink;

const ROUNDS: usize = 9;

/// Pushes in flight, and how many pushes make a round.
const LEVELS: [(usize, usize); 3] = [(1, 1_000), (64, 4_000), (256, 4_000)];

/// Node's pushes cost more; a round of it has so many fewer.
const NODE_DIVISOR: usize = 8;

const METHOD: &str = "One update of 1 KB to many connections, each a POST to a server that answers 200 and nothing. Each side is a process of its own with \
connections that are kept; a round is 1,000 pushes one at a time, or 4,000 with 64 or 256 in flight (500 and less for Node). The number is the processor time of \
that process alone, user and system. `hyper, signing` is hyper's pooled client with `aws-sigv4`, each request signed for itself: the limit that the ratio is \
over. `hyper, signed before` sends requests that were signed outside of the measurement. Foldcast keeps 64 in flight at most, so 256 are four clients. Bytes are \
those of a request on the wire, the update's own among them.";

/// Runs the comparison.
pub(crate) async fn run() -> Table {
    let sink = Sink::start().await;
    let mut sides = vec![
        Side::own("hyper, signing", &["hyper", &sink.url]),
        Side::own("hyper, signed before", &["hyper-signed", &sink.url]),
        Side::own("Foldcast (`shared/push`)", &["push", &sink.url]),
        Side::own("aws-sdk-apigatewaymanagement", &["sdk", &sink.url]),
        Side::node("AWS SDK for JavaScript, Node.js", &["push.js", &sink.url]),
    ];
    let mut by_level: Vec<Vec<Rounds>> = Vec::new();
    let mut bytes = Vec::new();
    for (in_flight, pushes) in LEVELS {
        let ask = |side: &mut Side| {
            let count = if side.name.contains("Node") { pushes / NODE_DIVISOR } else { pushes };
            let answer = side.ask(&json!({"inFlight": in_flight, "count": count}));
            assert_eq!(answer["delivered"], count, "{}: {answer}", side.name);
            (answer["cpuUs"].as_f64().unwrap() / count as f64, count)
        };
        // What is done once only, such as connecting, is no part of a round.
        bytes = sides
            .iter_mut()
            .map(|side| {
                let before = sink.bytes();
                let (_, count) = ask(side);
                (sink.bytes() - before) as f64 / count as f64
            })
            .collect();
        by_level.push(tokio::task::block_in_place(|| rounds(ROUNDS, &mut sides, |side| ask(side).0)));
    }
    let row = |(index, side): (usize, &Side)| {
        let mut row = vec![Cell::from(side.name)];
        for rounds in &by_level {
            row.push(Cell::Number(rounds[index].median(), 1));
            row.push(Cell::Ratio(rounds[index].over(&rounds[0])));
        }
        row.push(Cell::Number(bytes[index], 0));
        row
    };
    Table {
        title: "A push to `@connections`",
        method: METHOD.to_owned(),
        columns: vec![
            "client",
            "µs at 1 in flight",
            "ratio at 1",
            "µs at 64",
            "ratio at 64",
            "µs at 256",
            "ratio at 256",
            "bytes",
        ],
        rows: sides.iter().enumerate().map(row).collect(),
    }
}
