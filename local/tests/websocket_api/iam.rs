//! `AWS_IAM` on `$connect`: an upgrade that is signed.

use std::time::{Duration, SystemTime};

use local::websocket_api::{Api, Authorization};
use serde_json::json;

use crate::{
    rig::{Invoked, Rig, echoing, upgrade},
    signed::Caller,
};

fn signed(invoked: &Invoked) -> Api {
    let mut api = echoing(invoked);
    api.authorization = Authorization::Iam;
    api
}

#[tokio::test]
async fn an_upgrade_without_a_signature_is_403_missing_authentication_token() {
    let invoked = Invoked::default();
    let rig = Rig::start(signed(&invoked)).await;
    let refusal = rig.connect_to("/live", &[]).await.unwrap_err();
    assert_eq!((refusal.status, refusal.error_type.as_str()), (403, "MissingAuthenticationTokenException"));
    assert_eq!(refusal.body, r#"{"message":"Missing Authentication Token"}"#);
    assert!(invoked.events().is_empty(), "$connect is not invoked");
}

#[tokio::test]
async fn an_upgrade_signed_in_its_headers_or_its_query_is_let_in_and_events_name_the_caller() {
    for in_query in [true, false] {
        let invoked = Invoked::default();
        let rig = Rig::start(signed(&invoked)).await;
        let caller = Caller::of(&rig);
        let request = if in_query {
            upgrade(&caller.presigned("/live?order=a%20b"), "")
        } else {
            let headers = caller.headers("GET", "/live", b"");
            upgrade("/live", &headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>())
        };
        let request = request.replace("host: localhost", &format!("host: {}", rig.address));
        let answer = rig.head(&request).await;
        assert!(answer.starts_with("HTTP/1.1 101"), "in the query: {in_query}: {answer}");
        let expected = json!({
            "accessKey": "key", "accountId": "000000000000", "caller": "key", "sourceIp": "127.0.0.1", "user": "key",
            "userArn": "arn:aws:iam::000000000000:user/key",
        });
        for event_type in ["CONNECT", "DISCONNECT"] {
            assert_eq!(invoked.event(event_type).await["requestContext"]["identity"], expected, "{event_type}");
        }
    }
}

#[tokio::test]
async fn a_signature_that_is_forged_expired_or_of_another_key_is_403() {
    let rig = Rig::start(signed(&Invoked::default())).await;
    let forged = Caller { secret_access_key: "other", ..Caller::of(&rig) };
    let unknown = Caller { access_key_id: "other", ..Caller::of(&rig) };
    let elsewhere = Caller { region: "eu-west-1", ..Caller::of(&rig) };
    let expired = Caller { signed_at: SystemTime::now() - Duration::from_secs(61), ..Caller::of(&rig) };
    let host = format!("host: {}", rig.address);
    for (caller, error_type) in [
        (forged, "InvalidSignatureException"),
        (unknown, "UnrecognizedClientException"),
        (elsewhere, "InvalidSignatureException"),
        (expired, "InvalidSignatureException"),
    ] {
        let request = upgrade(&caller.presigned("/live"), "").replace("host: localhost", &host);
        let answer = rig.head(&request).await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains(error_type), "{error_type}: {answer}");
    }
}
