//! The deployment against the programs: does each function find what it reads, and do the numbers on both sides agree?
//!
//! Owns: the comparison of `infra/template.json` with each function's `from_vars` and with `limits.rs`.
//! Must not know: how the template is made.
//! Source: infra/lib/functions.ts; shared/domain/src/limits.rs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod environment;
mod numbers;

use std::collections::BTreeMap;

use local::{Function, application::Application, template};
use serde_json::Value;

const TEMPLATE: &str = include_str!("../../infra/template.json");

/// What an operator has to say at least.
const PARAMETERS: [(&str, &str); 4] = [
    ("JwksUrl", "https://issuer.example/jwks.json"),
    ("JwtIssuer", "https://issuer.example/"),
    ("JwtAudience", "shop"),
    ("AllowedOrigins", "https://shop.example"),
];

fn json() -> Value {
    serde_json::from_str(TEMPLATE).unwrap()
}

/// What the template declares, deployed with these parameters.
fn application() -> Application {
    let parameters: BTreeMap<String, String> = PARAMETERS.map(|(name, value)| (name.into(), value.into())).into();
    template::read(&json(), &parameters).unwrap()
}

/// A function by its crate.
fn function<'a>(application: &'a Application, name: &str) -> &'a Function {
    application.functions.values().find(|function| function.handler == name).unwrap()
}
