//! What is wrong with a query, as FaunaDB says it.
//!
//! Owns: status, code, description and position of each error.
//! Must not know: what is evaluated.
//! Source: FaunaDB `ast/Error.scala`, `APIResponse.scala`; fact sheet, 1.5.

use super::value::quoted;

/// Errors of one query; the first decides the status.
#[derive(Clone, Debug)]
pub(super) struct Errors(pub(super) Vec<QueryError>);

/// One error.
#[derive(Clone, Debug)]
pub(super) struct QueryError {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) description: String,
    /// Where in the query, the outermost first; each part is JSON.
    position: Vec<String>,
}

impl Errors {
    pub(super) fn new(status: u16, code: &'static str, description: impl Into<String>) -> Self {
        Self(vec![QueryError { status, code, description: description.into(), position: Vec::new() }])
    }

    pub(super) fn invalid_argument(expected: &str, provided: &str) -> Self {
        Self::new(400, "invalid argument", format!("{expected} expected, {provided} provided."))
    }

    pub(super) fn invalid_expression(description: &str) -> Self {
        Self::new(400, "invalid expression", description)
    }

    pub(super) fn undefined(kind: &str, name: &str) -> Self {
        Self::new(400, "invalid ref", format!("Ref refers to undefined {kind} '{name}'"))
    }

    pub(super) fn document_not_found() -> Self {
        Self::new(404, "instance not found", "Document not found.")
    }

    pub(super) fn permission_denied() -> Self {
        Self::new(403, "permission denied", "Insufficient privileges to perform the action.")
    }

    /// The same, under this part of a query.
    pub(super) fn under(mut self, part: &str) -> Self {
        for error in &mut self.0 {
            error.position.insert(0, quoted(part));
        }
        self
    }

    /// The same, in this place of an array.
    pub(super) fn at(mut self, index: usize) -> Self {
        for error in &mut self.0 {
            error.position.insert(0, index.to_string());
        }
        self
    }

    pub(super) fn status(&self) -> u16 {
        self.0.first().map_or(500, |error| error.status)
    }

    pub(super) fn render(&self) -> String {
        let errors = self.0.iter().map(|error| {
            let QueryError { code, description, position, .. } = error;
            let (code, description) = (quoted(code), quoted(description));
            format!("{{\"position\":[{}],\"code\":{code},\"description\":{description}}}", position.join(","))
        });
        format!("{{\"errors\":[{}]}}", errors.collect::<Vec<_>>().join(","))
    }
}

/// The body of an error that is no query's: it has no position.
pub(super) fn protocol_error(code: &str, description: &str) -> String {
    let (code, description) = (quoted(code), quoted(description));
    format!("{{\"errors\":[{{\"code\":{code},\"description\":{description}}}]}}")
}
