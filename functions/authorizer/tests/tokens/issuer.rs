//! An issuer of tokens: real keys, a real key set over HTTP, and tokens of any content.
//!
//! Owns: signing whatever a test wants signed, and counting who asks for the keys.
//! Must not know: what is accepted.
//! Source: RFC 7515 and RFC 7517.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A key that signs nothing but the tokens of these tests.
const RSA_PRIVATE_KEY: &str = include_str!("rsa_private_key.der.base64");

/// A key with a name.
pub(crate) struct Key {
    pub(crate) kid: &'static str,
    pair: Pair,
}

enum Pair {
    Ec(Box<EcdsaKeyPair>),
    Rsa(Box<rsa::KeyPair>),
}

impl Key {
    /// A key of this test alone.
    pub(crate) fn ec(kid: &'static str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        Self { kid, pair: Pair::Ec(Box::new(pair)) }
    }

    pub(crate) fn rsa(kid: &'static str) -> Self {
        let der = BASE64_STANDARD.decode(RSA_PRIVATE_KEY.replace('\n', "")).unwrap();
        Self { kid, pair: Pair::Rsa(Box::new(rsa::KeyPair::from_pkcs8(&der).unwrap())) }
    }

    /// The name of what it signs with.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Ec(_) => "ES256",
            Pair::Rsa(_) => "RS256",
        }
    }

    /// Its public half, as a key set has it.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = json!({"kid": self.kid, "alg": self.algorithm(), "use": "sig"});
        match &self.pair {
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                jwk["kty"] = json!("EC");
                jwk["crv"] = json!("P-256");
                jwk["x"] = json!(url_safe(&point[1..33]));
                jwk["y"] = json!(url_safe(&point[33..]));
            }
            Pair::Rsa(pair) => {
                let components: rsa::PublicKeyComponents<Vec<u8>> = pair.public().into();
                jwk["kty"] = json!("RSA");
                jwk["n"] = json!(url_safe(&components.n));
                jwk["e"] = json!(url_safe(&components.e));
            }
        }
        jwk
    }

    /// A token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&json!({"alg": self.algorithm(), "kid": self.kid, "typ": "JWT"}), claims)
    }

    /// A token with this header and these claims, whatever they say.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Ec(pair) => pair.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
                signature
            }
        };
        format!("{signed}.{}", url_safe(&signature))
    }
}

/// A token whose signature is a hash with this secret.
pub(crate) fn hashed(secret: &[u8], header: &Value, claims: &Value) -> String {
    let signed = unsigned(header, claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", url_safe(tag.as_ref()))
}

/// A token without its signature.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", url_safe(header.to_string().as_bytes()), url_safe(claims.to_string().as_bytes()))
}

fn url_safe(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Where the keys are published. It ends with the test's runtime.
pub(crate) struct Issuer {
    address: SocketAddr,
    answers: Arc<Mutex<Answers>>,
}

struct Answers {
    status: u16,
    body: String,
    asked: usize,
    /// Requests that are answered with an error yet, whatever the answer is.
    failing: usize,
}

impl Issuer {
    pub(crate) async fn publishing(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::new(Mutex::new(Answers { status: 200, body: String::new(), asked: 0, failing: 0 }));
        let issuer = Self { address, answers: Arc::clone(&answers) };
        issuer.publish(keys);
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let answer = {
                    let mut answers = answers.lock().unwrap();
                    answers.asked += 1;
                    let is_failing = answers.failing > 0;
                    answers.failing = answers.failing.saturating_sub(1);
                    let Answers { status, body, .. } = &*answers;
                    let status = if is_failing { &503 } else { status };
                    let length = body.len();
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
                };
                let mut request = [0; 4096];
                assert!(socket.read(&mut request).await.unwrap() > 0);
                // Who asked may have given up.
                socket.write_all(answer.as_bytes()).await.ok();
            }
        });
        issuer
    }

    pub(crate) fn publish(&self, keys: &[&Key]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        self.answer(200, &json!({"keys": keys}).to_string());
    }

    pub(crate) fn answer(&self, status: u16, body: &str) {
        let mut answers = self.answers.lock().unwrap();
        (answers.status, answers.body) = (status, body.to_owned());
    }

    /// Answers the next requests with an error.
    pub(crate) fn fail_first(&self, requests: usize) {
        self.answers.lock().unwrap().failing = requests;
    }

    /// How often its keys were asked for.
    pub(crate) fn asked(&self) -> usize {
        self.answers.lock().unwrap().asked
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }
}
