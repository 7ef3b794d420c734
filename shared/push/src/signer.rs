//! Signatures of requests to `@connections`.
//!
//! Owns: the canonical request of the few shapes that this crate sends; whose key signs, and until when.
//! Must not know: how a request is sent, what it is for.
//! Source: Signature Version 4; `aws-sigv4` makes the key and the signature, and signs the same in this module's tests.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use aws_types::{SdkConfig, region::Region};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "execute-api";
const SIGNING_TIME: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// Signs with the credentials and for the region of an SDK's configuration.
pub(crate) struct Signer {
    credentials: Option<SharedCredentialsProvider>,
    region: Option<Region>,
    /// What signs in this second.
    current: Mutex<Option<Arc<Signing>>>,
}

/// What all signatures of one second share.
pub(crate) struct Signing {
    epoch_s: u64,
    time: String,
    /// Day, region and service.
    scope: String,
    access_key_id: String,
    session_token: Option<String>,
    key: Vec<u8>,
}

/// What is signed of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signable<'a> {
    pub(crate) method: &'static str,
    /// The header `content-type`, if there is one.
    pub(crate) content_type: Option<&'static str>,
    /// The path, encoded once more than in the request.
    pub(crate) path: &'a str,
    pub(crate) host: &'a str,
    /// The SHA-256 of the body, in hexadecimal.
    pub(crate) body_hash: &'a str,
}

/// What is missing for a signature.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSigned {
    #[error("there is no region to sign for")]
    Region,
    #[error("there are no credentials to sign with")]
    Credentials(#[source] Option<CredentialsError>),
    #[error("the machine's time cannot be signed")]
    Time,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Signer {
    pub(crate) fn new(sdk: &SdkConfig) -> Self {
        Self { credentials: sdk.credentials_provider(), region: sdk.region().cloned(), current: Mutex::default() }
    }

    /// What signs at this moment. The credentials are asked for once a second, so that those that were renewed are used.
    pub(crate) async fn signing(&self) -> Result<Arc<Signing>, NotSigned> {
        let now = SystemTime::now();
        let epoch_s = now.duration_since(UNIX_EPOCH).map_err(|_before_1970| NotSigned::Time)?.as_secs();
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(current) = current.filter(|current| current.epoch_s == epoch_s) {
            return Ok(current);
        }
        let signing = Arc::new(self.signing_at(epoch_s).await?);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&signing));
        Ok(signing)
    }

    async fn signing_at(&self, epoch_s: u64) -> Result<Signing, NotSigned> {
        let region = self.region.as_ref().ok_or(NotSigned::Region)?;
        let provider = self.credentials.as_ref().ok_or(NotSigned::Credentials(None))?;
        let credentials = provider.provide_credentials().await;
        let credentials = credentials.map_err(|error| NotSigned::Credentials(Some(error)))?;
        let at = UNIX_EPOCH + std::time::Duration::from_secs(epoch_s);
        let time = OffsetDateTime::from(at).format(SIGNING_TIME).map_err(|_year_10000| NotSigned::Time)?;
        let day = time.get(..8).ok_or(NotSigned::Time)?;
        Ok(Signing {
            epoch_s,
            scope: format!("{day}/{region}/{SERVICE}/aws4_request"),
            access_key_id: credentials.access_key_id().to_owned(),
            session_token: credentials.session_token().map(str::to_owned),
            key: generate_signing_key(credentials.secret_access_key(), at, region.as_ref(), SERVICE).as_ref().to_vec(),
            time,
        })
    }
}

impl Signing {
    /// The header `x-amz-date`.
    pub(crate) fn time(&self) -> &str {
        &self.time
    }

