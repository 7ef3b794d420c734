//! A stack, its producers and its clients, and the history of what they do.

use std::{
    fs::File,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use authorizer::shared_secret;
use domain::{Event, EventData, EventRef, principal::READ_ALL_SCOPE};
use futures_util::future::join_all;
use serde_json::{Value, json};
use store::{Store, aws::sdk_config, now_ms};
use tests::{PATIENCE, engine::variables, stack::Stack};
use tokio::time::{Instant, sleep};

use crate::{
    checker::{Expected, Figures, Rules, check, figures, summary},
    clients::{Clients, Counted, now},
    history::{Append, ClientId, Said, Viewer},
};

/// Longest time from the acknowledgement of an append to the slowest callback, of every order that is not itself faulty,
/// whatever else is faulty meanwhile.
pub(crate) const STALE_MAX: Duration = Duration::from_secs(10);

/// Longest wait until what is faulty itself is level again.
pub(crate) const LEVEL_MAX: Duration = Duration::from_secs(30);

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What tokens are signed with.
const SECRET: &str = "a secret that only the histories know";

/// How a stack is started.
#[derive(Default)]
pub(crate) struct Setup {
    /// The script of faults, if there is one.
    pub(crate) faults: Option<Value>,
    /// Numbers of API Gateway.
    pub(crate) limits: Option<Value>,
    /// Another template than Foldcast's own.
    pub(crate) template: Option<Value>,
    /// Other programs of functions, by the functions' names.
    pub(crate) programs: Vec<(&'static str, PathBuf)>,
    /// Whether only who has a token is let in.
    pub(crate) auth: bool,
    /// Subscribers of a page.
    pub(crate) page_subscribers_max: Option<usize>,
}

/// A stack with its producers and clients.
pub(crate) struct World {
    pub(crate) stack: Stack,
    pub(crate) store: Store,
    pub(crate) rules: Rules,
    name: &'static str,
    clients: Clients,
    auth: bool,
    watches: usize,
    next_ref: AtomicU64,
    is_decided: AtomicBool,
    log: PathBuf,
}

impl World {
    pub(crate) fn start(name: &'static str, setup: Setup) -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let mut flags = Vec::new();
        let files = [("--faults", &setup.faults), ("--limits", &setup.limits), ("--template", &setup.template)];
        for (flag, json) in files {
            if let Some(json) = json {
                let file = folder.path().join(flag.trim_start_matches('-'));
                std::fs::write(&file, json.to_string()).unwrap();
                flags.extend([flag.to_owned(), file.to_str().unwrap().to_owned()]);
            }
        }
        for (function, program) in &setup.programs {
            flags.extend(["--function".to_owned(), format!("{function}={}", program.display())]);
        }
        flags.push(if setup.auth { "--auth" } else { "--no-auth" }.to_owned());
        let mut variables_of_stack = vec![("JWT_SECRET", SECRET.to_owned()), ("RUST_LOG", "info".to_owned())];
        variables_of_stack.extend(setup.page_subscribers_max.map(|max| ("PAGE_SUBSCRIBERS_MAX", max.to_string())));
        let variables_of_stack: Vec<_> =
            variables_of_stack.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("history-{name}.log"));
        let stack = Stack::start_logging(&flags, &variables_of_stack, File::create(&log).unwrap());
        let var = variables(stack.dynamodb_url.clone());
        let store = Store::from_vars(&sdk_config(&var).unwrap(), &var).unwrap();
        let stale_max = u64::try_from(STALE_MAX.as_micros()).unwrap();
        let rules = Rules { stale_max, faulty: [].into() };
        let (clients, next_ref) = (Clients::start(), AtomicU64::new(1));
        Self {
            stack,
            store,
            rules,
            name,
            clients,
            auth: setup.auth,
            watches: 0,
            next_ref,
            is_decided: AtomicBool::new(false),
            log,
        }
    }

    /// Says that an order is not prompt, since it is what is faulty.
    pub(crate) fn expect(&mut self, order_id: &str, expected: Expected) {
        self.rules.faulty.insert(order_id.to_owned(), expected);
    }

    /// Opens the page of a user; without `--auth` everybody sees every order.
    pub(crate) fn open(&mut self, client: ClientId, user: &str) {
        self.open_with(client, user, "");
    }

    /// Opens the page of a user with scopes.
    pub(crate) fn open_with(&mut self, client: ClientId, user: &str, scope: &str) {
        let token = self.auth.then(|| self.token(user, scope));
        let viewer = Viewer { user: user.to_owned(), reads_all: !self.auth || scope == READ_ALL_SCOPE };
        self.clients.recording().history.viewers.insert(client, viewer);
        self.clients.open(client, &self.stack.websocket_url, token.as_deref());
    }

    /// A token of a user that outlives every scenario.
    pub(crate) fn token(&self, user: &str, scope: &str) -> String {
        let now_s = now_ms() / 1_000;
        shared_secret::token(SECRET, user, scope, now_s, now_s + 3_600).unwrap()
    }

    /// Lets a page watch orders.
    pub(crate) fn watch<'a>(&mut self, client: ClientId, order_ids: impl IntoIterator<Item = &'a str>) {
        for order_id in order_ids {
            self.clients.watch(client, order_id);
            self.watches += 1;
        }
    }

    /// Appends an event with these fields, and records that it was acknowledged.
    pub(crate) async fn append(&self, order_id: &str, fields: Value) -> u64 {
        let mut data = json!({"eventName": "OrderChanged", "orderId": order_id});
        data.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let data = data.as_object().unwrap().clone();
        let event_ref = self.next_ref.fetch_add(1, Ordering::Relaxed).to_string();
        let event = Event {
            event_ref: EventRef::parse(&event_ref).unwrap(),
            ts_us: 0,
            data: EventData::new(domain::Json::from(Value::Object(data.clone())).into_object().unwrap()).unwrap(),
        };
        let version = self.acknowledged(&event).await;
        let append = Append { order_id: order_id.to_owned(), version, event_ref, data, at: now() };
        self.clients.recording().append(append);
        version
    }

    /// Appends until it is acknowledged: an append that was not may be in the log all the same, and is there once.
    async fn acknowledged(&self, event: &Event) -> u64 {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.store.event_log.append(event, None).await {
                Ok(appended) => return appended.version.get(),
                Err(error) => assert!(Instant::now() < end, "{}: {error}", self.name),
            }
        }
    }

    /// Appends an event to each order, all at once.
    pub(crate) async fn append_to_each(&self, order_ids: &[String], fields: &Value) {
        join_all(order_ids.iter().map(|order_id| self.append(order_id, fields.clone()))).await;
    }

    /// Writes a log straight into its table, as an import does, and records it.
    pub(crate) async fn import(&self, order_id: &str, events: u64, event_bytes: usize) {
        let blob = "x".repeat(event_bytes);
        for version in 1..=events {
            let event_ref = self.next_ref.fetch_add(1, Ordering::Relaxed).to_string();
            let item = json!({
                "orderId": {"S": order_id}, "version": {"N": version.to_string()},
                "ref": {"S": event_ref}, "ts": {"N": "0"},
                "data": {"M": {"eventName": {"S": "Imported"}, "orderId": {"S": order_id}, "blob": {"S": blob}}},
            });
            self.stack.dynamodb("PutItem", &json!({"TableName": "order_stream", "Item": item})).await;
            let data = json!({"eventName": "Imported", "orderId": order_id, "blob": blob});
            let (order_id, data) = (order_id.to_owned(), data.as_object().unwrap().clone());
            self.clients.recording().append(Append { order_id, version, event_ref, data, at: now() });
        }
    }

    /// How many connections the clients opened, and how many messages came over them that showed nothing new.
    pub(crate) async fn wire(&mut self) -> (usize, usize) {
        self.clients.count();
        let end = Instant::now() + PATIENCE;
        while self.clients.recording().counted.is_none() {
            assert!(Instant::now() < end, "{}: the clients' process answers", self.name);
            sleep(LOOK_EVERY).await;
        }
        let recording = self.clients.recording();
        let Counted { sockets, frames } = recording.counted.unwrap();
        let callbacks = recording.history.heard.iter().filter(|heard| matches!(heard.said, Said::Update { .. }));
        (sockets, frames.saturating_sub(callbacks.count()))
    }

    /// How many lines of the stack's log say this.
    pub(crate) fn logged(&self, words: &str) -> usize {
        std::fs::read_to_string(&self.log).unwrap().lines().filter(|line| line.contains(words)).count()
    }

    /// Waits until every watch has its first answer; one that has none is found when the history is judged.
    pub(crate) async fn answered(&self) {
        self.until(LEVEL_MAX, || self.clients.recording().is_answered(self.watches)).await;
    }

    /// How many clients do not show what they have to show, of these orders.
    pub(crate) fn behind(&self, is_meant: impl Fn(&str) -> bool) -> usize {
        self.clients.recording().behind(is_meant)
    }

    /// Waits until every client shows the head of every order that it may see; of the prompt orders alone, if it is said so.
    pub(crate) async fn level(&self, expected: Expected, within: Duration) -> bool {
        let is_meant = |order_id: &str| match self.rules.of(order_id) {
            Expected::Prompt => true,
            Expected::Eventual | Expected::Retold => expected == Expected::Eventual,
            Expected::Stuck => false,
        };
        self.until(within, || self.behind(is_meant) == 0).await
    }

    /// Appends to each of these orders, several times, each time as soon as every client shows the time before: while a
    /// fault lasts elsewhere, they have to go on. It gives up when the bound is passed.
    pub(crate) async fn rounds(&self, order_ids: &[String], rounds: usize) {
        for round in 0..rounds {
            self.append_to_each(order_ids, &json!({"round": round})).await;
            if !self.level(Expected::Prompt, STALE_MAX + Duration::from_millis(500)).await {
                return;
            }
        }
    }

    /// Whether something was waited for that did not come true.
    pub(crate) fn is_decided(&self) -> bool {
        self.is_decided.load(Ordering::Relaxed)
    }

    /// Waits for a condition. After one that did not come true the history is decided, and nothing is waited for any more.
    pub(crate) async fn until(&self, within: Duration, mut is_so: impl FnMut() -> bool) -> bool {
        let end = Instant::now() + within;
        loop {
            if is_so() {
                return true;
            }
            if self.is_decided() || Instant::now() > end {
                self.is_decided.store(true, Ordering::Relaxed);
                return false;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until everything is level, and judges the history.
    pub(crate) async fn judge(self) -> Figures {
        let was_in_vain = self.is_decided();
        // What is late is told from what is lost.
        self.is_decided.store(false, Ordering::Relaxed);
        self.level(Expected::Eventual, LEVEL_MAX).await;
        let mut history = self.clients.recording().history.clone();
        history.ended_at = now();
        let violations = check(&history, &self.rules);
        let figures = figures(&history, &self.rules);
        println!("{}: {figures}", self.name);
        assert!(
            violations.is_empty() && !was_in_vain,
            "{}: something was waited for in vain: {was_in_vain}; {} violations; the stack's log is {}\n{}",
            self.name,
            violations.len(),
            self.log.display(),
            summary(&violations)
        );
        figures
    }
}
