//! The keys that tokens are signed with.
//!
//! Owns: that a key set is fetched seldom, that a rotated key is found soon, that an unreachable issuer is survived for a
//! while, that a process without any keys tries hard to get some, and that forged key names do not become requests.
//! Must not know: claims. Time is an argument.
//! Source: RFC 7517; OpenID Connect Core, 10.1.1, "Rotation of Asymmetric Signing Keys".

use std::{fmt, time::Duration};

use domain::Allowance;
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};
use reqwest::{Client, Url, redirect::Policy};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

/// What published keys may sign by.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];

/// How long keys are taken without asking again: as long as a revoked key may still sign.
const FRESH_S: i64 = 600;

/// How long keys are taken while their issuer does not answer.
const USABLE_S: i64 = 3_600;

/// The least time between two requests, once keys were fetched.
const PAUSE_S: i64 = 30;

/// Requests because of a key name that is not known although the keys are fresh: two at once, and one in five minutes. Whoever
/// makes up names causes no more in this process.
const UNKNOWN_NAMES: Allowance = Allowance { at_once: 2 * UNKNOWN_NAME_COST, a_minute: 1 };
const UNKNOWN_NAME_COST: u64 = 5;

/// The longest wait for an answer; a browser waits meanwhile.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The same of one attempt of several.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// The longest pause before the second attempt, doubled for each further one; the jitter is full, so that a thousand processes
/// do not return to their issuer in the same moment.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// The largest key set, in bytes: those of the large issuers have a few thousand.
const KEY_SET_BYTES_MAX: usize = 256 * 1024;

/// Where keys come from.
pub(crate) enum Keys {
    /// An issuer publishes them.
    Published(Published),
    /// Issuer and gateway share one secret: on one machine alone.
    Shared(DecodingKey),
}

/// The keys that an issuer publishes.
pub(crate) struct Published {
    url: Url,
    client: Client,
    known: Mutex<Known>,
}

/// The keys as of their last fetch.
#[derive(Default)]
struct Known {
    keys: Vec<SigningKey>,
    fetched_at_s: Option<i64>,
    tried_at_s: Option<i64>,
    /// Until when is paid of [`UNKNOWN_NAMES`], in milliseconds since 1970.
    paid_until_ms: i64,
}

/// One key of a set.
struct SigningKey {
    kid: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// The keys cannot be had, and none that is known will do.
#[derive(Debug, thiserror::Error)]
#[error("the key set cannot be fetched: {0}")]
pub(crate) struct KeysUnavailable(&'static str);

impl Keys {
    /// The key with this name that signs by this algorithm, at `now_s` seconds since 1970.
    pub(crate) async fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        now_s: i64,
    ) -> Result<Option<DecodingKey>, KeysUnavailable> {
        match self {
            Self::Published(published) => published.find(kid, algorithm, now_s).await,
            Self::Shared(secret) => Ok((algorithm == Algorithm::HS256).then(|| secret.clone())),
        }
    }
}

impl Published {
    /// The keys at this address, which are fetched when the first token comes.
    pub(crate) fn at(url: Url) -> reqwest::Result<Self> {
        // Another library of this process may have chosen already; then it is the same one.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = Client::builder().redirect(Policy::none()).build()?;
        Ok(Self { url, client, known: Mutex::default() })
    }

    async fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        now_s: i64,
    ) -> Result<Option<DecodingKey>, KeysUnavailable> {
        let mut known = self.known.lock().await;
        if known.fetched_at_s.is_none() {
            let keys = self.fetch_first().await.inspect_err(warn)?;
            known.fetched(keys, now_s);
            return Ok(known.find(kid, algorithm));
        }
        let found = known.find(kid, algorithm);
        let is_fresh = known.is_younger_than(FRESH_S, now_s);
        if is_fresh && found.is_some()
            || known.was_tried_within(PAUSE_S, now_s)
            || is_fresh && !known.takes_unknown_name(now_s)
        {
            return known.usable(found, now_s);
        }
        known.tried_at_s = Some(now_s);
        match self.fetch(TIMEOUT).await.inspect_err(warn) {
            Ok(keys) => {
                known.fetched(keys, now_s);
                Ok(known.find(kid, algorithm))
            }
            Err(unavailable) if found.is_none() => Err(unavailable),
            Err(_) => known.usable(found, now_s),
        }
    }

