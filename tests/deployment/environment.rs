//! Each function's environment is what the function reads: no less, or it does not start; no more, or it does not count.

use std::{cell::RefCell, collections::BTreeSet};

use authorizer::Authorizer;
use connect::Connect;
use disconnect::Disconnect;
use event_handler::EventHandler;
use fan_out::FanOut;
use subscribe::Subscribe;

use crate::{application, function};

/// What Lambda itself sets.
const PLATFORM: [(&str, &str); 5] = [
    ("AWS_REGION", "eu-west-1"),
    ("AWS_ACCESS_KEY_ID", "key"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("AWS_SESSION_TOKEN", "token"),
    ("AWS_XRAY_DAEMON_ADDRESS", "169.254.79.129:2000"),
];

/// What is asked and is not there on AWS: addresses of other endpoints, whoever is let in without a token, smaller pages.
const ELSEWHERE: [&str; 7] = [
    "ANONYMOUS_SCOPE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_SQS",
    "LOCAL_MANAGEMENT_ENDPOINT",
    "PAGE_SUBSCRIBERS_MAX",
];

/// Lets a function read its environment as it is deployed, and compares what it asks for with what it has.
fn reads_what_it_has(name: &str, read: impl Fn(&dyn Fn(&str) -> Option<String>) -> Result<(), String>) {
    let application = application();
    let given = &function(&application, name).environment;
    let asked = RefCell::new(BTreeSet::new());
    let var = |variable: &str| {
        asked.borrow_mut().insert(variable.to_owned());
        let platform = PLATFORM.iter().find(|(name, _)| *name == variable).map(|(_, value)| (*value).to_owned());
        platform.or_else(|| given.get(variable).cloned())
    };
    assert_eq!(read(&var), Ok(()), "{name} starts with its environment");
    let given: BTreeSet<&str> = given.keys().map(String::as_str).collect();
    let asked = asked.into_inner();
    let elsewhere = |variable: &&str| ELSEWHERE.contains(variable) || PLATFORM.iter().any(|(name, _)| name == variable);
    let own: BTreeSet<&str> = asked.iter().map(String::as_str).filter(|variable| !elsewhere(variable)).collect();
    assert_eq!(given, own, "the environment of {name} in infra/lib/functions.ts, and what it reads");
}

/// The error's text, for whoever reads the failed test.
fn done<T, E: std::fmt::Display>(read: Result<T, E>) -> Result<(), String> {
    read.map(|_function| ()).map_err(|error| error.to_string())
}

#[test]
fn the_authorizer_reads_what_it_has() {
    reads_what_it_has("authorizer", |var| done(Authorizer::from_vars(var)));
}

#[test]
fn connect_reads_what_it_has() {
    reads_what_it_has("connect", |var| done(Connect::from_vars(&var)));
}

#[test]
fn disconnect_reads_what_it_has() {
    reads_what_it_has("disconnect", |var| done(Disconnect::from_vars(&var)));
}

#[test]
fn subscribe_reads_what_it_has() {
    reads_what_it_has("subscribe", |var| done(Subscribe::from_vars(&var)));
}

#[test]
fn the_event_handler_reads_what_it_has() {
    reads_what_it_has("event-handler", |var| done(EventHandler::from_vars(&var)));
}

#[test]
fn the_fan_out_reads_what_it_has() {
    reads_what_it_has("fan-out", |var| done(FanOut::from_vars(&var)));
}

#[test]
fn every_function_of_the_template_is_looked_at() {
    let application = application();
    let functions: BTreeSet<&str> = application.functions.values().map(|function| function.handler.as_str()).collect();
    assert_eq!(
        functions,
        BTreeSet::from(["authorizer", "connect", "disconnect", "event-handler", "fan-out", "subscribe"])
    );
}
