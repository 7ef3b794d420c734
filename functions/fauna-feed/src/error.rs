//! What can go wrong with a call of FaunaDB, and what helps.
//!
//! Owns: reading an error by its status and code, and the remedy of each.
//! Must not know: HTTP's client, what was asked. No description of the server goes on: it may repeat what was sent.
//! Source: FaunaDB `APIResponse.scala`, `ast/Error.scala`; `docs/fauna.md`, "What can go wrong".

use domain::Json;

/// A call that FaunaDB did not serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaunaError {
    /// 401: a bad or revoked secret.
    #[error("FaunaDB does not take the secret (401 unauthorized): it is wrong, or its key was deleted")]
    Unauthorized,
    /// 403: the role lacks rights.
    #[error("the secret's role may not do this (403 permission denied): take a key with the role server")]
    Forbidden,
    /// 410: the account is disabled, or v4 is.
    #[error("FaunaDB serves no FQL v4 (410): the account or v4 is disabled; it has to be enabled there")]
    Disabled,
    /// 400: a collection or an index is not there.
    #[error("the collection or the index is not there (400 invalid ref): `foldcast fauna check` says which")]
    Undefined,
    /// 400: an index is being built.
    #[error("the index is being built (400 is not active)")]
    Building,
    /// 400: what was asked for is forgotten.
    #[error("FaunaDB has forgotten what was at that time (400)")]
    Forgotten,
    /// 404: a document is gone, or the address is none of FaunaDB's.
    #[error("FaunaDB does not find it (404 {code})")]
    NotFound {
        /// The code of the error.
        code: String,
    },
    /// Another refusal.
    #[error("FaunaDB refuses the query ({status} {code})")]
    Refused {
        /// The status.
        status: u16,
        /// The code of the error.
        code: String,
    },
    /// 413, or an answer that is too large to hold.
    #[error("the page is too large (413)")]
    TooLarge,
    /// 408.
    #[error("FaunaDB did not get the request in time (408)")]
    SentTooSlowly,
    /// 409.
    #[error("other transactions were in the way (409)")]
    Contended,
    /// 429.
    #[error("FaunaDB throttles (429)")]
    Throttled,
    /// 440.
    #[error("the query took too long (440)")]
    TooLong,
    /// 500 and other errors of a server.
    #[error("FaunaDB has an internal error ({status})")]
    Internal {
        /// The status.
        status: u16,
    },
    /// 503.
    #[error("FaunaDB timed out (503)")]
    TimedOut,
    /// 540.
    #[error("FaunaDB's cluster is being changed (540)")]
    Topology,
    /// No answer.
    #[error("FaunaDB does not answer: {0}")]
    Unreachable(&'static str),
    /// An answer that is none.
    #[error("the answer is none of FaunaDB's")]
    Unreadable,
}

/// What helps. Everything that is asked here only reads, so that it may be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing but somebody who mends it: the feed stops where it is.
    Somebody,
    /// Once or twice again.
    Twice,
    /// Again, after a pause that grows.
    Again,
    /// The same, beginning with a long one.
    Slowly,
    /// Again with a smaller page.
    Smaller,
    /// Again with more time.
    Longer,
    /// Asking until it is there.
    Wait,
}

impl FaunaError {
    /// The error of an answer whose status is none of success.
    #[must_use]
    pub fn read(status: u16, body: &[u8]) -> Self {
        let body = Json::parse(body).unwrap_or_default();
        let first = body.get("errors").and_then(|errors| errors.as_array()?.first());
        let text = |name: &str| first.and_then(|error| error.get(name)?.as_str()).unwrap_or_default();
        let (code, description) = (text("code"), text("description"));
        match status {
            400 if description.ends_with("is not active.") => Self::Building,
            400 if description.starts_with("Requested timestamp") => Self::Forgotten,
            400 if code == "invalid ref" => Self::Undefined,
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound { code: name(code) },
            408 => Self::SentTooSlowly,
            409 => Self::Contended,
            410 => Self::Disabled,
            413 => Self::TooLarge,
            429 => Self::Throttled,
            440 => Self::TooLong,
            503 => Self::TimedOut,
            540 => Self::Topology,
            500..=599 => Self::Internal { status },
            _ => Self::Refused { status, code: name(code) },
        }
    }