    /// Tries again and again, within the time that a browser waits: without any keys nobody is let in.
    async fn fetch_first(&self) -> Result<Vec<SigningKey>, KeysUnavailable> {
        let deadline = Instant::now() + TIMEOUT;
        let mut pause_max = PAUSE_FIRST;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let fetched = self.fetch(left.min(ATTEMPT_TIMEOUT)).await;
            let pause = pause_max.mul_f64(fastrand::f64());
            if fetched.is_ok() || Instant::now() + pause >= deadline {
                return fetched;
            }
            sleep(pause).await;
            pause_max *= 2;
        }
    }

    async fn fetch(&self, within: Duration) -> Result<Vec<SigningKey>, KeysUnavailable> {
        let unanswered = |_error| KeysUnavailable("its issuer does not answer");
        let mut answer = self.client.get(self.url.clone()).timeout(within).send().await.map_err(unanswered)?;
        if !answer.status().is_success() {
            return Err(KeysUnavailable("its issuer answers with an error"));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unanswered)? {
            body.extend_from_slice(&chunk);
            if body.len() > KEY_SET_BYTES_MAX {
                return Err(KeysUnavailable("it is too large"));
            }
        }
        let set: JwkSet = serde_json::from_slice(&body).map_err(|_invalid| KeysUnavailable("it is no key set"))?;
        Ok(set.keys.iter().filter_map(SigningKey::read).collect())
    }
}

fn warn(unavailable: &KeysUnavailable) {
    tracing::warn!(reason = unavailable.0, "the key set cannot be fetched");
}

impl Known {
    fn fetched(&mut self, keys: Vec<SigningKey>, now_s: i64) {
        (self.keys, self.fetched_at_s, self.tried_at_s) = (keys, Some(now_s), Some(now_s));
    }

    /// Whether a name that is not known is looked for.
    fn takes_unknown_name(&mut self, now_s: i64) -> bool {
        match UNKNOWN_NAMES.spend(self.paid_until_ms, UNKNOWN_NAME_COST, now_s.saturating_mul(1_000)) {
            Ok(paid_until_ms) => {
                self.paid_until_ms = paid_until_ms;
                true
            }
            Err(_exhausted) => false,
        }
    }

    /// A token names its key; only if it does not, and there is no choice, is it the one that there is.
    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let mut suited = self.keys.iter().filter(|key| key.algorithm == algorithm);
        match kid {
            Some(kid) => suited.find(|key| key.kid.as_deref() == Some(kid)).map(|key| key.key.clone()),
            None => suited.next().filter(|_| suited.next().is_none()).map(|key| key.key.clone()),
        }
    }

    fn is_younger_than(&self, age_s: i64, now_s: i64) -> bool {
        self.fetched_at_s.is_some_and(|fetched_at_s| now_s.saturating_sub(fetched_at_s) < age_s)
    }

    fn was_tried_within(&self, pause_s: i64, now_s: i64) -> bool {
        self.tried_at_s.is_some_and(|tried_at_s| now_s.saturating_sub(tried_at_s) < pause_s)
    }

    /// What was found, unless it is too old; nothing found in no set is no answer.
    fn usable(&self, found: Option<DecodingKey>, now_s: i64) -> Result<Option<DecodingKey>, KeysUnavailable> {
        if self.is_younger_than(USABLE_S, now_s) {
            return Ok(found);
        }
        Err(KeysUnavailable("its issuer has not answered for too long"))
    }
}

impl SigningKey {
    /// A key that signs by one of our algorithms; others are no concern of ours.
    fn read(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        if common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
            return None;
        }
        let key = DecodingKey::from_jwk(jwk).ok()?;
        let own = ALGORITHMS.iter().find(|algorithm| algorithm.family() == key.family())?;
        let named = match common.key_algorithm {
            None => Some(*own),
            Some(KeyAlgorithm::RS256) => Some(Algorithm::RS256),
            Some(KeyAlgorithm::ES256) => Some(Algorithm::ES256),
            Some(_) => None,
        };
        named.filter(|named| named == own).map(|algorithm| Self { kid: common.key_id.clone(), algorithm, key })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Published(_) => "Published",
            Self::Shared(_) => "Shared",
        })
    }
}
