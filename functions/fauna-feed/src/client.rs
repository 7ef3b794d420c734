//! FaunaDB over HTTP: one query, one answer.
//!
//! Owns: headers, time-outs, the size of an answer, and the highest transaction time that was seen.
//! Must not know: what is asked, when it is asked again.
//! Source: FaunaDB `FQL1Routes.scala`, `TMPEndpoint.setHeaders`, `CoreConfig.scala`; `docs/fauna.md`.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use domain::{
    Json,
    limits::{FAUNA_AHEAD_MAX, FAUNA_ANSWER_BYTES_MAX, FAUNA_IDLE_MAX},
};
use reqwest::{Client, Response, Url, header::HeaderMap, redirect::Policy};

use crate::{Secret, error::FaunaError};

/// Absent, it is 2.1, in which refs say `class`.
const API_VERSION: (&str, &str) = ("X-FaunaDB-API-Version", "4");
const LAST_SEEN: &str = "X-Last-Seen-Txn";
const QUERY_TIME_OUT: &str = "X-Query-Timeout";
const TRANSACTION_TIME: &str = "x-txn-time";
const BUILD: &str = "x-faunadb-build";
const RATE_LIMITED: &str = "x-rate-limited-ops";

const CONNECT_TIME_OUT: Duration = Duration::from_secs(3);

/// How long an answer may take beyond its query.
const GRACE: Duration = Duration::from_secs(2);

/// An address that cannot be FaunaDB's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("FaunaDB's address must begin with https:// or http:// and name a host")]
pub struct NoEndpoint;

/// A server of FaunaDB.
#[derive(Debug)]
pub struct Fauna {
    client: Client,
    url: Url,
    secret: Secret,
    last_seen_us: AtomicI64,
}

/// What a query answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The result.
    pub resource: Json,
    /// The snapshot of the read, or the commit, in microseconds since 1970.
    pub transaction_us: i64,
    /// It was held up by a limit.
    pub is_limited: bool,
}

impl Fauna {
    /// The server at this address; nothing is sent yet.
    ///
    /// # Errors
    /// [`NoEndpoint`] for an address that can be none.
    pub fn at(url: &str, secret: Secret) -> Result<Self, NoEndpoint> {
        // Another library of this process may have chosen already; then it is the same one.
        rustls::crypto::ring::default_provider().install_default().ok();
        let url: Url = url.parse().map_err(|_invalid| NoEndpoint)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(NoEndpoint);
        }
        let client = Client::builder()
            .connect_timeout(CONNECT_TIME_OUT)
            .pool_idle_timeout(FAUNA_IDLE_MAX)
            .redirect(Policy::none())
            .build()
            .map_err(|_no_client| NoEndpoint)?;
        Ok(Self { client, url, secret, last_seen_us: AtomicI64::new(0) })
    }

    /// The highest transaction time that was seen.
    pub fn last_seen_us(&self) -> i64 {
        self.last_seen_us.load(Ordering::Relaxed)
    }

    /// Learns of a transaction that was seen before.
    pub fn saw(&self, transaction_us: i64) {
        self.last_seen_us.fetch_max(transaction_us, Ordering::Relaxed);
    }

    /// What the next read must include: what was seen, but nothing far in the future, which reads would wait for.
    fn told_us(&self) -> i64 {
        let ahead = i64::try_from(FAUNA_AHEAD_MAX.as_micros()).unwrap_or(i64::MAX);
        self.last_seen_us().min(now_us().saturating_add(ahead))
    }

    /// The server's build, as it says in every answer.
    ///
    /// # Errors
    /// [`FaunaError`] if it does not answer.
    pub async fn build(&self) -> Result<String, FaunaError> {
        let url = self.url.join("ping?scope=read").map_err(|_no_url| FaunaError::Unreadable)?;
        let answer = self.client.get(url).timeout(GRACE).send().await.map_err(|error| unreachable(&error))?;
        let build = answer.headers().get(BUILD).and_then(|build| build.to_str().ok()).unwrap_or_default().to_owned();
        if answer.status().is_success() && !build.is_empty() { Ok(build) } else { Err(FaunaError::Unreadable) }
    }

    /// Evaluates a query, for this long at most.
    ///
    /// # Errors
    /// [`FaunaError`] if there is no answer that can be read.
    pub async fn query(&self, query: &Json, time_out: Duration) -> Result<Answer, FaunaError> {
        let request = self
            .client
            .post(self.url.clone())
            .timeout(time_out + GRACE)
            .header(API_VERSION.0, API_VERSION.1)
            .header("Authorization", self.secret.bearer())
            .header("Content-Type", "application/json")
            .header(QUERY_TIME_OUT, time_out.as_millis().to_string())
            .header(LAST_SEEN, self.told_us().to_string())
            .body(query.to_string());
        let answer = request.send().await.map_err(|error| unreachable(&error))?;
        let status = answer.status();
        let transaction_us = number(answer.headers(), TRANSACTION_TIME).unwrap_or_default();
        let is_limited = number(answer.headers(), RATE_LIMITED).is_some_and(|operations| operations > 0);
        let body = read(answer).await?;
        if !status.is_success() {
            return Err(FaunaError::read(status.as_u16(), &body));
        }
        let answer = Json::parse(&body).map_err(|_not_json| FaunaError::Unreadable)?;
        let Json::Object(mut answer) = answer else { return Err(FaunaError::Unreadable) };
        let resource = answer.remove("resource").ok_or(FaunaError::Unreadable)?;
        if transaction_us <= 0 {
            return Err(FaunaError::Unreadable);
        }
        self.saw(transaction_us);
        Ok(Answer { resource, transaction_us, is_limited })
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// The body of an answer, unless it is too large to hold.
async fn read(mut answer: Response) -> Result<Vec<u8>, FaunaError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > FAUNA_ANSWER_BYTES_MAX {
            return Err(FaunaError::TooLarge);
        }
    }
    Ok(body)
}

/// Why there is no answer; the error's own text has the address, and is not repeated.
fn unreachable(error: &reqwest::Error) -> FaunaError {
    FaunaError::Unreachable(if error.is_timeout() {
        "it took too long"
    } else if error.is_connect() {
        "there is no connection"
    } else {
        "the connection broke"
    })
}

/// Microseconds since 1970, by this machine's clock.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fauna(url: &str) -> Result<Fauna, NoEndpoint> {
        Fauna::at(url, Secret::new("s").unwrap())
    }

    #[test]
    fn an_address_is_http_with_a_host() {
        for url in ["http://127.0.0.1:8443", "https://db.example/"] {
            assert!(fauna(url).is_ok(), "{url}");
        }
        for url in ["", "127.0.0.1:8443", "ftp://h", "http://", "file:///etc"] {
            assert_eq!(fauna(url).err(), Some(NoEndpoint), "{url}");
        }
    }

    #[test]
    fn what_was_seen_never_goes_back_and_is_told_as_far_as_the_clock_goes() {
        let fauna = fauna("http://h").unwrap();
        fauna.saw(500);
        fauna.saw(300);
        assert_eq!((fauna.last_seen_us(), fauna.told_us()), (500, 500));
        fauna.saw(now_us() + 3_600_000_000);
        let ahead = fauna.told_us() - now_us();
        assert!((0..=2_000_000).contains(&ahead), "{ahead}");
    }
}
