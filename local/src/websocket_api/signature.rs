//! AWS Signature Version 4, as the one who checks it.
//!
//! Owns: recomputing a request's signature from what the client says that it signed.
//! Must not know: what the request is for.
//! Source: AWS general reference, "Signature Version 4"; the path is encoded once more, as for every service but S3.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, request::Parts};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::{Credentials, Shared};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "execute-api";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
const SIGNING_TIME: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// What stays as it is in a canonical path: unreserved characters and the separator.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("Missing Authentication Token")]
    Unsigned,
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    #[error("Signature expired or not yet current")]
    Expired,
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
         Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
}

impl Refused {
    pub(super) fn error_type(self) -> &'static str {
        match self {
            Self::Unsigned => "MissingAuthenticationTokenException",
            Self::UnknownKey => "UnrecognizedClientException",
            Self::Expired | Self::Mismatch => "InvalidSignatureException",
        }
    }
}

/// The fields of an `Authorization` header.
struct Authorization<'a> {
    access_key_id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn read(header: &'a str) -> Option<Self> {
        let fields = header.strip_prefix(ALGORITHM)?.split(',').filter_map(|field| field.trim().split_once('='));
        let fields: BTreeMap<&str, &str> = fields.collect();
        let mut scope = fields.get("Credential")?.split('/');
        let (access_key_id, date, region, service) = (scope.next()?, scope.next()?, scope.next()?, scope.next()?);
        let signed_headers = fields.get("SignedHeaders")?;
        (scope.next()? == "aws4_request").then_some(())?;
        Some(Self { access_key_id, date, region, service, signed_headers, signature: fields.get("Signature")? })
    }
}

/// Checks that a request was signed with the stack's key, for this region and service, a short time ago.
pub(super) fn verify(request: &Parts, body: &[u8], shared: &Shared) -> Result<(), Refused> {
    let header = text(&request.headers, "authorization").ok_or(Refused::Unsigned)?;
    let authorization = Authorization::read(header).ok_or(Refused::Unsigned)?;
    if authorization.access_key_id != shared.credentials.access_key_id {
        return Err(Refused::UnknownKey);
    }
    let signed_at = text(&request.headers, "x-amz-date").ok_or(Refused::Unsigned)?;
    let is_current = is_current(signed_at, authorization.date, shared.limits.signature_age_max);
    if !is_current.unwrap_or(false) {
        return Err(Refused::Expired);
    }
    if authorization.region != shared.api.region || authorization.service != SERVICE {
        return Err(Refused::Mismatch);
    }
    let canonical = canonical_request(request, body, authorization.signed_headers).ok_or(Refused::Mismatch)?;
    let scope = format!("{}/{}/{SERVICE}/aws4_request", authorization.date, authorization.region);
    let to_sign = format!("{ALGORITHM}\n{signed_at}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
    let given = hex::decode(authorization.signature).map_err(|_not_hex| Refused::Mismatch)?;
    let key = signing_key(&shared.credentials, &authorization);
    // The comparison takes the same time wherever the first difference is.
    mac(&key, to_sign.as_bytes()).verify_slice(&given).map_err(|_differs| Refused::Mismatch)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether the time is that of the scope's day and near this machine's.
fn is_current(signed_at: &str, date: &str, age_max: Duration) -> Option<bool> {
    let time = PrimitiveDateTime::parse(signed_at, SIGNING_TIME).ok()?.assume_utc();
    let age = (OffsetDateTime::now_utc() - time).unsigned_abs();
    Some(signed_at.starts_with(date) && age <= age_max)
}

/// The request as the signer wrote it down; `None` if it says that it signed what is not there.
fn canonical_request(request: &Parts, body: &[u8], signed_headers: &str) -> Option<String> {
    let mut canonical = format!("{}\n", request.method);
    let path = utf8_percent_encode(request.uri.path(), PATH);
    let mut query: Vec<&str> = request.uri.query().unwrap_or_default().split('&').collect();
    query.sort_unstable();
    // Writing to a String cannot fail.
    write!(canonical, "{path}\n{}\n", query.join("&")).ok();
    for name in signed_headers.split(';') {
        let values = request.headers.get_all(name).into_iter();
        let values: Vec<&str> = values.map(|value| value.to_str().map(str::trim)).collect::<Result<_, _>>().ok()?;
        if values.is_empty() {
            return None;
        }
        writeln!(canonical, "{name}:{}", values.join(",")).ok();
    }
    let body_hash = hex::encode(Sha256::digest(body));
    let named = text(&request.headers, "x-amz-content-sha256").unwrap_or(&body_hash);
    if named != body_hash && named != UNSIGNED_PAYLOAD {
        return None;
    }
    write!(canonical, "\n{signed_headers}\n{named}").ok();
    Some(canonical)
}

fn signing_key(credentials: &Credentials, authorization: &Authorization<'_>) -> Vec<u8> {
    let secret = format!("AWS4{}", credentials.secret_access_key);
    let steps = [authorization.date, authorization.region, authorization.service, "aws4_request"];
    steps.iter().fold(secret.into_bytes(), |key, step| mac(&key, step.as_bytes()).finalize().into_bytes().to_vec())
}

fn mac(key: &[u8], data: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(data);
    mac
}
