//! Lambda REQUEST authorizers on `$connect`.

use local::websocket_api::{Api, Authorization, Authorizer, IntegrationError, Limits};
use serde_json::{Value, json};

use crate::rig::{Invoked, Rig, echoing, keys};

const METHOD_ARN: &str = "arn:aws:execute-api:us-east-1:000000000000:abcdef1234/live/$connect";

fn policy(effect: &str, resource: &str) -> Value {
    let statement = json!({"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource});
    json!({"principalId": "me", "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}})
}

/// An API whose authorizer answers so.
fn authorized(
    invoked: &Invoked,
    asked: &Invoked,
    identity_sources: &[&str],
    reply: impl Fn(&Value) -> Result<Value, IntegrationError> + Send + Sync + 'static,
) -> Api {
    let identity_sources = identity_sources.iter().map(|source| source.parse().unwrap()).collect();
    let mut api = echoing(invoked);
    api.authorization = Authorization::Lambda(Authorizer { integration: asked.replying(reply), identity_sources });
    api
}

#[tokio::test]
async fn an_authorizer_is_asked_with_the_whole_upgrade_and_the_later_connection_id() {
    let (invoked, asked) = (Invoked::default(), Invoked::default());
    let api = authorized(&invoked, &asked, &[], |event| Ok(policy("Allow", event["methodArn"].as_str().unwrap())));
    let rig = Rig::start(api).await;
    let _browser = rig.connect_to("/live?token=t&token=u", &[("x-auth", "a")]).await.unwrap();
    let event = asked.events().remove(0);
    let expected = [
        "headers",
        "methodArn",
        "multiValueHeaders",
        "multiValueQueryStringParameters",
        "queryStringParameters",
        "requestContext",
        "stageVariables",
        "type",
    ];
    assert_eq!(keys(&event), expected);
    assert_eq!((&event["type"], &event["methodArn"]), (&json!("REQUEST"), &json!(METHOD_ARN)));
    assert_eq!(event["queryStringParameters"], json!({"token": "u"}));
    assert_eq!(event["multiValueQueryStringParameters"], json!({"token": ["t", "u"]}));
    assert_eq!(event["stageVariables"], json!({}));
    for (name, value) in [("Connection", "upgrade"), ("Upgrade", "websocket"), ("content-length", "0"), ("x-auth", "a")]
    {
        assert_eq!((&event["headers"][name], &event["multiValueHeaders"][name]), (&json!(value), &json!([value])));
    }
    let expected = [
        "apiId",
        "connectedAt",
        "connectionId",
        "domainName",
        "eventType",
        "extendedRequestId",
        "identity",
        "messageDirection",
        "requestId",
        "requestTime",
        "requestTimeEpoch",
        "routeKey",
        "stage",
    ];
    assert_eq!(keys(&event["requestContext"]), expected);
    let connect = invoked.event("CONNECT").await;
    assert_eq!(connect["requestContext"]["connectionId"], event["requestContext"]["connectionId"]);
    assert_eq!(connect["requestContext"]["connectedAt"], event["requestContext"]["connectedAt"]);
}

#[tokio::test]
async fn every_later_event_has_the_principal_and_the_context_as_strings_and_the_authorizer_is_asked_once() {
    let (invoked, asked) = (Invoked::default(), Invoked::default());
    let api = authorized(&invoked, &asked, &[], |_event| {
        let mut reply = policy("Allow", "*");
        reply["context"] = json!({"n": 1, "yes": true, "text": "x"});
        Ok(reply)
    });
    let rig = Rig::start(api).await;
    let mut browser = rig.connect().await;
    browser.ask("hi").await;
    browser.socket.close(None).await.unwrap();
    for event_type in ["CONNECT", "MESSAGE", "DISCONNECT"] {
        let event = invoked.event(event_type).await;
        let known = &event["requestContext"]["authorizer"];
        assert_eq!(keys(known), ["integrationLatency", "n", "principalId", "text", "yes"], "{event_type}");
        let values = (&known["n"], &known["principalId"], &known["text"], &known["yes"]);
        assert_eq!(values, (&json!("1"), &json!("me"), &json!("x"), &json!("true")), "{event_type}");
        assert!(known["integrationLatency"].is_u64(), "{event_type}");
    }
    assert_eq!(asked.events().len(), 1);
}

#[tokio::test]
async fn without_an_authorizer_no_event_has_one() {
    let invoked = Invoked::default();
    let rig = Rig::start(echoing(&invoked)).await;
    let event = rig.connect().await.ask("hi").await;
    assert!(event["requestContext"].get("authorizer").is_none());
}

#[tokio::test]
async fn a_missing_or_empty_identity_source_is_401_and_the_authorizer_is_not_asked() {
    let (invoked, asked) = (Invoked::default(), Invoked::default());
    let sources = ["route.request.querystring.token", "route.request.header.X-Auth"];
    let rig = Rig::start(authorized(&invoked, &asked, &sources, |_event| Ok(policy("Allow", "*")))).await;
    for (path, headers) in [
        ("/live", &[][..]),
        ("/live?token=t", &[]),
        ("/live", &[("x-auth", "a")]),
        ("/live?token=", &[("x-auth", "a")]),
        ("/live?token=t", &[("x-auth", "")]),
    ] {
        let refusal = rig.connect_to(path, headers).await.unwrap_err();
        assert_eq!((refusal.status, refusal.error_type.as_str()), (401, "UnauthorizedException"), "{path}");
        assert_eq!(refusal.body, r#"{"message":"Unauthorized"}"#);
    }
    assert!(asked.events().is_empty() && invoked.events().is_empty());
    rig.connect_to("/live?token=t", &[("x-auth", "a")]).await.unwrap();
    assert_eq!(asked.events().len(), 1, "it is asked once everything is there");
}

#[tokio::test]
async fn a_deny_or_a_policy_that_does_not_cover_connect_is_403() {
    let (invoked, asked) = (Invoked::default(), Invoked::default());
    let api = authorized(&invoked, &asked, &[], |event| {
        let query = &event["queryStringParameters"];
        Ok(policy(query["effect"].as_str().unwrap(), query["resource"].as_str().unwrap()))
    });
    let rig = Rig::start(api).await;
    let uncovered = "User is not authorized to access this resource";
    let explicit = "User is not authorized to access this resource with an explicit deny";
    for (path, message) in [
        ("/live?effect=Deny&resource=*", explicit),
        ("/live?effect=Allow&resource=arn:aws:execute-api:us-east-1:000000000000:abcdef1234/live/*/*", uncovered),
        ("/live?effect=Allow&resource=arn:aws:execute-api:us-east-1:000000000000:other/*", uncovered),
    ] {
        let refusal = rig.connect_to(path, &[]).await.unwrap_err();
        assert_eq!((refusal.status, refusal.error_type.as_str()), (403, "AccessDeniedException"), "{path}");
        assert_eq!(refusal.body, json!({"message": message}).to_string());
    }
    assert!(invoked.events().is_empty(), "$connect is not invoked");
    rig.connect_to("/live?effect=Allow&resource=*/live/*", &[]).await.unwrap();
}

#[tokio::test]
async fn an_authorizer_that_throws_unauthorized_is_401_and_one_that_fails_or_babbles_is_500() {
    let (invoked, asked) = (Invoked::default(), Invoked::default());
    let api = authorized(&invoked, &asked, &[], |event| {
        let failed = |reason: &str| Err(IntegrationError::Failed(reason.to_owned()));
        match event["queryStringParameters"]["how"].as_str().unwrap() {
            "unauthorized" => failed("Unauthorized"),
            "throws" => failed("unauthorized, or so"),
            "hangs" => Err(IntegrationError::TimedOut),
            "no-policy" => Ok(json!({"principalId": "me"})),
            "no-principal" => Ok(json!({"policyDocument": {"Statement": []}})),
            "nested" => {
                let mut reply = policy("Allow", "*");
                reply["context"] = json!({"nested": {"a": 1}});
                Ok(reply)
            }
            "large" => {
                let mut reply = policy("Allow", "*");
                reply["context"] = json!({"text": "x".repeat(Limits::default().authorizer_bytes_max)});
                Ok(reply)
            }
            _ => Ok(json!("babble")),
        }
    });
    let rig = Rig::start(api).await;
    assert_eq!(rig.connect_to("/live?how=unauthorized", &[]).await.unwrap_err().status, 401);
    for how in ["throws", "hangs", "no-policy", "no-principal", "nested", "large", "babble"] {
        let refusal = rig.connect_to(&format!("/live?how={how}"), &[]).await.unwrap_err();
        assert_eq!((refusal.status, refusal.error_type.as_str()), (500, "AuthorizerConfigurationException"), "{how}");
    }
    assert!(invoked.events().is_empty(), "$connect is not invoked");
}
