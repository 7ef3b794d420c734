//! The address of `@connections`.
//!
//! Owns: which variables hold it.
//! Must not know: what is sent there.
//! Source: the first variable is the one that every AWS SDK honours; the second is set by the template.

/// The address of an API stage's management API, without `/@connections`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagementEndpoint(String);

/// No variable holds the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable MANAGEMENT_ENDPOINT must be the https:// address of the API's stage")]
pub struct MissingEndpoint;

impl ManagementEndpoint {
    /// Reads `AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI`, else `MANAGEMENT_ENDPOINT`.
    ///
    /// # Errors
    /// [`MissingEndpoint`] if neither is an http address.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, MissingEndpoint> {
        let url = var("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI").or_else(|| var("MANAGEMENT_ENDPOINT"));
        let url = url.filter(|url| url.starts_with("https://") || url.starts_with("http://"));
        url.map(|url| Self(url.trim_end_matches('/').to_owned())).ok_or(MissingEndpoint)
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdks_own_variable_goes_before_the_templates() {
        let both =
            |name: &str| Some(if name == "MANAGEMENT_ENDPOINT" { "https://b/live" } else { "http://a/local/" }.into());
        assert_eq!(ManagementEndpoint::from_vars(both).unwrap().as_str(), "http://a/local");
        let one = |name: &str| (name == "MANAGEMENT_ENDPOINT").then(|| "https://b/live".into());
        assert_eq!(ManagementEndpoint::from_vars(one).unwrap().as_str(), "https://b/live");
        assert_eq!(ManagementEndpoint::from_vars(|_| Some("b/live".into())), Err(MissingEndpoint));
    }
}
