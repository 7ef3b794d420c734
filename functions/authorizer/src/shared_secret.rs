//! Tokens by a secret that issuer and gateway share: for one machine alone.
//!
//! Owns: how such a token is made, and whom it is from and for.
//! Must not know: who asks for one. The deployed function cannot take such a token: it reads no secret.
//! Source: `foldcast token`.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, errors::Error};
use serde::Serialize;

use crate::crypto;

/// The variable with the secret.
pub const SECRET_VARIABLE: &str = "JWT_SECRET";

/// Whom such tokens are from, and whom they are for.
pub(crate) const ISSUER: &str = "foldcast token";
pub(crate) const AUDIENCE: &str = "foldcast";

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    scope: &'a str,
    iat: i64,
    exp: i64,
}

/// A token for a user, valid from one time to another, in seconds since 1970.
///
/// # Errors
/// None that can happen: the claims are plain text and numbers.
pub fn token(secret: &str, sub: &str, scope: &str, issued_at_s: i64, expires_at_s: i64) -> Result<String, Error> {
    crypto::install();
    let claims = Claims { iss: ISSUER, aud: AUDIENCE, sub, scope, iat: issued_at_s, exp: expires_at_s };
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret.as_bytes()))
}
