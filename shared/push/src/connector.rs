//! The HTTP client that the process's SDK clients share.
//!
//! Owns: taking it out of an SDK's configuration.
//! Must not know: what is sent.
//! Source: the SDKs' seam for HTTP clients. It wants the parts of a whole SDK client; of them it uses the clock alone.

use aws_smithy_runtime::client::{
    auth::no_auth::{NO_AUTH_SCHEME_ID, NoAuthScheme},
    identity::{IdentityCache, no_auth::NoAuthIdentityResolver},
    orchestrator::endpoints::StaticUriEndpointResolver,
    retries::strategy::NeverRetryStrategy,
};
use aws_smithy_runtime_api::client::{
    auth::static_resolver::StaticAuthSchemeOptionResolver,
    http::{HttpClient, HttpConnectorSettings, SharedHttpConnector},
    runtime_components::RuntimeComponents,
};
use aws_types::SdkConfig;

/// The connector that DynamoDB's client has as well: the same time-out of a connect means the same pool and the same
/// TLS, whose certificates are read once. `None` if the configuration has no HTTP client.
pub(crate) fn of(sdk: &SdkConfig) -> Option<SharedHttpConnector> {
    let components = RuntimeComponents::builder("push")
        .with_auth_scheme(NoAuthScheme::new())
        .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(Vec::new())))
        .with_endpoint_resolver(Some(StaticUriEndpointResolver::uri("")))
        .with_identity_cache(Some(IdentityCache::no_cache()))
        .with_identity_resolver(NO_AUTH_SCHEME_ID, NoAuthIdentityResolver::new())
        .with_retry_strategy(Some(NeverRetryStrategy::new()))
        .with_sleep_impl(sdk.sleep_impl())
        .build()
        .ok()?;
    let time_outs = sdk.timeout_config();
    let mut settings = HttpConnectorSettings::builder();
    settings.set_connect_timeout(time_outs.and_then(|time_outs| time_outs.connect_timeout()));
    settings.set_read_timeout(time_outs.and_then(|time_outs| time_outs.read_timeout()));
    Some(sdk.http_client()?.http_connector(&settings.build(), &components))
}
