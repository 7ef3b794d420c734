//! The authorizer of `$connect`: who a browser is, by its token.
//!
//! Owns: the answer to API Gateway: a policy for `$connect` alone, and what later events say of the connection.
//! Must not know: orders, tables, messages; it has no right to anything but its log.
//! Source: developer guide, "Create an API Gateway Lambda REQUEST authorizer".

mod claims;
mod config;
mod crypto;
mod keys;
pub mod shared_secret;
mod token;

use std::collections::BTreeMap;

use domain::VariableError;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use claims::Invalid;
use claims::{Refusal, Verifier};
use keys::KeysUnavailable;
use token::Token;

/// Who a browser is that nobody vouches for.
const NOBODY: &str = "nobody";

/// What an authorizer is asked, as far as it is read.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upgrade {
    method_arn: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    query_string_parameters: BTreeMap<String, String>,
    request_context: RequestContext,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    connection_id: String,
    /// Milliseconds since 1970, by API Gateway's clock.
    request_time_epoch: i64,
}

/// Whether a policy lets a browser in.
#[derive(Clone, Copy, Debug, Serialize)]
enum Effect {
    Allow,
    Deny,
}

/// The keys cannot be had: nobody is let in, and API Gateway answers with status 500.
#[derive(Debug, thiserror::Error)]
#[error("no token can be checked")]
pub struct NoKeys(#[from] KeysUnavailable);

/// The function.
#[derive(Debug)]
pub struct Authorizer(Verifier);

/// Serves API Gateway until Lambda ends the process.
///
/// # Errors
/// What is wrong with the environment, or with the Runtime API.
pub async fn run(var: impl Fn(&str) -> Option<String>) -> Result<(), lambda_runtime::Error> {
    serve(&Authorizer::from_vars(var)?).await
}

/// The same with tokens by a shared secret, if the environment has one.
///
/// # Errors
/// What is wrong with the environment, or with the Runtime API.
pub async fn run_locally(var: impl Fn(&str) -> Option<String>) -> Result<(), lambda_runtime::Error> {
    serve(&Authorizer::with_secret(var)?).await
}

async fn serve(authorizer: &Authorizer) -> Result<(), lambda_runtime::Error> {
    let serve = async |event: LambdaEvent<Upgrade>| {
        authorizer.handle(&event.payload).await.map_err(lambda_runtime::Error::from)
    };
    lambda_runtime::run(service_fn(serve)).await
}

impl Authorizer {
    /// Takes tokens of an issuer that publishes its keys: `JWKS_URL`, `JWT_ISSUER` and `JWT_AUDIENCE`.
    ///
    /// # Errors
    /// [`VariableError`] names the variable that is missing or wrong.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, VariableError> {
        crypto::install();
        Ok(Self(config::published(var)?))
    }

    /// Takes tokens by the secret `JWT_SECRET`, and only without one those of an issuer.
    ///
    /// # Errors
    /// [`VariableError`] names the variable that is missing or wrong.
    pub fn with_secret(var: impl Fn(&str) -> Option<String>) -> Result<Self, VariableError> {
        crypto::install();
        Ok(Self(if var(shared_secret::SECRET_VARIABLE).is_some() {
            config::shared(var)?
        } else {
            config::published(var)?
        }))
    }

    /// Answers whether a browser may connect. Who brings no good token is denied and not an error, which would make
    /// an alarm of each.
    ///
    /// # Errors
    /// [`NoKeys`] if no token can be checked.
    pub async fn handle(&self, upgrade: &Upgrade) -> Result<Value, NoKeys> {
        let RequestContext { connection_id, request_time_epoch } = &upgrade.request_context;
        let refused = |reason: &dyn std::fmt::Display| {
            tracing::info!(connection_id, %reason, "refused");
            answer(Effect::Deny, &upgrade.method_arn, NOBODY, &BTreeMap::new())
        };
        let Some(token) = Token::of(&upgrade.headers, &upgrade.query_string_parameters) else {
            return Ok(refused(&"it has no token, or several"));
        };
        match self.0.verify(&token, request_time_epoch / 1_000).await {
            Ok(identity) => {
                let id = identity.principal.id.as_str();
                Ok(answer(Effect::Allow, &upgrade.method_arn, id, &identity.to_context()))
            }
            Err(Refusal::Invalid(invalid)) => Ok(refused(&invalid)),
            Err(Refusal::KeysUnavailable(unavailable)) => Err(unavailable.into()),
        }
    }
}

/// A policy about this one ARN: that of `$connect`, which is all that an authorizer is asked about.
fn answer(effect: Effect, method_arn: &str, principal_id: &str, context: &BTreeMap<&str, String>) -> Value {
    let statement = json!({"Action": "execute-api:Invoke", "Effect": effect, "Resource": method_arn});
    json!({
        "principalId": principal_id,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": context,
    })
}
