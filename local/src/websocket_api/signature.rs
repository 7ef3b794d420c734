//! AWS Signature Version 4, as the one who checks it.
//!
//! Owns: recomputing a request's signature from what the client says that it signed.
//! Must not know: what the request is for.
//! Source: AWS general reference, "Signature Version 4"; the path is encoded once more, as for every service but S3.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write as _, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, StatusCode, request::Parts};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::{Answer, Credentials, Shared, reply};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "execute-api";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
const SIGNING_TIME: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// Longest time that a URL may be signed for. Source: Signature Version 4, seven days.
const PRESIGNED_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What stays as it is in a canonical query: unreserved characters.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What stays as it is in a canonical path: the separator too.
const PATH: &AsciiSet = &QUERY.remove(b'/');

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
    pub(super) fn answer(self) -> Answer {
        reply::error(StatusCode::FORBIDDEN, self.error_type(), &self.to_string())
    }

    fn error_type(self) -> &'static str {
        match self {
            Self::Unsigned => "MissingAuthenticationTokenException",
            Self::UnknownKey => "UnrecognizedClientException",
            Self::Expired | Self::Mismatch => "InvalidSignatureException",
        }
    }
}

/// What a signer says of a signature.
struct Signature<'a> {
    access_key_id: Cow<'a, str>,
    date: Cow<'a, str>,
    region: Cow<'a, str>,
    service: Cow<'a, str>,
    signed_headers: Cow<'a, str>,
    signature: Cow<'a, str>,
    /// `X-Amz-Date`.
    signed_at: Cow<'a, str>,
    /// How long it holds.
    age_max: Duration,
    /// Whether it is in the query, of which it is then no part.
    is_in_query: bool,
}

impl<'a> Signature<'a> {
    /// The signature of the `Authorization` header, else the one of the query.
    fn read(request: &'a Parts, age_max: Duration) -> Option<Self> {
        match text(&request.headers, "authorization") {
            Some(header) => Self::of_header(header, text(&request.headers, "x-amz-date")?, age_max),
            None => Self::of_query(request.uri.query()?),
        }
    }

    fn of_header(header: &'a str, signed_at: &'a str, age_max: Duration) -> Option<Self> {
        let fields = header.strip_prefix(ALGORITHM)?.split(',').filter_map(|field| field.trim().split_once('='));
        let fields: BTreeMap<&str, Cow<'_, str>> = fields.map(|(name, value)| (name, value.into())).collect();
        let names = ["Credential", "SignedHeaders", "Signature"];
        Self::of_fields(names.map(|name| fields.get(name).cloned()), signed_at.into(), age_max, false)
    }

    /// A URL that was signed beforehand.
    fn of_query(query: &'a str) -> Option<Self> {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let value = |text: &'a str| percent_decode_str(text).decode_utf8_lossy();
        let fields: BTreeMap<&str, Cow<'_, str>> = pairs.map(|(name, text)| (name, value(text))).collect();
        let field = |name: &str| fields.get(name).cloned();
        (field("X-Amz-Algorithm")? == ALGORITHM).then_some(())?;
        let age_max = Duration::from_secs(field("X-Amz-Expires")?.parse().ok()?).min(PRESIGNED_AGE_MAX);
        let names = ["X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature"];
        Self::of_fields(names.map(field), field("X-Amz-Date")?, age_max, true)
    }

    fn of_fields(
        [credential, signed_headers, signature]: [Option<Cow<'a, str>>; 3],
        signed_at: Cow<'a, str>,
        age_max: Duration,
        is_in_query: bool,
    ) -> Option<Self> {
        let credential = credential?;
        let scope: Vec<&str> = credential.split('/').collect();
        let [access_key_id, date, region, service, "aws4_request"] = scope.as_slice() else { return None };
        let owned = |text: &str| Cow::Owned(text.to_owned());
        Some(Self {
            access_key_id: owned(access_key_id),
            date: owned(date),
            region: owned(region),
            service: owned(service),
            signed_headers: signed_headers?,
            signature: signature?,
            signed_at,
            age_max,
            is_in_query,
        })
    }

    /// Whether its time is that of the scope's day and near this machine's.
    fn is_current(&self) -> Option<bool> {
        let time = PrimitiveDateTime::parse(&self.signed_at, SIGNING_TIME).ok()?.assume_utc();
        let age = (OffsetDateTime::now_utc() - time).unsigned_abs();
        Some(self.signed_at.starts_with(&*self.date) && age <= self.age_max)
    }
}

/// Checks that a request was signed with the stack's key, for this region and service, a short time ago.
pub(super) fn verify(request: &Parts, body: &[u8], shared: &Shared) -> Result<(), Refused> {
    let signature = Signature::read(request, shared.limits.signature_age_max).ok_or(Refused::Unsigned)?;
    if signature.access_key_id != shared.credentials.access_key_id {
        return Err(Refused::UnknownKey);
    }
    if !signature.is_current().unwrap_or(false) {
        return Err(Refused::Expired);
    }
    if signature.region != shared.api.region || signature.service != SERVICE {
        return Err(Refused::Mismatch);
    }
    let canonical = canonical_request(request, body, &signature).ok_or(Refused::Mismatch)?;
    let scope = format!("{}/{}/{SERVICE}/aws4_request", signature.date, signature.region);
    let canonical = hex::encode(Sha256::digest(canonical));
    let to_sign = format!("{ALGORITHM}\n{}\n{scope}\n{canonical}", signature.signed_at);
    let given = hex::decode(&*signature.signature).map_err(|_not_hex| Refused::Mismatch)?;
    let key = signing_key(&shared.credentials, &signature);
    // The comparison takes the same time wherever the first difference is.
    mac(&key, to_sign.as_bytes()).verify_slice(&given).map_err(|_differs| Refused::Mismatch)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The request as the signer wrote it down; `None` if it says that it signed what is not there.
fn canonical_request(request: &Parts, body: &[u8], signature: &Signature<'_>) -> Option<String> {
    let mut canonical = format!("{}\n", request.method);
    let path = utf8_percent_encode(request.uri.path(), PATH);
    let query = request.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let query = query.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let query = query.filter(|(name, _)| !(signature.is_in_query && *name == "X-Amz-Signature"));
    let encoded = |text: &str| utf8_percent_encode(&percent_decode_str(text).decode_utf8_lossy(), QUERY).to_string();
    let mut query: Vec<(String, String)> = query.map(|(name, value)| (encoded(name), encoded(value))).collect();
    query.sort_unstable();
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    // Writing to a String cannot fail.
    write!(canonical, "{path}\n{}\n", query.join("&")).ok();
    for name in signature.signed_headers.split(';') {
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
    write!(canonical, "\n{}\n{named}", signature.signed_headers).ok();
    Some(canonical)
}

fn signing_key(credentials: &Credentials, signature: &Signature<'_>) -> Vec<u8> {
    let secret = format!("AWS4{}", credentials.secret_access_key);
    let steps = [&*signature.date, &*signature.region, &*signature.service, "aws4_request"];
    steps.iter().fold(secret.into_bytes(), |key, step| mac(&key, step.as_bytes()).finalize().into_bytes().to_vec())
}

fn mac(key: &[u8], data: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(data);
    mac
}
