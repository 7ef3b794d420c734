//! `foldcast token`: a token for the local stack.
//!
//! Owns: the development secret, and how long a token is valid.
//! Must not know: how a token is checked.
//! Source: README.md, "Commands".

use std::fmt;

use anyhow::anyhow;
use authorizer::shared_secret;
use domain::PrincipalId;
use store::now_ms;

use crate::{args, deployment::var, failure::Failure};

/// What signs tokens unless `JWT_SECRET` is set. It is no secret: whoever reads this can sign.
const WELL_KNOWN: &str = "foldcast's development secret, which everybody knows";

/// A secret that this process signs with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        Self(var(shared_secret::SECRET_VARIABLE).unwrap_or_else(|| WELL_KNOWN.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_well_known(&self) -> bool {
        self.0 == WELL_KNOWN
    }

    /// A token for this user from now on.
    pub(crate) fn sign(&self, sub: &str, scope: &str, valid_s: i64) -> anyhow::Result<String> {
        let now_s = now_ms() / 1_000;
        Ok(shared_secret::token(&self.0, sub, scope, now_s, now_s.saturating_add(valid_s))?)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

pub(crate) fn run(options: &args::Token) -> Result<(), Failure> {
    let args::Token { sub, scope, expires_in } = options;
    PrincipalId::new(sub).map_err(|invalid| Failure::usage(anyhow!("--sub: {invalid}")))?;
    println!("{}", Secret::from_vars(var).sign(sub, scope, (*expires_in).into())?);
    Ok(())
}
