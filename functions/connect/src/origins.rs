//! Which pages may connect.
//!
//! Owns: the list of origins, and which origin is on it.
//! Must not know: who the browser is. What is no browser names no origin, and is not asked for one.
//! Source: RFC 6454; a browser sends `Origin` with each WebSocket handshake (RFC 6455, section 4.1).

use domain::VariableError;

const VARIABLE: &str = "ALLOWED_ORIGINS";

/// Every origin.
const ANY: &str = "*";

/// Every port of a host.
const ANY_PORT: &str = ":*";

/// The origins of the pages that may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Reads the variable `ALLOWED_ORIGINS`: origins that are separated by commas, such as `https://shop.example`; with
    /// the port `*`, as in `http://localhost:*`, a host's origins of all ports; `*` is every origin.
    ///
    /// # Errors
    /// [`VariableError`] if the variable is absent, or an entry is no origin.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, VariableError> {
        let list = var(VARIABLE).ok_or(VariableError::Absent(VARIABLE))?;
        let origins: Vec<String> = list
            .split(',')
            .map(|origin| origin.trim().to_ascii_lowercase())
            .filter(|origin| !origin.is_empty())
            .collect();
        let must_be = "a list of origins, such as https://shop.example, separated by commas";
        if origins.is_empty() || !origins.iter().all(|origin| origin == ANY || is_origin(origin)) {
            return Err(VariableError::Malformed { name: VARIABLE, must_be });
        }
        Ok(Self(origins))
    }

    /// Whether a page of this origin may connect.
    #[must_use]
    pub fn allow(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        self.0.iter().any(|allowed| match allowed.strip_suffix(ANY_PORT) {
            Some(host) => origin
                .strip_prefix(host)
                .and_then(|rest| rest.strip_prefix(':'))
                .is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())),
            None => allowed == ANY || *allowed == origin,
        })
    }
}

/// Scheme, host and maybe a port: no path, no user, no blank.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
    host.map(|host| host.strip_suffix(ANY_PORT).unwrap_or(host))
        .is_some_and(|host| !host.is_empty() && host.bytes().all(is_allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(list: &str) -> Result<Origins, VariableError> {
        Origins::from_vars(|_| Some(list.to_owned()))
    }

    #[test]
    fn an_origin_is_allowed_whole_or_not_at_all() {
        let origins = origins("https://shop.example, http://localhost:*,http://127.0.0.1:8080").unwrap();
        for allowed in
            ["https://shop.example", "HTTPS://Shop.Example", "http://localhost:5173", "http://127.0.0.1:8080"]
        {
            assert!(origins.allow(allowed), "{allowed}");
        }
        for refused in [
            "",
            "null",
            "http://shop.example",
            "https://shop.example.evil.example",
            "https://evil.example/https://shop.example",
            "https://shop.example:8443",
            "http://localhost",
            "http://localhost:",
            "http://localhost:80.evil.example",
            "http://localhost.evil.example:80",
            "http://127.0.0.1:8081",
        ] {
            assert!(!origins.allow(refused), "{refused}");
        }
        assert!(Origins(vec!["*".into()]).allow("null"));
    }

    #[test]
    fn a_list_that_is_absent_or_empty_or_no_list_of_origins_is_an_error() {
        assert_eq!(Origins::from_vars(|_| None), Err(VariableError::Absent(VARIABLE)));
        for list in
            ["", " , ", "shop.example", "https://", "https://shop.example/", "https://*.shop.example", "https://a b"]
        {
            assert!(matches!(origins(list), Err(VariableError::Malformed { .. })), "{list:?}");
        }
    }
}
