//! `foldcast fauna verify`: FaunaDB's own fold of an order against ours.
//!
//! Owns: the comparison by value, and that a redacted field is named and not shown.
//! Must not know: how either is folded.
//! Source: docs/fauna.md, "Checking".

use std::collections::BTreeSet;

use anyhow::Context as _;
use domain::{Fields, Json, OrderId, Redaction};
use fauna_feed::conversion::is_same;
use serde_json::json;

use super::Source;
use crate::{
    args::Target,
    deployment::{self, var},
    failure::Failure,
    fold::fold,
};

pub(super) async fn run(order_id: &OrderId, index: &str, source: &Source, target: &Target) -> Result<(), Failure> {
    let (fauna, _) = source.open()?;
    let theirs = fauna.fold(index, order_id).await.with_context(|| format!("FaunaDB cannot fold {order_id}"))?;
    let store = deployment::open(target)?;
    let ours = fold(&store.event_log, order_id, None).await?;
    let differences = differences(&theirs, ours.fields(), &Redaction::from_vars(var));
    for difference in &differences {
        println!("{difference}");
    }
    let summary = json!({
        "orderId": order_id.as_str(), "version": ours.version().get(), "fields": theirs.len(),
        "differences": differences.len(),
    });
    println!("{summary}");
    if differences.is_empty() { Ok(()) } else { Err(Failure::reported()) }
}

/// A line for each field that differs, with both values unless it is redacted; nothing redacted is in a value either.
fn differences(theirs: &Fields, ours: &Fields, redaction: &Redaction) -> Vec<Json> {
    let (shown_theirs, shown_ours) = (redaction.apply(theirs), redaction.apply(ours));
    let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    let differs = |name: &&&String| match (theirs.get(**name), ours.get(**name)) {
        (Some(theirs), Some(ours)) => !is_same(theirs, ours),
        (theirs, ours) => theirs.is_some() || ours.is_some(),
    };
    let line = |name: &String| {
        let (fauna, foldcast) = (shown_theirs.fields().get(name), shown_ours.fields().get(name));
        if fauna.is_none() && foldcast.is_none() {
            return json!({"field": name, "redacted": true}).into();
        }
        let value = |shown: Option<&Json>| shown.cloned().unwrap_or_default();
        let values = [("field", Json::from(name.as_str())), ("fauna", value(fauna)), ("foldcast", value(foldcast))];
        values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    };
    names.iter().filter(differs).map(|name| line(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redacted_field_is_named_and_not_shown() {
        let fields = |value: serde_json::Value| Json::from(value).into_object().unwrap();
        let theirs = fields(json!({"a": 1, "same": 1.0, "stripeToken": "s1", "card": {"stripeToken": "s2", "n": 1}}));
        let ours = fields(json!({"same": 1, "stripeToken": "s3", "card": {"stripeToken": "s4", "n": 1}, "b": null}));
        let lines = differences(&theirs, &ours, &Redaction::from_list("stripeToken"));
        let expected = [
            json!({"field": "a", "fauna": 1, "foldcast": null}),
            json!({"field": "b", "fauna": null, "foldcast": null}),
            json!({"field": "card", "fauna": {"n": 1}, "foldcast": {"n": 1}}),
            json!({"field": "stripeToken", "redacted": true}),
        ];
        assert_eq!(lines, expected);
    }
}