    /// What helps.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Unauthorized
            | Self::Forbidden
            | Self::Disabled
            | Self::Undefined
            | Self::Forgotten
            | Self::Refused { .. } => Remedy::Somebody,
            // A document that goes between an index and its `Get` cannot be seen in one query; asked again it is gone.
            Self::NotFound { code } if code == "instance not found" => Remedy::Twice,
            Self::NotFound { .. } => Remedy::Somebody,
            Self::Internal { .. } | Self::Unreadable => Remedy::Twice,
            Self::Building => Remedy::Wait,
            Self::TooLarge => Remedy::Smaller,
            Self::TooLong => Remedy::Longer,
            // A smaller page is read in less time.
            Self::TimedOut => Remedy::Smaller,
            Self::SentTooSlowly | Self::Contended | Self::Throttled | Self::Unreachable(_) => Remedy::Again,
            Self::Topology => Remedy::Slowly,
        }
    }
}

/// A code as it may be repeated: a few words.
fn name(code: &str) -> String {
    let is_plain = code.len() <= 40 && code.chars().all(|c| c.is_ascii_lowercase() || c == ' ');
    if is_plain { code.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(code: &str, description: &str) -> Vec<u8> {
        serde_json::json!({"errors": [{"code": code, "description": description}]}).to_string().into()
    }

    #[test]
    fn every_status_of_the_table_has_its_name_and_its_remedy() {
        let cases = [
            (400, body("invalid ref", "Ref refers to undefined index 'x'"), FaunaError::Undefined, Remedy::Somebody),
            (400, body("instance not found", "Index 'x' is not active."), FaunaError::Building, Remedy::Wait),
            (
                400,
                body("bad request", "Requested timestamp 1 less than minimum allowed timestamp 2."),
                FaunaError::Forgotten,
                Remedy::Somebody,
            ),
            (
                400,
                body("invalid argument", "secret"),
                FaunaError::Refused { status: 400, code: "invalid argument".into() },
                Remedy::Somebody,
            ),
            (401, body("unauthorized", ""), FaunaError::Unauthorized, Remedy::Somebody),
            (403, body("permission denied", ""), FaunaError::Forbidden, Remedy::Somebody),
            (404, body("not found", ""), FaunaError::NotFound { code: "not found".into() }, Remedy::Somebody),
            (
                404,
                body("instance not found", ""),
                FaunaError::NotFound { code: "instance not found".into() },
                Remedy::Twice,
            ),
            (408, body("request timeout", ""), FaunaError::SentTooSlowly, Remedy::Again),
            (409, body("contended transaction", ""), FaunaError::Contended, Remedy::Again),
            (410, body("permission denied", ""), FaunaError::Disabled, Remedy::Somebody),
            (413, body("request too large", ""), FaunaError::TooLarge, Remedy::Smaller),
            (429, body("too many requests", ""), FaunaError::Throttled, Remedy::Again),
            (440, body("processing time limit exceeded", ""), FaunaError::TooLong, Remedy::Longer),
            (500, body("internal server error", ""), FaunaError::Internal { status: 500 }, Remedy::Twice),
            (503, body("time out", ""), FaunaError::TimedOut, Remedy::Smaller),
            (540, body("operator error", ""), FaunaError::Topology, Remedy::Slowly),
        ];
        for (status, body, error, remedy) in cases {
            assert_eq!(FaunaError::read(status, &body), error);
            assert_eq!(error.remedy(), remedy, "{error}");
        }
    }

    #[test]
    fn an_error_that_is_no_list_is_read_by_its_status() {
        for body in [&b""[..], br#"{"error":"bad request"}"#, b"<html>", b"[1", br#"{"errors":[]}"#] {
            assert_eq!(FaunaError::read(413, body), FaunaError::TooLarge);
            assert_eq!(FaunaError::read(408, body), FaunaError::SentTooSlowly);
            assert_eq!(FaunaError::read(400, body), FaunaError::Refused { status: 400, code: String::new() });
            assert_eq!(FaunaError::read(502, body), FaunaError::Internal { status: 502 });
        }
    }

    #[test]
    fn no_description_of_the_server_is_repeated() {
        let error = FaunaError::read(418, &body("a secret: stripe_123", "stripe_123"));
        assert!(!error.to_string().contains("stripe") && !format!("{error:?}").contains("stripe"));
    }
}