    /// The header `x-amz-security-token`, of credentials that are lent for a while.
    pub(crate) fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    /// The header `authorization`.
    pub(crate) fn authorization(&self, request: Signable<'_>) -> String {
        let Signable { method, content_type, path, host, body_hash } = request;
        let (time, scope) = (self.time.as_str(), self.scope.as_str());
        let (type_line, type_name) = match content_type {
            Some(content_type) => (["content-type:", content_type, "\n"], "content-type;"),
            None => ([""; 3], ""),
        };
        let (token_line, token_name) = match &self.session_token {
            Some(token) => (["x-amz-security-token:", token, "\n"], ";x-amz-security-token"),
            None => ([""; 3], ""),
        };
        let names = [type_name, "host;x-amz-date", token_name].concat();
        let (type_line, token_line) = (type_line.concat(), token_line.concat());
        let headers = [&type_line, "host:", host, "\nx-amz-date:", time, "\n", &token_line].concat();
        let canonical = [method, "\n", path, "\n\n", &headers, "\n", &names, "\n", body_hash].concat();
        let canonical = hex::encode(Sha256::digest(canonical));
        let to_sign = [ALGORITHM, "\n", time, "\n", scope, "\n", &canonical].concat();
        let signature = calculate_signature(&self.key, to_sign.as_bytes());
        let credential = [&self.access_key_id, "/", scope].concat();
        [ALGORITHM, " Credential=", &credential, ", SignedHeaders=", &names, ", Signature=", &signature].concat()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_credential_types::Credentials;
    use aws_sigv4::{
        http_request::{SignableBody, SignableRequest, SigningSettings, sign},
        sign::v4,
    };
    use domain::ConnectionId;
    use proptest::prelude::*;

    use super::*;
    use crate::{ManagementEndpoint, frame::Frame};

    /// The headers that `aws-sigv4` adds to a request.
    fn reference(
        credentials: &Credentials,
        epoch_s: u64,
        method: &str,
        url: &str,
        body: &str,
    ) -> Vec<(String, String)> {
        let identity = credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("eu-central-1")
            .name(SERVICE)
            .time(UNIX_EPOCH + Duration::from_secs(epoch_s))
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let content_type = (method == "POST").then_some(("content-type", "application/octet-stream"));
        let body = SignableBody::Bytes(body.as_bytes());
        let request = SignableRequest::new(method, url, content_type.into_iter(), body).unwrap();
        let (instructions, _) = sign(request, &params.into()).unwrap().into_parts();
        let headers = instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut headers: Vec<_> = headers.collect();
        headers.sort();
        headers
    }

    async fn signed(
        credentials: &Credentials,
        epoch_s: u64,
        method: &'static str,
        url: &str,
        id: &str,
        body: &str,
    ) -> Vec<(String, String)> {
        let sdk = SdkConfig::builder()
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            .build();
        let endpoint = ManagementEndpoint::from_vars(|_| Some(url.to_owned())).unwrap();
        let place = endpoint.place(&ConnectionId::new(id));
        let signing = Signer::new(&sdk).signing_at(epoch_s).await.unwrap();
        let authorization = signing.authorization(Signable {
            method,
            content_type: (method == "POST").then_some("application/octet-stream"),
            path: &place.signed_path,
            host: endpoint.host(),
            body_hash: &Frame::new(body).hash,
        });
        let token = signing.session_token().map(|token| ("x-amz-security-token".to_owned(), token.to_owned()));
        let date = ("x-amz-date".to_owned(), signing.time().to_owned());
        [("authorization".to_owned(), authorization), date].into_iter().chain(token).collect()
    }

    proptest! {
        #[test]
        fn every_request_is_signed_as_aws_sigv4_signs_it(
            is_post: bool,
            token in prop::option::of("[A-Za-z0-9+/=]{1,300}"),
            id in "[ -~é]{1,20}".prop_filter("a path's dots mean something", |id| id != "." && id != ".."),
            url in prop::sample::select(vec![
                "https://abcdef1234.execute-api.eu-central-1.amazonaws.com/live", "http://127.0.0.1:3001/local",
                "https://a:443/live", "https://ws.example.com", "https://a/l%20ive",
            ]),
            body in ".{0,40}",
            epoch_s in 0_u64..4_000_000_000,
        ) {
            let credentials = Credentials::new("AKID", "secret", token, None, "test");
            let method = if is_post { "POST" } else { "DELETE" };
            let body = if is_post { body } else { String::new() };
            let place = ManagementEndpoint::from_vars(|_| Some(url.to_owned())).unwrap().place(&ConnectionId::new(&id));
            let wanted = reference(&credentials, epoch_s, method, &place.url, &body);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            prop_assert_eq!(runtime.block_on(signed(&credentials, epoch_s, method, url, &id, &body)), wanted);
        }
    }

    #[tokio::test]
    async fn without_region_or_credentials_nothing_is_signed() {
        let signing = Signer::new(&SdkConfig::builder().build()).signing().await;
        assert!(matches!(signing, Err(NotSigned::Region)));
        let signing = Signer::new(&SdkConfig::builder().region(Region::new("eu-central-1")).build()).signing().await;
        assert!(matches!(signing, Err(NotSigned::Credentials(None))));
    }

    #[tokio::test]
    async fn what_signs_is_made_once_a_second_and_never_shown() {
        let credentials = Credentials::new("AKID", "secret", Some("token".into()), None, "test");
        let sdk = SdkConfig::builder()
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        let signer = Signer::new(&sdk.build());
        let mut signing = signer.signing().await.unwrap();
        let is_shared = async || {
            let next = signer.signing().await.unwrap();
            let is_shared = Arc::ptr_eq(&signing, &next);
            assert_eq!(is_shared, signing.epoch_s == next.epoch_s);
            signing = next;
            is_shared
        };
        // Two of three moments are in the same second.
        let mut is_shared = is_shared;
        assert!(is_shared().await || is_shared().await);
        let shown = format!("{signer:?}");
        assert!(!["secret", "token", "AKID"].iter().any(|secret| shown.contains(secret)), "{shown}");
    }
}
