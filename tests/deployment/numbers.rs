//! Numbers and words that stand in the template and in the programs.

use domain::{Redaction, limits};
use local::{
    application::{IntegrationTarget, MockReply},
    websocket_api::Limits,
};
use protocol::Message;

use crate::{application, function, json};

#[test]
fn a_pushing_function_has_time_for_its_slowest_push_and_its_reserve() {
    let application = application();
    let slowest_push = limits::PUSH_TIME_OUT * limits::PUSH_SILENT_TRIES_MAX;
    for name in ["event-handler", "subscribe"] {
        let time_out = function(&application, name).time_out;
        assert!(time_out > limits::INVOCATION_RESERVE + slowest_push, "{name} has {time_out:?}");
    }
}

#[test]
fn a_function_that_api_gateway_waits_for_does_not_work_on_when_it_has_given_up() {
    let application = application();
    let waits = Limits::default().integration_time_out;
    for target in application.api.as_ref().unwrap().routes.values() {
        if let IntegrationTarget::Function(logical_id) = &target.integration {
            let time_out = application.functions[logical_id].time_out;
            assert!(time_out <= waits, "{logical_id} has {time_out:?}");
        }
    }
}

#[test]
fn the_subscriptions_of_a_connection_are_the_programs_number_and_at_most_its_ceiling() {
    let application = application();
    let default = &function(&application, "subscribe").environment["SUBSCRIPTIONS_MAX"];
    assert_eq!(*default, limits::SUBSCRIPTIONS_PER_CONNECTION_MAX.to_string());
    let parameter = &json()["Parameters"]["SubscriptionsMax"];
    assert_eq!(limits::SUBSCRIPTIONS_PER_CONNECTION_CEILING, 1_000);
    assert_eq!(parameter["AllowedPattern"], "[1-9][0-9]{0,2}|1000", "a number from 1 to the ceiling");
}

#[test]
fn what_is_redacted_unless_the_operator_says_otherwise_is_the_programs_list() {
    let application = application();
    for name in ["event-handler", "subscribe"] {
        let list = &function(&application, name).environment["REDACTED_FIELDS"];
        assert_eq!(Redaction::from_list(list), Redaction::from_vars(|_| None), "{name}");
    }
}

#[test]
fn the_change_feed_keeps_the_order_and_loses_nothing_in_an_outage() {
    let application = application();
    let mapping = application.mappings.values().next().unwrap();
    assert_eq!((mapping.parallelization_factor, mapping.retry_attempts_max, mapping.record_age_max), (1, None, None));
    assert!(mapping.report_batch_item_failures && mapping.bisect && !mapping.from_latest);
}

#[test]
fn a_ping_is_answered_by_api_gateway_with_the_protocols_own_words() {
    let application = application();
    let ping = &application.api.as_ref().unwrap().routes["ping"];
    let pong = MockReply { status: 200, body: Some(Message::Pong.text()) };
    assert_eq!(ping.integration, IntegrationTarget::Mock(pong));
    assert!(ping.has_route_response);
}
