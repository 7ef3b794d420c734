//! Which tokens are accepted, and what each forgery comes to.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod issuer;

use authorizer::{Authorizer, shared_secret};
use issuer::{Issuer, Key, hashed, unsigned};
use serde_json::{Value, json};

const NOW_S: i64 = 1_800_000_000;
const METHOD_ARN: &str = "arn:aws:execute-api:us-east-1:000000000000:abcdef1234/live/$connect";

fn claims() -> Value {
    json!({"iss": "https://issuer.example/", "aud": ["foldcast", "other"], "sub": "user_123", "exp": NOW_S + 60})
}

/// Good claims, but for these; what is null is left out.
fn claims_with(changed: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changed.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn authorizer(issuer: &Issuer) -> Authorizer {
    let url = issuer.url();
    let var = |name: &str| match name {
        "JWKS_URL" => Some(url.clone()),
        "JWT_ISSUER" => Some("https://issuer.example/".to_owned()),
        "JWT_AUDIENCE" => Some("foldcast".to_owned()),
        _ => None,
    };
    Authorizer::from_vars(var).unwrap()
}

/// What a browser with this token is answered at this time.
async fn answer_at(authorizer: &Authorizer, token: &str, now_s: i64) -> Result<Value, authorizer::NoKeys> {
    let upgrade = json!({
        "type": "REQUEST", "methodArn": METHOD_ARN, "headers": {"Sec-WebSocket-Protocol": format!("foldcast, {token}")},
        "queryStringParameters": {}, "stageVariables": {},
        "requestContext": {"connectionId": "c=", "requestTimeEpoch": now_s * 1_000},
    });
    authorizer.handle(&serde_json::from_value(upgrade).unwrap()).await
}

/// The effect of the answer's policy, and whom it is about.
async fn ask_at(authorizer: &Authorizer, token: &str, now_s: i64) -> (String, String) {
    let answer = answer_at(authorizer, token, now_s).await.unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&answer["policyDocument"]["Statement"][0]["Effect"]), text(&answer["principalId"]))
}

async fn is_let_in(authorizer: &Authorizer, token: &str) -> bool {
    let (effect, principal_id) = ask_at(authorizer, token, NOW_S).await;
    let expected = if effect == "Allow" { "user_123" } else { "nobody" };
    assert_eq!(principal_id, expected);
    effect == "Allow"
}

#[tokio::test]
async fn the_answer_is_a_policy_for_connect_alone_and_what_is_known_of_the_bearer() {
    let key = Key::ec("k");
    let authorizer = authorizer(&Issuer::publishing(&[&key]).await);
    let scoped = key.token(&claims_with(&json!({"scope": "openid orders:read:all", "email": "a@example.com"})));
    let statement = |effect: &str| json!([{"Action": "execute-api:Invoke", "Effect": effect, "Resource": METHOD_ARN}]);
    assert_eq!(
        answer_at(&authorizer, &scoped, NOW_S).await.unwrap(),
        json!({
            "principalId": "user_123",
            "policyDocument": {"Version": "2012-10-17", "Statement": statement("Allow")},
            "context": {"principalId": "user_123", "scope": "orders:read:all", "expiresAt": (NOW_S + 60).to_string()},
        })
    );
    assert_eq!(
        answer_at(&authorizer, "", NOW_S).await.unwrap(),
        json!({
            "principalId": "nobody",
            "policyDocument": {"Version": "2012-10-17", "Statement": statement("Deny")},
            "context": {},
        })
    );
}

#[tokio::test]
async fn tokens_of_both_algorithms_are_accepted_and_scopes_may_be_a_list() {
    let (ec, rsa) = (Key::ec("ec"), Key::rsa("rsa"));
    let authorizer = authorizer(&Issuer::publishing(&[&ec, &rsa]).await);
    for key in [&ec, &rsa] {
        assert!(is_let_in(&authorizer, &key.token(&claims())).await, "{}", key.algorithm());
        assert!(is_let_in(&authorizer, &key.token(&claims_with(&json!({"aud": "foldcast"})))).await);
        let listed = key.token(&claims_with(&json!({"scope": ["a", "orders:read:all"]})));
        assert_eq!(answer_at(&authorizer, &listed, NOW_S).await.unwrap()["context"]["scope"], "orders:read:all");
    }
}

