//! How this process reaches AWS.
//!
//! Owns: region, credentials, endpoint, HTTP client, time-outs and retries of every SDK client, from the usual variables.
//! Must not know: which service is called; `push` builds its client from the same [`SdkConfig`].
//! Source: the variables that Lambda sets and the AWS CLI reads. `aws-config` would add two SDKs to every function.

use std::time::Duration;

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_dynamodb::config::BehaviorVersion;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::{SdkConfig, region::Region};
use domain::VariableError;

/// The variable with DynamoDB's address, where it is not AWS's own.
pub const DYNAMODB_ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL_DYNAMODB";

/// The longest wait for one answer; DynamoDB answers within a few milliseconds or not at all.
const ATTEMPT_TIME_OUT: Duration = Duration::from_secs(3);
const CONNECT_TIME_OUT: Duration = Duration::from_secs(1);
const TRIES_MAX: u32 = 5;
const IMPATIENT_ATTEMPTS_MAX: u32 = 2;

/// What all SDK clients of this process share.
///
/// # Errors
/// [`VariableError`] for a region or credentials that are absent.
pub fn sdk_config(var: impl Fn(&str) -> Option<String>) -> Result<SdkConfig, VariableError> {
    let set = |name: &'static str| var(name).filter(|value| !value.is_empty());
    let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")).ok_or(VariableError::Absent("AWS_REGION"))?;
    let key = set("AWS_ACCESS_KEY_ID").ok_or(VariableError::Absent("AWS_ACCESS_KEY_ID"))?;
    let secret = set("AWS_SECRET_ACCESS_KEY").ok_or(VariableError::Absent("AWS_SECRET_ACCESS_KEY"))?;
    let credentials = Credentials::new(key, secret, set("AWS_SESSION_TOKEN"), None, "environment");
    let endpoint = set(DYNAMODB_ENDPOINT_VARIABLE).or_else(|| set("AWS_ENDPOINT_URL"));
    let time_outs =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIME_OUT).operation_attempt_timeout(ATTEMPT_TIME_OUT);
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client(endpoint.as_deref()))
        .retry_config(RetryConfig::standard().with_max_attempts(TRIES_MAX))
        .timeout_config(time_outs.build());
    config.set_endpoint_url(endpoint);
    Ok(config.build())
}

/// The same for whoever can defer what fails: a call that is throttled or not answered costs a second or two, and not ten.
#[must_use]
pub fn impatient(sdk: &SdkConfig) -> SdkConfig {
    let retries = RetryConfig::standard().with_max_attempts(IMPATIENT_ATTEMPTS_MAX);
    sdk.to_builder().retry_config(retries).build()
}

/// A DynamoDB client.
#[must_use]
pub fn dynamodb(sdk: &SdkConfig) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(sdk)
}

/// Reading the machine's root certificates takes longer than a whole cold start: a plain endpoint goes without.
fn http_client(endpoint: Option<&str>) -> SharedHttpClient {
    if endpoint.is_some_and(|url| url.starts_with("http://")) {
        Builder::new().build_http()
    } else {
        Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(vars: &'static [(&str, &str)]) -> Result<SdkConfig, VariableError> {
        sdk_config(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn region_and_credentials_come_from_the_usual_variables() {
        let local = [
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000"),
        ];
        let sdk = config(Box::leak(Box::new(local))).unwrap();
        assert_eq!(sdk.region().unwrap().as_ref(), "us-east-1");
        assert_eq!(sdk.endpoint_url(), Some("http://127.0.0.1:8000"));
    }

    #[test]
    fn what_is_absent_is_named() {
        assert_eq!(config(&[("AWS_REGION", "")]).unwrap_err(), VariableError::Absent("AWS_REGION"));
        assert_eq!(config(&[("AWS_REGION", "x")]).unwrap_err(), VariableError::Absent("AWS_ACCESS_KEY_ID"));
    }
}
