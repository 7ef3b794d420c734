//! What the function reads of its environment.
//!
//! Owns: the variables, and which address a key set may have.
//! Must not know: tokens.
//! Source: docs/security.md, "What the operator sets".

use std::net::IpAddr;

use domain::VariableError;
use jsonwebtoken::DecodingKey;
use reqwest::Url;

use crate::{
    claims::Verifier,
    keys::{Keys, Published},
    shared_secret::{self, SECRET_VARIABLE},
};

/// The shortest secret, in bytes: as long as the hash. Source: RFC 7518, 3.2.
const SECRET_BYTES_MIN: usize = 32;

/// Tokens of an issuer that publishes its keys: `JWKS_URL`, `JWT_ISSUER`, `JWT_AUDIENCE`.
pub(crate) fn published(var: impl Fn(&str) -> Option<String>) -> Result<Verifier, VariableError> {
    let set = |name| var(name).filter(|value| !value.is_empty()).ok_or(VariableError::Absent(name));
    let must_be = "an https address, or an http address of this machine";
    let malformed = VariableError::Malformed { name: "JWKS_URL", must_be };
    let url: Url = set("JWKS_URL")?.parse().map_err(|_invalid| malformed)?;
    if !is_confidential(&url) {
        return Err(malformed);
    }
    let keys = Keys::Published(Published::at(url).map_err(|_no_client| malformed)?);
    Ok(Verifier { keys, issuer: set("JWT_ISSUER")?, audience: set("JWT_AUDIENCE")? })
}

/// Tokens by a secret that is shared: `JWT_SECRET`.
pub(crate) fn shared(var: impl Fn(&str) -> Option<String>) -> Result<Verifier, VariableError> {
    let secret = var(SECRET_VARIABLE).ok_or(VariableError::Absent(SECRET_VARIABLE))?;
    if secret.len() < SECRET_BYTES_MIN {
        return Err(VariableError::Malformed { name: SECRET_VARIABLE, must_be: "a secret of at least 32 bytes" });
    }
    let keys = Keys::Shared(DecodingKey::from_secret(secret.as_bytes()));
    Ok(Verifier { keys, issuer: shared_secret::ISSUER.to_owned(), audience: shared_secret::AUDIENCE.to_owned() })
}

/// Nobody on the way can put keys of his own in the place of the issuer's.
fn is_confidential(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let is_loopback = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    url.scheme() == "https" || url.scheme() == "http" && (host == "localhost" || is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(vars: &[(&str, &str)]) -> Option<VariableError> {
        published(|name| vars.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())).err()
    }

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        for url in ["https://issuer.example/keys", "http://127.0.0.1:80/", "http://[::1]/keys", "http://localhost:1"] {
            let vars = [("JWKS_URL", url), ("JWT_ISSUER", "i"), ("JWT_AUDIENCE", "a")];
            assert_eq!(error(&vars), None, "{url}");
        }
        for url in ["http://issuer.example/", "ftp://127.0.0.1/", "keys", "http://127.0.0.1.evil.example/"] {
            let vars = [("JWKS_URL", url), ("JWT_ISSUER", "i"), ("JWT_AUDIENCE", "a")];
            assert!(matches!(error(&vars), Some(VariableError::Malformed { name: "JWKS_URL", .. })), "{url}");
        }
    }

    #[test]
    fn whatever_is_not_set_is_named() {
        let vars = [("JWKS_URL", "https://i.example"), ("JWT_ISSUER", "i"), ("JWT_AUDIENCE", "a")];
        for absent in 0..vars.len() {
            let mut set = vars.to_vec();
            let (name, _) = set.remove(absent);
            assert_eq!(error(&set), Some(VariableError::Absent(name)));
            set.push((name, ""));
            assert_eq!(error(&set), Some(VariableError::Absent(name)));
        }
    }

    #[test]
    fn a_shared_secret_is_no_word() {
        assert_eq!(shared(|_| None).unwrap_err(), VariableError::Absent(SECRET_VARIABLE));
        assert!(matches!(shared(|_| Some("secret".into())).unwrap_err(), VariableError::Malformed { .. }));
        assert!(shared(|_| Some("x".repeat(32))).is_ok());
    }
}
