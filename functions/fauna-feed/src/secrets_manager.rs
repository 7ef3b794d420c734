//! FaunaDB's secret in AWS Secrets Manager.
//!
//! Owns: reading one secret, by one signed request: the service's SDK would be a hundred times the code of this file.
//! Must not know: what the secret opens.
//! Source: Secrets Manager API reference, `GetSecretValue`; AWS JSON protocol 1.1; Signature Version 4 by `aws-sigv4`.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningError, SigningSettings, sign},
    sign::v4,
};
use domain::{Json, VariableError};
use reqwest::{Client, redirect::Policy};
use serde_json::json;

use crate::Secret;

/// The variable with the address of Secrets Manager, where it is not AWS's own.
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL_SECRETS_MANAGER";

const TARGET: &str = "secretsmanager.GetSecretValue";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
const TIME_OUT: Duration = Duration::from_secs(3);

/// A secret of Secrets Manager, and who asks for it.
#[derive(Debug)]
pub(crate) struct StoredSecret {
    client: Client,
    arn: String,
    endpoint: String,
    region: String,
    credentials: Credentials,
}

/// The secret was not had. No answer's text is repeated.
#[derive(Debug, thiserror::Error)]
pub enum NoSecretValue {
    /// The request could not be signed.
    #[error("the request for FaunaDB's secret could not be signed")]
    NotSigned(#[from] SigningError),
    /// Secrets Manager did not answer.
    #[error("Secrets Manager does not answer")]
    Unanswered,
    /// It refuses.
    #[error("Secrets Manager refuses FaunaDB's secret with status {0}")]
    Refused(u16),
    /// What it holds is no secret of FaunaDB's.
    #[error("Secrets Manager holds no text that is a secret of FaunaDB's")]
    NoText,
}

impl StoredSecret {
    /// The secret with this ARN or name, asked for with the credentials of the environment.
    pub(crate) fn new(arn: String, var: impl Fn(&str) -> Option<String>) -> Result<Self, VariableError> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let set = |name: &'static str| var(name).filter(|value| !value.is_empty()).ok_or(VariableError::Absent(name));
        let region = set("AWS_REGION")?;
        let token = var("AWS_SESSION_TOKEN").filter(|token| !token.is_empty());
        let (key, secret) = (set("AWS_ACCESS_KEY_ID")?, set("AWS_SECRET_ACCESS_KEY")?);
        let endpoint = var(ENDPOINT_VARIABLE).filter(|url| !url.is_empty());
        let endpoint = endpoint.unwrap_or_else(|| format!("https://secretsmanager.{region}.amazonaws.com"));
        let client = Client::builder().timeout(TIME_OUT).redirect(Policy::none()).build();
        let must_be = "an address of Secrets Manager";
        let client = client.map_err(|_no_client| VariableError::Malformed { name: ENDPOINT_VARIABLE, must_be })?;
        let credentials = Credentials::new(key, secret, token, None, "environment");
        Ok(Self { client, arn, endpoint: format!("{}/", endpoint.trim_end_matches('/')), region, credentials })
    }

    /// The secret as it is; it may have been changed since it was read last.
    pub(crate) async fn read(&self) -> Result<Secret, NoSecretValue> {
        let body = json!({"SecretId": self.arn}).to_string();
        let mut request = self.client.post(&self.endpoint).header("Content-Type", CONTENT_TYPE);
        for (name, value) in self.signed(&body)? {
            request = request.header(name, value);
        }
        let request = request.header("X-Amz-Target", TARGET).body(body);
        let answer = request.send().await.map_err(|_unanswered| NoSecretValue::Unanswered)?;
        if !answer.status().is_success() {
            return Err(NoSecretValue::Refused(answer.status().as_u16()));
        }
        let body = answer.bytes().await.map_err(|_unanswered| NoSecretValue::Unanswered)?;
        let value = Json::parse(&body).map_err(|_not_json| NoSecretValue::NoText)?;
        let text = value.get("SecretString").and_then(Json::as_str).ok_or(NoSecretValue::NoText)?;
        Secret::new(text).map_err(|_no_secret| NoSecretValue::NoText)
    }

    /// The headers that sign a request with this body.
    fn signed(&self, body: &str) -> Result<Vec<(String, String)>, NoSecretValue> {
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("secretsmanager")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|_incomplete| NoSecretValue::Unanswered)?;
        let headers = [("content-type", CONTENT_TYPE), ("x-amz-target", TARGET)].into_iter();
        let request = SignableRequest::new("POST", &self.endpoint, headers, SignableBody::Bytes(body.as_bytes()))?;
        let (instructions, _signature) = sign(request, &params.into())?.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
