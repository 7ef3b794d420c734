//! Who may connect to the local stack.
//!
//! Owns: the choice between everybody, development tokens and a real issuer's tokens; what of it the template and the
//! functions are told, and what is said of it.
//! Must not know: how a token is checked.
//! Source: docs/security.md, "On one machine".

use std::collections::BTreeMap;

use anyhow::Context as _;
use authorizer::{Authorizer, shared_secret};
use domain::principal::READ_ALL_SCOPE;

use crate::{deployment::var, failure::Failure, token::Secret};

/// The template's parameters of access, the variable of this process that sets each, and what it is without.
const PARAMETERS: [(&str, &str, &str); 6] = [
    // Pages of this machine, whatever their port: no other site's page.
    (
        "AllowedOrigins",
        "ALLOWED_ORIGINS",
        "http://127.0.0.1,http://127.0.0.1:*,http://[::1]:*,http://localhost,http://localhost:*,https://localhost:*",
    ),
    (ISSUER, "JWT_ISSUER", ""),
    ("JwksUrl", "JWKS_URL", ""),
    ("JwtAudience", "JWT_AUDIENCE", ""),
    ("RedactedFields", "REDACTED_FIELDS", "stripeToken"),
    ("SubscriptionsMax", "SUBSCRIPTIONS_MAX", "100"),
];

const ISSUER: &str = "JwtIssuer";

/// Who is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whoever comes from this machine, to every order.
    Everybody,
    /// Who has a token of `foldcast token`.
    DevelopmentTokens(Secret),
    /// Who has a token of an issuer that publishes its keys.
    IssuersTokens,
    /// Whom the authorizer of another template lets in, if it has one.
    TemplatesOwn { authorizes: bool },
}

impl Access {
    /// What was asked for: without a word everybody, so that a first try needs no token; of another template, what it says.
    pub(crate) fn of(auth: bool, no_auth: bool, is_own_template: bool) -> Result<Self, Failure> {
        if !is_own_template {
            return Ok(Self::TemplatesOwn { authorizes: !no_auth });
        }
        if !auth {
            return Ok(Self::Everybody);
        }
        if var("JWKS_URL").is_some() {
            // What is wrong with the variables is said here, and not by each function that starts.
            Authorizer::from_vars(var).context("the issuer of --auth").map_err(Failure::usage)?;
            return Ok(Self::IssuersTokens);
        }
        let secret = Secret::from_vars(var);
        let with_secret = |name: &str| (name == shared_secret::SECRET_VARIABLE).then(|| secret.as_str().to_owned());
        Authorizer::with_secret(with_secret).context("the secret of --auth").map_err(Failure::usage)?;
        Ok(Self::DevelopmentTokens(secret))
    }

    /// Whether the template's authorizer is asked.
    pub(crate) fn authorizes(&self) -> bool {
        match self {
            Self::Everybody => false,
            Self::DevelopmentTokens(_) | Self::IssuersTokens => true,
            Self::TemplatesOwn { authorizes } => *authorizes,
        }
    }

    /// What the template is told.
    pub(crate) fn parameters(&self) -> BTreeMap<String, String> {
        let value = |(parameter, name, default): (&str, &str, &str)| {
            (parameter.to_owned(), var(name).unwrap_or_else(|| default.to_owned()))
        };
        PARAMETERS.map(value).into()
    }

    /// What the functions are told beside that.
    pub(crate) fn environment(&self) -> Option<(String, String)> {
        match self {
            Self::Everybody | Self::TemplatesOwn { authorizes: false } => {
                Some(("ANONYMOUS_SCOPE".to_owned(), READ_ALL_SCOPE.to_owned()))
            }
            Self::DevelopmentTokens(secret) => {
                Some((shared_secret::SECRET_VARIABLE.to_owned(), secret.as_str().to_owned()))
            }
            Self::IssuersTokens | Self::TemplatesOwn { authorizes: true } => None,
        }
    }

    /// What a stack says of itself, honestly.
    pub(crate) fn sentence(&self, is_authorized: bool) -> String {
        match self {
            Self::Everybody => {
                "everybody on this machine sees every order, without a token; --auth asks for one".to_owned()
            }
            Self::DevelopmentTokens(secret) if secret.is_well_known() => {
                "tokens of `foldcast token`, signed with a secret that everybody knows: for development alone"
                    .to_owned()
            }
            Self::DevelopmentTokens(_) => "tokens of `foldcast token`, signed with your JWT_SECRET".to_owned(),
            Self::IssuersTokens => format!("tokens of {}", self.parameters().remove(ISSUER).unwrap_or_default()),
            Self::TemplatesOwn { .. } if is_authorized => "as the template says".to_owned(),
            Self::TemplatesOwn { .. } => "no authorizer: whoever reaches this machine's loopback is let in".to_owned(),
        }
    }
}
