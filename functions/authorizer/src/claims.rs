//! From a token to who its bearer is.
//!
//! Owns: everything that a token must say: algorithm, key, issuer, audience, times, subject.
//! Must not know: where the token was, what its bearer may do with it. Time is an argument.
//! Source: RFC 7519; RFC 8725, "JSON Web Token Best Current Practices".

use domain::{Identity, Principal, PrincipalId, limits::CLOCK_SKEW_S};
use jsonwebtoken::{DecodingKey, Header, Validation, decode, decode_header, errors::ErrorKind};
use serde::Deserialize;
use serde_json::Number;

use crate::{
    keys::{Keys, KeysUnavailable},
    token::Token,
};

/// What is wrong with a token, without anything of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is no JSON Web Token, or one that says what this function does not know.
    #[error("it is malformed")]
    Malformed,
    /// No key of its name, or of its algorithm.
    #[error("there is no such key of its algorithm")]
    Key,
    /// It was signed by somebody else, or changed.
    #[error("its signature is wrong")]
    Signature,
    /// It is another issuer's.
    #[error("its issuer is another")]
    Issuer,
    /// It is meant for another audience.
    #[error("its audience is another")]
    Audience,
    /// Its time has passed.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet")]
    NotYetValid,
    /// It names no principal.
    #[error("its subject is no principal")]
    Subject,
}

/// Why nobody vouches for a token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The token is to blame.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The keys are not there.
    #[error(transparent)]
    KeysUnavailable(#[from] KeysUnavailable),
}

/// Whose tokens are taken, and for whom they must be meant.
#[derive(Debug)]
pub(crate) struct Verifier {
    pub(crate) keys: Keys,
    pub(crate) issuer: String,
    pub(crate) audience: String,
}

/// What is read of a token's claims; a token that lacks one of the first two is malformed.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: Number,
    nbf: Option<Number>,
    #[serde(default)]
    scope: Scope,
}

/// Scopes as RFC 8693 has them, or as a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scope {
    Text(String),
    List(Vec<String>),
}

impl Default for Scope {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Verifier {
    /// Who the bearer of a token is, at `now_s` seconds since 1970.
    pub(crate) async fn verify(&self, token: &Token, now_s: i64) -> Result<Identity, Refusal> {
        let header = decode_header(token.as_str()).map_err(|error| Invalid::of(error.kind()))?;
        // What must be understood and is not makes a token invalid. Source: RFC 7515, 4.1.11.
        if header.crit.is_some() {
            return Err(Invalid::Malformed.into());
        }
        let key = self.keys.find(header.kid.as_deref(), header.alg, now_s).await?.ok_or(Invalid::Key)?;
        Ok(self.read(token, &header, &key, now_s)?)
    }

    fn read(&self, token: &Token, header: &Header, key: &DecodingKey, now_s: i64) -> Result<Identity, Invalid> {
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub"]);
        // Times are compared below, with API Gateway's clock.
        validation.validate_exp = false;
        let claims =
            decode::<Claims>(token.as_str(), key, &validation).map_err(|error| Invalid::of(error.kind()))?.claims;
        let expires_at_s = seconds(&claims.exp).ok_or(Invalid::Malformed)?;
        if let Some(not_before) = &claims.nbf {
            let not_before_s = seconds(not_before).ok_or(Invalid::Malformed)?;
            if not_before_s > now_s.saturating_add(CLOCK_SKEW_S) {
                return Err(Invalid::NotYetValid);
            }
        }
        let scope = match claims.scope {
            Scope::Text(text) => text,
            Scope::List(list) => list.join(" "),
        };
        let id = PrincipalId::new(claims.sub).map_err(|_invalid| Invalid::Subject)?;
        let identity = Identity { principal: Principal::with_scope(id, &scope), expires_at_s: Some(expires_at_s) };
        if identity.has_expired(now_s) { Err(Invalid::Expired) } else { Ok(identity) }
    }
}

/// Whole seconds of a time that may have a fraction.
fn seconds(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| format!("{:.0}", number.as_f64()?.floor()).parse().ok())
}

impl Invalid {
    fn of(kind: &ErrorKind) -> Self {
        // The kinds are open-ended; whatever else comes is a token that cannot be read.
        if matches!(kind, ErrorKind::InvalidSignature) {
            Self::Signature
        } else if matches!(kind, ErrorKind::InvalidIssuer) || is_missing(kind, "iss") {
            Self::Issuer
        } else if matches!(kind, ErrorKind::InvalidAudience) || is_missing(kind, "aud") {
            Self::Audience
        } else if matches!(kind, ErrorKind::InvalidKeyFormat) {
            Self::Key
        } else {
            Self::Malformed
        }
    }
}

fn is_missing(kind: &ErrorKind, claim: &str) -> bool {
    matches!(kind, ErrorKind::MissingRequiredClaim(name) if name == claim)
}
