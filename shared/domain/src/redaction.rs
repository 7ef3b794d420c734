//! Redaction: which fields never reach a browser.
//!
//! Owns: the list of names and the only way to a [`Redacted`] value; what is sent takes nothing else.
//! Must not know: the wire format, who is asking.
//! Source: ours. Redaction and fold commute, so a client may fold the events that it is sent.

use std::collections::BTreeSet;

use crate::{Fields, Json};

/// The names of the fields that are stored but never sent, at any depth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction(BTreeSet<String>);

/// An object without any redacted field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Redacted(Fields);

impl Redaction {
    /// The names that are redacted unless the deployment says otherwise.
    pub const DEFAULT_LIST: &str = "stripeToken";

    /// Reads the variable `REDACTED_FIELDS`: its list if it is set, be it empty, else [`Redaction::DEFAULT_LIST`].
    #[must_use]
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        Self::from_list(var("REDACTED_FIELDS").as_deref().unwrap_or(Self::DEFAULT_LIST))
    }

    /// Reads names that are separated by commas; blanks around a name do not count.
    #[must_use]
    pub fn from_list(names: &str) -> Self {
        Self(names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// A copy without the redacted fields.
    #[must_use]
    pub fn apply(&self, fields: &Fields) -> Redacted {
        Redacted(self.strip(fields))
    }

    /// The fields without the redacted ones, without a copy of the others.
    #[must_use]
    pub fn take(&self, mut fields: Fields) -> Redacted {
        self.remove_from(&mut fields);
        Redacted(fields)
    }

    fn remove_from(&self, fields: &mut Fields) {
        fields.retain(|name, _| !self.0.contains(name));
        fields.values_mut().for_each(|value| self.remove_from_value(value));
    }

    fn remove_from_value(&self, value: &mut Json) {
        match value {
            Json::Object(fields) => self.remove_from(fields),
            Json::Array(values) => values.iter_mut().for_each(|value| self.remove_from_value(value)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }

    fn strip(&self, fields: &Fields) -> Fields {
        let kept = fields.iter().filter(|(name, _)| !self.0.contains(*name));
        kept.map(|(name, value)| (name.clone(), self.strip_value(value))).collect()
    }

    fn strip_value(&self, value: &Json) -> Json {
        match value {
            Json::Object(fields) => Json::Object(self.strip(fields)),
            Json::Array(values) => Json::Array(values.iter().map(|value| self.strip_value(value)).collect()),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => value.clone(),
        }
    }
}

impl Redacted {
    /// The fields that are left.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::fold::merge;

    #[test]
    fn a_redacted_field_is_gone_at_any_depth() {
        let redaction = Redaction::from_list("stripeToken, cvc,");
        let fields = json!({"stripeToken":"s","a":{"cvc":1,"b":[{"stripeToken":2,"c":3}]},"amount":100});
        let redacted = redaction.apply(&Json::from(fields).into_object().unwrap());
        assert_eq!(Json::Object(redacted.fields().clone()), json!({"a":{"b":[{"c":3}]},"amount":100}));
    }

    #[test]
    fn a_deployment_that_says_nothing_redacts_the_token() {
        assert_eq!(Redaction::from_vars(|_| None), Redaction::from_list("stripeToken"));
        assert_eq!(Redaction::from_vars(|_| Some(String::new())), Redaction::default());
    }

    fn value() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![Just(Json::Null), any::<i64>().prop_map(Json::from)];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Json::Array),
                prop::collection::btree_map("[a-d]", inner, 0..3).prop_map(Json::Object),
            ]
        })
    }

    fn event() -> impl Strategy<Value = Fields> {
        prop::collection::btree_map("[a-d]", value(), 0..4)
    }

    proptest! {
        #[test]
        fn redaction_and_fold_commute(log in prop::collection::vec(event(), 0..8)) {
            let redaction = Redaction::from_list("a,c");
            let (mut stored, mut sent) = (Fields::new(), Fields::new());
            for data in &log {
                merge(&mut stored, data);
                merge(&mut sent, redaction.apply(data).fields());
            }
            let redacted = redaction.apply(&stored);
            prop_assert_eq!(redacted.fields(), &sent);
            prop_assert!(!Json::Object(sent).to_string().contains("\"a\":"));
            prop_assert_eq!(&redaction.take(stored), &redacted);
        }
    }
}
