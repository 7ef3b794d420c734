//! The name of a table.
//!
//! Owns: which variable names which table, the defaults, and what a name may look like.
//! Must not know: what is in the table.
//! Source: DynamoDB naming rules.

use std::fmt;

use domain::VariableError;

/// A DynamoDB table's name: 3 to 255 of `a-z A-Z 0-9 _ . -`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName(String);

impl TableName {
    /// The event log: `ORDER_STREAM_TABLE`, else `order_stream`.
    ///
    /// # Errors
    /// [`VariableError::Malformed`] for a value that can name no table.
    pub fn order_stream(var: impl Fn(&str) -> Option<String>) -> Result<Self, VariableError> {
        Self::from_var(var, "ORDER_STREAM_TABLE", "order_stream")
    }

    /// The projections: `ORDER_PROJECTIONS_TABLE`, else `order_projections`.
    ///
    /// # Errors
    /// [`VariableError::Malformed`] for a value that can name no table.
    pub fn order_projections(var: impl Fn(&str) -> Option<String>) -> Result<Self, VariableError> {
        Self::from_var(var, "ORDER_PROJECTIONS_TABLE", "order_projections")
    }

    /// The connections: `CONNECTIONS_TABLE`, else `connections`.
    ///
    /// # Errors
    /// [`VariableError::Malformed`] for a value that can name no table.
    pub fn connections(var: impl Fn(&str) -> Option<String>) -> Result<Self, VariableError> {
        Self::from_var(var, "CONNECTIONS_TABLE", "connections")
    }

    /// The subscriptions: `SUBSCRIPTIONS_TABLE`, else `subscriptions`.
    ///
    /// # Errors
    /// [`VariableError::Malformed`] for a value that can name no table.
    pub fn subscriptions(var: impl Fn(&str) -> Option<String>) -> Result<Self, VariableError> {
        Self::from_var(var, "SUBSCRIPTIONS_TABLE", "subscriptions")
    }

    /// The feed of a FaunaDB collection: `FAUNA_FEED_TABLE`, else `fauna_feed`.
    ///
    /// # Errors
    /// [`VariableError::Malformed`] for a value that can name no table.
    pub fn fauna_feed(var: impl Fn(&str) -> Option<String>) -> Result<Self, VariableError> {
        Self::from_var(var, "FAUNA_FEED_TABLE", "fauna_feed")
    }

    fn from_var(
        var: impl Fn(&str) -> Option<String>,
        name: &'static str,
        default: &str,
    ) -> Result<Self, VariableError> {
        let table = var(name).unwrap_or_else(|| default.to_owned());
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if (3..=255).contains(&table.len()) && table.bytes().all(allowed) {
            Ok(Self(table))
        } else {
            Err(VariableError::Malformed { name, must_be: "a table's name: 3 to 255 of a-z A-Z 0-9 _ . -" })
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_default_and_a_variable() {
        assert_eq!(TableName::order_stream(|_| None).unwrap().as_str(), "order_stream");
        let named = TableName::connections(|name| (name == "CONNECTIONS_TABLE").then(|| "c.1".into()));
        assert_eq!(named.unwrap().as_str(), "c.1");
        for bad in ["", "ab", "a b c"] {
            assert!(TableName::subscriptions(|_| Some(bad.into())).is_err(), "{bad:?}");
        }
    }
}
