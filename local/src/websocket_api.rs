//! API Gateway's WebSocket API: the front end for browsers and `@connections` behind it, on one port.
//!
//! Owns: connections from the upgrade to `$disconnect`, and the order of what happens to each.
//! Must not know: what an integration is; it is any function from an event to a reply.
//! Source: facts on API Gateway; each rule names the page or the recording where it stands.

mod authorizer;
mod connection;
mod event;
mod ids;
mod limits;
mod management;
mod registry;
mod reply;
mod route_selection;
mod signature;
mod spelling;
mod throttle;
mod upgrade;

use std::{collections::BTreeMap, convert::Infallible, fmt, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response, request::Parts};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::faults::Faults;
pub use authorizer::{Authorization, Authorizer, IdentitySource, IdentitySourceError, UNAUTHORIZED};
pub use limits::Limits;
pub use registry::OpenConnection;
use registry::Registry;
use route_selection::RouteSelection;
use spelling::{Overheard, OverheardStream, Spelling};
use throttle::Throttles;
pub use throttle::{Rate, Throttling};

/// One stage of a WebSocket API.
pub struct Api {
    /// The API's id, ten letters and digits.
    pub api_id: String,
    /// The stage, the first part of every path.
    pub stage: String,
    /// The region that events and signatures name.
    pub region: String,
    /// The account that ARNs name.
    pub account_id: String,
    /// Which route a message takes, such as `$request.body.action`.
    pub route_selection_expression: String,
    /// The routes by their keys, `$connect`, `$disconnect` and `$default` among them.
    pub routes: BTreeMap<String, Route>,
    /// The stage's variables, in every event if there are some.
    pub stage_variables: BTreeMap<String, String>,
    /// Who decides whether a browser may connect.
    pub authorization: Authorization,
    /// The stage's own throttling; the account's is one of the [`Limits`].
    pub throttling: Throttling,
}

/// Where the messages of a route go.
#[derive(Clone)]
pub struct Route {
    /// What serves them.
    pub integration: Integration,
    /// Whether the reply's body goes back to the browser.
    pub has_route_response: bool,
    /// How long the integration may take, if that is less than [`Limits::integration_time_out`].
    pub time_out: Option<Duration>,
}

/// Other services on the same port, asked about requests of at most 2 MB that are not below the stage; `None` if it is none
/// of theirs either.
pub type Beside = Arc<dyn Fn(&Parts, Bytes) -> Option<BoxFuture<'static, Response<Full<Bytes>>>> + Send + Sync>;

/// Largest request to another service, in bytes: a message of a queue, 1 MB, with its escapes.
const BESIDE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A Lambda proxy integration: from the event's JSON to the reply's.
pub type Integration = Arc<dyn Fn(Bytes) -> BoxFuture<'static, Result<Bytes, IntegrationError>> + Send + Sync>;

/// Why there is no reply. The reason is for the log alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntegrationError {
    /// The function failed. An authorizer that fails with exactly `Unauthorized` refuses a browser, as on AWS.
    #[error("{0}")]
    Failed(String),
    /// The function took too long.
    #[error("no reply in time")]
    TimedOut,
}

/// The key that `@connections` is signed with.
#[derive(Clone)]
pub struct Credentials {
    /// The public half.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// A running front end.
#[derive(Debug)]
pub struct Gateway {
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    connections: Connections,
}

/// The open connections of a front end.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Registry>);

impl Connections {
    /// All of this moment, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<OpenConnection> {
        self.0.list()
    }
}

/// What every connection of the front end shares.
struct Shared {
    api: Api,
    credentials: Credentials,
    limits: Limits,
    selection: RouteSelection,
    throttles: Throttles,
    registry: Arc<Registry>,
    beside: Beside,
    faults: Faults,
}

type Answer = Response<Full<Bytes>>;

impl Gateway {
    /// Serves a stage on a listener until it is stopped.
    #[must_use]
    pub fn serve(listener: TcpListener, api: Api, credentials: Credentials, limits: Limits) -> Self {
        Self::serve_beside(listener, api, credentials, limits, Arc::new(|_head, _body| None), Faults::default())
    }

    /// Serves a stage and other services on a listener until it is stopped; `faults` strike its connections.
    #[must_use]
    pub fn serve_beside(
        listener: TcpListener,
        api: Api,
        credentials: Credentials,
        limits: Limits,
        beside: Beside,
        faults: Faults,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let selection = RouteSelection::parse(&api.route_selection_expression);
        let registry = Arc::new(Registry::default());
        let connections = Connections(Arc::clone(&registry));
        let throttles = Throttles::new(&limits, &api.throttling, api.routes.keys());
        let shared = Arc::new(Shared { api, credentials, limits, selection, throttles, registry, beside, faults });
        let accepting = tokio::spawn(accept(listener, shared, stopped));
        Self { stop, accepting, connections }
    }

    /// The connections, for whoever watches.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.connections.clone()
    }

    /// Closes every connection and waits, for a bounded time, until each has run its `$disconnect`.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.accepting.await {
            tracing::error!(%error, "the front end did not stop cleanly");
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let mut served = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => break,
            Some(_) = served.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                served.spawn(serve_stream(stream, peer, Arc::clone(&shared)));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(shared.limits.accept_pause).await;
            }
        }
    }
    shared.registry.close_all();
    let emptied = shared.registry.until_empty();
    if tokio::time::timeout(shared.limits.stop_time_out, emptied).await.is_err() {
        tracing::warn!("connections were left when the front end stopped");
    }
    served.shutdown().await;
}

async fn serve_stream(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    // Frames are small: each leaves at once. A socket that cannot be set so works all the same.
    stream.set_nodelay(true).ok();
    let limits = shared.limits.clone();
    let overheard = Overheard::default();
    let stream = OverheardStream::new(stream, overheard.clone(), limits.request_head_bytes_max);
    let service = service_fn(move |request| {
        let (shared, spelling) = (Arc::clone(&shared), overheard.take());
        async move { Ok::<_, Infallible>(answer(request, spelling, peer, shared).await) }
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time_out)
        .max_buf_size(limits.request_head_bytes_max);
    // A peer that breaks HTTP or leaves is its own affair.
    server.serve_connection(TokioIo::new(stream), service).with_upgrades().await.ok();
}

/// Who is asked: a browser's stage, the management API below it, or nothing that exists.
async fn answer(request: Request<Incoming>, spelling: Spelling, peer: SocketAddr, shared: Arc<Shared>) -> Answer {
    let path = request.uri().path();
    let below_stage = path.strip_prefix('/').and_then(|path| path.strip_prefix(shared.api.stage.as_str()));
    match below_stage.map(|below| below.split('/').collect::<Vec<_>>()).as_deref() {
        Some([""] | ["", ""]) => upgrade::answer(request, spelling, peer, shared).await,
        Some(["", at_connections, connection_id]) if matches!(*at_connections, "@connections" | "%40connections") => {
            let connection_id = (*connection_id).to_owned();
            management::answer(request, &connection_id, &shared).await
        }
        Some(_) => reply::forbidden(),
        None => beside(request, &shared).await,
    }
}

/// Another service's answer.
async fn beside(request: Request<Incoming>, shared: &Shared) -> Answer {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BESIDE_BYTES_MAX).collect().await;
    match body.ok().and_then(|body| (shared.beside)(&head, body.to_bytes())) {
        Some(answer) => answer.await,
        None => reply::forbidden(),
    }
}
