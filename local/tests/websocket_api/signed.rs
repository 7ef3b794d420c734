//! Requests signed as the SDKs sign them, sent as they are.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::rig::{PATIENCE, Rig, STAGE};

/// Somebody with a key.
pub(crate) struct Caller {
    pub(crate) address: SocketAddr,
    pub(crate) access_key_id: &'static str,
    pub(crate) secret_access_key: &'static str,
    pub(crate) region: &'static str,
    pub(crate) signed_at: SystemTime,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) error_type: String,
    pub(crate) body: String,
}

impl Caller {
    /// Whoever has the rig's key.
    pub(crate) fn of(rig: &Rig) -> Self {
        Self {
            address: rig.address,
            access_key_id: "key",
            secret_access_key: "secret",
            region: "us-east-1",
            signed_at: SystemTime::now(),
        }
    }

    /// Calls `@connections` for a connection.
    pub(crate) async fn call(&self, method: &str, connection_id: &str, body: &str) -> Answer {
        let path = format!("/{STAGE}/@connections/{}", connection_id.replace('=', "%3D"));
        self.send(method, &path, body.as_bytes()).await
    }

    /// Sends a signed request.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let headers = self.headers(method, path, body);
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        self.send_with(method, path, &headers, body).await
    }

    /// Sends a request with these headers, each of which ends in CRLF.
    pub(crate) async fn send_with(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let (host, length) = (self.address, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        // Who refuses a body may close before it has all of it.
        socket.write_all(body).await.ok();
        let mut answer = Vec::new();
        timeout(PATIENCE, socket.read_to_end(&mut answer)).await.unwrap().ok();
        Answer::read(&String::from_utf8(answer).unwrap())
    }

    /// The headers that sign a request.
    pub(crate) fn headers(&self, method: &str, path: &str, body: &[u8]) -> Vec<(String, String)> {
        let (headers, _) = self.sign(SignatureLocation::Headers, method, path, body);
        headers
    }

    /// The path with a query that signs it for a while.
    pub(crate) fn presigned(&self, path: &str) -> String {
        let (_, query) = self.sign(SignatureLocation::QueryParams, "GET", path, b"");
        let mut path = path.to_owned();
        for (name, value) in query {
            let encoded = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
            path += if path.contains('?') { "&" } else { "?" };
            path += &format!("{name}={encoded}").replace("%2D", "-");
        }
        path
    }

    #[expect(clippy::type_complexity, reason = "headers and a query are lists of two texts")]
    fn sign(
        &self,
        location: SignatureLocation,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> (Vec<(String, String)>, Vec<(String, String)>) {
        let identity = Credentials::new(self.access_key_id, self.secret_access_key, None, None, "test").into();
        let mut settings = SigningSettings::default();
        settings.signature_location = location;
        settings.expires_in = Some(Duration::from_secs(60));
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name("execute-api")
            .time(self.signed_at)
            .settings(settings)
            .build()
            .unwrap();
        let (uri, host) = (format!("http://{}{path}", self.address), self.address.to_string());
        let headers = [("host", host.as_str())].into_iter();
        let request = SignableRequest::new(method, &uri, headers, SignableBody::Bytes(body)).unwrap();
        let (instructions, _) = sign(request, &params.into()).unwrap().into_parts();
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let query = instructions.params().iter().map(|(name, value)| owned((name, value))).collect();
        (instructions.headers().map(owned).collect(), query)
    }
}

impl Answer {
    fn read(answer: &str) -> Self {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
        let status = head.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_default();
        let error_type = head.lines().find_map(|line| line.strip_prefix("x-amzn-errortype: "));
        Self { status, error_type: error_type.unwrap_or_default().to_owned(), body: body.to_owned() }
    }
}
