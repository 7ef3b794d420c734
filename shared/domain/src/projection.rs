//! A projection: the fold of an order's log up to a version.
//!
//! Owns: the pair of fields and version, and the one way to move it forward.
//! Must not know: how it is stored, redacted or sent.
//! Source: `fold`.

use crate::{Fields, Json, LoggedEvent, Version, fold};

/// The field that names an order's owner.
pub const OWNER_FIELD: &str = "userId";

/// The fold of the log's events 1 to `version`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    version: Version,
    fields: Fields,
}

impl Projection {
    /// A projection that was stored: the caller vouches that `fields` is the fold up to `version`.
    #[must_use]
    pub fn stored(version: Version, fields: Fields) -> Self {
        Self { version, fields }
    }

    /// The version of the last event that is folded in; [`Version::NONE`] for none.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The folded fields.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The folded fields, without a copy.
    #[must_use]
    pub fn into_fields(self) -> Fields {
        self.fields
    }

    /// The user whose order it is: the field `userId`, if it is a text.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.fields.get(OWNER_FIELD).and_then(Json::as_str)
    }

    /// Folds the next event in. An event of any other version is already in or not yet due: it changes nothing, and
    /// the answer is `false`.
    pub fn evolve(&mut self, logged: &LoggedEvent) -> bool {
        if logged.version != self.version.next() {
            return false;
        }
        fold::merge(&mut self.fields, logged.event.data.fields());
        self.version = logged.version;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, EventData, EventRef, Origin};

    fn logged(version: u64, json: &str) -> LoggedEvent {
        let data = EventData::new(Json::parse(json).unwrap().into_object().unwrap()).unwrap();
        let event = Event { event_ref: EventRef::parse(&version.to_string()).unwrap(), ts_us: 0, data };
        LoggedEvent { version: Version::new(version), event, origin: Origin::default() }
    }

    #[test]
    fn the_owner_is_a_text_in_the_field_user_id() {
        let owner = |json: &str| {
            Projection::stored(Version::FIRST, Json::parse(json).unwrap().into_object().unwrap())
                .owner()
                .map(str::to_owned)
        };
        assert_eq!(owner(r#"{"userId":"user_123"}"#).as_deref(), Some("user_123"));
        for nobodys in [r#"{}"#, r#"{"userId":7}"#, r#"{"userId":["7"]}"#, r#"{"data":{"userId":"7"}}"#] {
            assert_eq!(owner(nobodys), None, "{nobodys}");
        }
    }

    #[test]
    fn only_the_next_event_moves_a_projection() {
        let first = logged(1, r#"{"eventName":"A","orderId":"o","x":1}"#);
        let second = logged(2, r#"{"eventName":"B","orderId":"o","x":null}"#);
        let mut projection = Projection::default();
        assert!(!projection.evolve(&second));
        assert!(projection.evolve(&first));
        assert!(!projection.evolve(&first));
        assert_eq!(projection.fields().get("x"), Some(&Json::from(1_u64)));
        assert!(projection.evolve(&second));
        assert_eq!(projection.version(), Version::new(2));
        assert_eq!(projection.fields().get("x"), None);
    }
}