#[tokio::test]
async fn claims_that_are_wrong_or_missing_are_refused() {
    let key = Key::ec("k");
    let authorizer = authorizer(&Issuer::publishing(&[&key]).await);
    for wrong in [
        json!({"exp": NOW_S - 5}),
        json!({"exp": null}),
        json!({"exp": "1900000000"}),
        json!({"exp": 1e300}),
        json!({"nbf": NOW_S + 6}),
        json!({"nbf": "1700000000"}),
        json!({"iss": "https://issuer.example"}),
        json!({"iss": null}),
        json!({"iss": 7}),
        json!({"aud": "fold"}),
        json!({"aud": ["other"]}),
        json!({"aud": []}),
        json!({"aud": null}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": 7}),
        json!({"sub": "user\n123"}),
        json!({"sub": "u".repeat(257)}),
        json!({"scope": {"orders:read:all": true}}),
    ] {
        assert!(!is_let_in(&authorizer, &key.token(&claims_with(&wrong))).await, "{wrong}");
    }
    for right in [json!({"exp": NOW_S - 4}), json!({"exp": 1_800_000_001.5}), json!({"nbf": NOW_S + 5})] {
        assert!(is_let_in(&authorizer, &key.token(&claims_with(&right))).await, "{right}");
    }
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let (ec, rsa, stranger) = (Key::ec("ec"), Key::rsa("rsa"), Key::ec("ec"));
    let authorizer = authorizer(&Issuer::publishing(&[&ec, &rsa]).await);
    let good = ec.token(&claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let admin = unsigned(&json!({"alg": "ES256", "kid": "ec"}), &claims_with(&json!({"scope": "orders:read:all"})));
    let header = |algorithm: &str, kid: &str| json!({"alg": algorithm, "kid": kid});
    let public_key = rsa.jwk()["n"].as_str().unwrap().to_owned();
    let with_own_key = |field: &str, value: Value| {
        let mut header = json!({"alg": "ES256", "kid": "mine"});
        header[field] = value;
        stranger.sign(&header, &claims())
    };
    for (forgery, what) in [
        (stranger.token(&claims()), "another's key under a known name"),
        (format!("{admin}.{signature}"), "changed claims"),
        (format!("{signed}."), "the signature cut off"),
        (signed.to_owned(), "two parts"),
        (format!("{good}.x"), "four parts"),
        (format!("{}.", unsigned(&header("none", "ec"), &claims())), "algorithm none"),
        (format!("{}.", unsigned(&header("nOnE", "ec"), &claims())), "algorithm none, spelled oddly"),
        (hashed(public_key.as_bytes(), &header("HS256", "rsa"), &claims()), "a public key as a shared secret"),
        (hashed(b"", &header("HS256", "ec"), &claims()), "an empty secret"),
        (ec.sign(&header("RS256", "rsa"), &claims()), "a signature of another algorithm"),
        (ec.sign(&header("ES256", "rsa"), &claims()), "a key of another algorithm"),
        (ec.sign(&header("ES256", "unknown"), &claims()), "an unknown key"),
        (ec.sign(&header("ES384", "ec"), &claims()), "an algorithm that is not ours"),
        (with_own_key("jwk", stranger.jwk()), "its own key in the header"),
        (with_own_key("jku", json!("http://127.0.0.1:9/keys")), "an address of keys in the header"),
        (ec.sign(&json!({"alg": "ES256", "kid": "ec", "crit": ["exp"]}), &claims()), "what must be understood"),
        ("x".repeat(3_000), "no token"),
        (format!("{}.x.y", "[".repeat(3_000)), "brackets"),
    ] {
        assert!(!is_let_in(&authorizer, &forgery).await, "{what}");
    }
    assert!(is_let_in(&authorizer, &good).await);
}

#[tokio::test]
async fn a_key_set_is_fetched_once_and_a_new_key_is_found() {
    let (old, new) = (Key::ec("old"), Key::ec("new"));
    let issuer = Issuer::publishing(&[&old]).await;
    let authorizer = authorizer(&issuer);
    let late = |key: &Key| key.token(&claims_with(&json!({"exp": NOW_S + 100_000})));
    for _ in 0..3 {
        assert!(is_let_in(&authorizer, &late(&old)).await);
    }
    assert_eq!(issuer.asked(), 1);
    issuer.publish(&[&new]);
    // An unknown key is asked for, but not by everybody who makes up a name.
    assert!(!is_let_in(&authorizer, &late(&new)).await);
    assert_eq!(issuer.asked(), 1);
    assert_eq!(ask_at(&authorizer, &late(&new), NOW_S + 30).await.0, "Allow");
    assert_eq!(issuer.asked(), 2);
    assert_eq!(ask_at(&authorizer, &late(&old), NOW_S + 31).await.0, "Deny", "a key that was taken back");
    assert_eq!(ask_at(&authorizer, &late(&new), NOW_S + 629).await.0, "Allow");
    assert_eq!(issuer.asked(), 2);
    assert_eq!(ask_at(&authorizer, &late(&new), NOW_S + 630).await.0, "Allow");
    assert_eq!(issuer.asked(), 3, "keys are asked for again after ten minutes");
}

#[tokio::test]
async fn a_process_without_any_keys_tries_again_at_once() {
    let key = Key::ec("k");
    let issuer = Issuer::publishing(&[&key]).await;
    issuer.fail_first(2);
    let authorizer = authorizer(&issuer);
    assert!(is_let_in(&authorizer, &key.token(&claims())).await, "two failures pass by themselves");
    assert_eq!(issuer.asked(), 3);
}

#[tokio::test]
async fn a_failure_is_not_remembered_while_nothing_was_ever_fetched() {
    let key = Key::ec("k");
    let issuer = Issuer::publishing(&[&key]).await;
    issuer.fail_first(usize::MAX);
    let authorizer = authorizer(&issuer);
    assert!(answer_at(&authorizer, &key.token(&claims()), NOW_S).await.is_err());
    let asked = issuer.asked();
    assert!((2..=40).contains(&asked), "{asked} requests in three seconds");
    issuer.fail_first(0);
    assert!(is_let_in(&authorizer, &key.token(&claims())).await, "in the same second");
}

#[tokio::test]
async fn made_up_key_names_cause_two_requests_and_one_in_five_minutes() {
    let key = Key::ec("k");
    let issuer = Issuer::publishing(&[&key]).await;
    let authorizer = authorizer(&issuer);
    let token = key.token(&claims_with(&json!({"exp": NOW_S + 100_000})));
    assert!(is_let_in(&authorizer, &token).await);
    let made_up = Key::ec("made up").token(&claims_with(&json!({"exp": NOW_S + 100_000})));
    let mut asked_at = Vec::new();
    let mut asked = issuer.asked();
    for after_s in 1..1_000 {
        // A good token every second: the keys are fetched again when they are not fresh any more, which counts for itself.
        for token in [&token, &made_up] {
            ask_at(&authorizer, token, NOW_S + after_s).await;
        }
        if issuer.asked() > asked {
            asked = issuer.asked();
            asked_at.push(after_s);
        }
    }
    assert_eq!(asked_at, [30, 60, 330, 630, 930], "two at once, then one in 300 seconds; at most one in 30");
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_survived_for_an_hour() {
    let key = Key::ec("k");
    let issuer = Issuer::publishing(&[&key]).await;
    let authorizer = authorizer(&issuer);
    let token = key.token(&claims_with(&json!({"exp": NOW_S + 100_000})));
    assert!(is_let_in(&authorizer, &token).await);
    let mut at_s = NOW_S + 700;
    // A key set that would be read, were it not too large: without the token's key.
    let padded = format!("{}{}", json!({"keys": [Key::ec("another").jwk()]}), " ".repeat(300_000));
    for (status, body) in [(503, "{}"), (302, "{}"), (200, "no keys"), (200, &padded)] {
        issuer.answer(status, body);
        at_s += 30;
        assert_eq!(ask_at(&authorizer, &token, at_s).await.0, "Allow", "{status}");
    }
    assert_eq!(issuer.asked(), 5);
    assert_eq!(ask_at(&authorizer, &token, NOW_S + 3_599).await.0, "Allow");
    let asked = issuer.asked();
    assert!(answer_at(&authorizer, &token, NOW_S + 3_600).await.is_err());
    assert_eq!(issuer.asked(), asked, "it was asked a second ago");
    assert!(answer_at(&authorizer, &token, NOW_S + 3_700).await.is_err());
    issuer.publish(&[&key]);
    assert_eq!(ask_at(&authorizer, &token, NOW_S + 3_800).await.0, "Allow");
}

#[tokio::test]
async fn without_any_keys_nobody_is_let_in() {
    let key = Key::ec("k");
    let issuer = Issuer::publishing(&[&key]).await;
    issuer.answer(500, "");
    let authorizer = authorizer(&issuer);
    let refused = answer_at(&authorizer, &key.token(&claims()), NOW_S).await.unwrap_err();
    assert_eq!(refused.to_string(), "no token can be checked");
    issuer.answer(200, r#"{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"k","alg":"HS256"},{"kty":"odd"}]}"#);
    let shared = hashed(b"secret", &json!({"alg": "HS256", "kid": "k"}), &claims());
    assert!(ask_at(&authorizer, &shared, NOW_S + 60).await.0 == "Deny", "a published secret is none");
}

#[tokio::test]
async fn a_shared_secret_counts_where_it_is_given_and_nowhere_else() {
    let secret = "a secret of one machine, that is long enough";
    let var = |name: &str| (name == "JWT_SECRET").then(|| secret.to_owned());
    assert!(Authorizer::from_vars(var).is_err(), "the deployed function reads no secret");
    let authorizer = Authorizer::with_secret(var).unwrap();
    let token = |secret: &str| shared_secret::token(secret, "user_123", "", NOW_S, NOW_S + 60).unwrap();
    assert!(is_let_in(&authorizer, &token(secret)).await);
    assert!(!is_let_in(&authorizer, &token("another")).await);
    let key = Key::ec("k");
    let public = claims_with(&json!({"iss": "foldcast token"}));
    assert!(!is_let_in(&authorizer, &key.token(&public)).await, "and no other algorithm with it");
}
