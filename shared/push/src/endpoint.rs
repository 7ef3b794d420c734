//! The address of `@connections`.
//!
//! Owns: which variables hold it, and what of it goes into a request and into its signature.
//! Must not know: what is sent there.
//! Source: the first variable is the one that every AWS SDK honours; the second is set by the template.

use domain::{ConnectionId, Stage};
use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is in a part of a path: unreserved characters.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What stays as it is in a whole path: the separator too.
const PATH: &AsciiSet = &PART.remove(b'/');

/// The address of a local stack's `@connections` as the stack prints it, whichever proxy this process's calls go through.
const LOCAL_VARIABLE: &str = "LOCAL_MANAGEMENT_ENDPOINT";

/// The address of an API stage's management API, without `/@connections`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagementEndpoint {
    url: String,
    host: String,
    /// The path as a signature names it: encoded once more.
    signed_path: String,
}

/// No variable holds the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable MANAGEMENT_ENDPOINT must be the https:// address of the API's stage")]
pub struct MissingEndpoint;

/// A connection's place below an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where a request goes.
    pub(crate) url: String,
    /// The same place's path, as a signature names it.
    pub(crate) signed_path: String,
}

impl ManagementEndpoint {
    /// Reads `AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI`, else `MANAGEMENT_ENDPOINT`.
    ///
    /// # Errors
    /// [`MissingEndpoint`] if neither is an http address.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, MissingEndpoint> {
        let url = var("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI").or_else(|| var("MANAGEMENT_ENDPOINT"));
        url.and_then(|url| Self::parse(&url)).ok_or(MissingEndpoint)
    }

    /// The stage that the address belongs to.
    pub(crate) fn stage(&self, var: impl Fn(&str) -> Option<String>) -> Stage {
        Stage::new(var(LOCAL_VARIABLE).unwrap_or_else(|| self.url.clone()))
    }

    fn parse(url: &str) -> Option<Self> {
        let url = url.trim_end_matches('/');
        let uri: Uri = url.parse().ok()?;
        let usual_port = match uri.scheme_str()? {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        // A request names no port that its scheme implies.
        let host = if uri.port_u16() == Some(usual_port) { authority.host() } else { authority.as_str() };
        let path = uri.path().trim_end_matches('/');
        uri.query().is_none().then(|| Self {
            url: url.to_owned(),
            host: host.to_owned(),
            signed_path: utf8_percent_encode(path, PATH).to_string(),
        })
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// What the header `host` has to be.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// A connection's place. An id goes into it encoded, and into the signature encoded twice.
    pub(crate) fn place(&self, connection_id: &ConnectionId) -> Place {
        let encoded = utf8_percent_encode(connection_id.as_str(), PART).to_string();
        Place {
            url: [&self.url, "/@connections/", &encoded].concat(),
            signed_path: [&self.signed_path, "/%40connections/", &encoded.replace('%', "%25")].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &'static str) -> Result<ManagementEndpoint, MissingEndpoint> {
        ManagementEndpoint::from_vars(|name| (name == "MANAGEMENT_ENDPOINT").then(|| url.into()))
    }

    #[test]
    fn the_sdks_own_variable_goes_before_the_templates() {
        let both =
            |name: &str| Some(if name == "MANAGEMENT_ENDPOINT" { "https://b/live" } else { "http://a/local/" }.into());
        assert_eq!(ManagementEndpoint::from_vars(both).unwrap().as_str(), "http://a/local");
        assert_eq!(endpoint("https://b/live").unwrap().as_str(), "https://b/live");
    }

    #[test]
    fn a_stage_is_the_same_one_behind_a_proxy() {
        let behind_proxy = |name: &str| (name == LOCAL_VARIABLE).then(|| "http://127.0.0.1:3001/local".to_owned());
        assert_eq!(endpoint("http://127.0.0.1:9/local/").unwrap().stage(|_| None).as_str(), "http://127.0.0.1:9/local");
        let stage = endpoint("http://127.0.0.1:9/local").unwrap().stage(behind_proxy);
        assert_eq!(stage.as_str(), "http://127.0.0.1:3001/local");
    }

    #[test]
    fn what_is_no_http_address_is_refused() {
        for url in
            ["", "b/live", "ws://b/live", "https://", "https://a b/live", "https://a:b@c/live", "https://a/b?c=d"]
        {
            assert_eq!(endpoint(url), Err(MissingEndpoint), "{url}");
        }
    }

    #[test]
    fn a_request_names_no_port_that_its_scheme_implies() {
        for (url, host) in [
            ("https://a:443/live", "a"),
            ("https://a:80/live", "a:80"),
            ("http://a:80", "a"),
            ("http://127.0.0.1:3001/local", "127.0.0.1:3001"),
        ] {
            assert_eq!(endpoint(url).unwrap().host(), host, "{url}");
        }
    }

    #[test]
    fn an_id_is_encoded_in_the_url_and_once_more_in_the_signature() {
        let place = endpoint("https://a/live/").unwrap().place(&ConnectionId::new("L0SM9cOFvHcCIhw="));
        assert_eq!(place.url, "https://a/live/@connections/L0SM9cOFvHcCIhw%3D");
        assert_eq!(place.signed_path, "/live/%40connections/L0SM9cOFvHcCIhw%253D");
        let place = endpoint("https://a").unwrap().place(&ConnectionId::new("a/../b?c#d é"));
        assert_eq!(place.url, "https://a/@connections/a%2F..%2Fb%3Fc%23d%20%C3%A9");
    }
}
