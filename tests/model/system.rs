//! The whole world of one order: its log, its projection, its change feed, two handlers, some browsers.
//!
//! Owns: which actions there are, what each does, and what has to hold in every state.
//! Must not know: how a step is taken inside a function.
//! Source: the guarantee. Orders are independent of each other: no step touches two.

use std::collections::BTreeSet;

use stateright::{Model, Property};

use crate::{
    browser::{Browser, Connection, Frame, Says},
    handler::{End, Handler, Luck},
    subscribe::{self, Subscribe},
};

/// The rules of the guarantee, each of which can be switched off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// 1: the projection is written before the subscribers are read.
    pub(crate) persist_before_push: bool,
    /// 2: a subscription's row is written before the projection is read.
    pub(crate) row_before_projection: bool,
    /// 3: a redelivered event that is folded already is still pushed.
    pub(crate) push_what_is_folded: bool,
    /// 4: a push that fails closes its connection or comes again.
    pub(crate) settle_failed_pushes: bool,
}

impl Rules {
    pub(crate) const ALL: Self = Self {
        persist_before_push: true,
        row_before_projection: true,
        push_what_is_folded: true,
        settle_failed_pushes: true,
    };
}

/// How much there is of everything: what makes the states countable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bounds {
    pub(crate) events: u8,
    pub(crate) browsers: u8,
    /// Functions that are killed.
    pub(crate) crashes: u8,
    /// Pushes and closes that fail.
    pub(crate) pushes_failed: u8,
    /// Sockets that are lost.
    pub(crate) disconnects: u8,
    /// Batches that are delivered once more, while another handler works.
    pub(crate) strays: u8,
    /// Browsers that unsubscribe, and may subscribe again.
    pub(crate) unsubscribes: u8,
}

impl Bounds {
    pub(crate) const ONE_BROWSER: Self =
        Self { events: 2, browsers: 1, crashes: 1, pushes_failed: 1, disconnects: 1, strays: 0, unsubscribes: 0 };
    pub(crate) const TWO_BROWSERS: Self =
        Self { events: 1, browsers: 2, crashes: 1, pushes_failed: 1, disconnects: 1, strays: 0, unsubscribes: 0 };
    /// One event, one browser, and nothing that goes wrong.
    pub(crate) const CALM: Self =
        Self { events: 1, browsers: 1, crashes: 0, pushes_failed: 0, disconnects: 0, strays: 0, unsubscribes: 0 };
}

/// The model.
pub(crate) struct System {
    pub(crate) rules: Rules,
    pub(crate) bounds: Bounds,
}

/// One state of the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The version of the log's last event.
    head: u8,
    /// The stored projection's version.
    pub(crate) stored: u8,
    /// The highest version that the stored projection ever had.
    stored_max: u8,
    /// How far the change feed is done with.
    done: u8,
    /// Rows of subscriptions.
    pub(crate) rows: BTreeSet<Connection>,
    /// The handler of the batch that is due, and one of a batch that comes once more.
    handlers: [Option<Handler>; 2],
    subscribes: Vec<Subscribe>,
    browsers: Vec<Browser>,
    connections: Connection,
    /// What may still go wrong.
    pub(crate) budget: Bounds,
}

/// Something that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Append,
    /// The batch that is due, up to this version, is handed to a handler.
    Deliver {
        to: u8,
    },
    /// These versions are handed to a handler once more.
    DeliverAgain {
        from: u8,
        to: u8,
    },
    /// A handler takes its next step.
    Handle {
        handler: usize,
        luck: Luck,
    },
    CrashHandler {
        handler: usize,
    },
    /// A browser connects and subscribes.
    Connect {
        browser: usize,
    },
    /// A browser's socket is lost, with what is on its wire; `$disconnect` comes or is missed.
    Disconnect {
        browser: usize,
        is_told: bool,
    },
    Unsubscribe {
        browser: usize,
    },
    SubscribeAgain {
        browser: usize,
    },
    /// A subscribe function takes its next step.
    Serve {
        subscribe: usize,
    },
    CrashSubscribe {
        subscribe: usize,
    },
    /// A frame arrives.
    Carry {
        browser: usize,
        frame: usize,
    },
}

/// The property that every rule is for.
pub(crate) const COMPLETE: &str = "whenever nothing is under way, every subscribed browser has every event";

impl State {
    pub(crate) fn is_open(&self, connection: Connection) -> bool {
        self.browsers.iter().any(|browser| browser.socket == Some(connection))
    }

    pub(crate) fn browser_of(&mut self, connection: Connection) -> Option<&mut Browser> {
        self.browsers.iter_mut().find(|browser| browser.socket == Some(connection))
    }

    /// Sends a frame to a connection that may be gone.
    pub(crate) fn send(&mut self, connection: Connection, frame: Frame) {
        if let Some(browser) = self.browser_of(connection) {
            browser.send(frame);
        }
    }

    /// API Gateway closes a connection: what is on its wire is lost, its row is left to the next push.
    pub(crate) fn close(&mut self, connection: Connection) {
        if let Some(browser) = self.browser_of(connection) {
            browser.disconnected();
        }
    }

    fn subscribe(&mut self, browser: usize, rules: Rules) {
        let browser = &mut self.browsers[browser];
        let since = browser.ask();
        let subscribe = Subscribe::new(browser.socket.unwrap(), since, rules);
        self.begin(subscribe);
    }

    fn begin(&mut self, subscribe: Subscribe) {
        self.subscribes.push(subscribe);
        self.subscribes.sort_unstable();
    }

    fn is_quiet(&self) -> bool {
        let handled = self.handlers.iter().all(Option::is_none) && self.done == self.head;
        handled && self.subscribes.is_empty() && self.browsers.iter().all(Browser::is_idle)
    }

    fn is_complete(&self) -> bool {
        let subscribed = self.browsers.iter().filter(|browser| browser.socket.is_some() && browser.wants);
        let mut versions = subscribed.map(|browser| (browser.version(), browser.follower.awaits_answer()));
        self.stored == self.head && versions.all(|at| at == (Some(self.head), false))
    }
}

impl Model for System {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            head: 0,
            stored: 0,
            stored_max: 0,
            done: 0,
            rows: BTreeSet::new(),
            handlers: [None, None],
            subscribes: Vec::new(),
            browsers: vec![Browser::new(); self.bounds.browsers.into()],
            connections: 0,
            budget: self.bounds,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.budget.events > 0 {
            actions.push(Action::Append);
        }
        if state.handlers[0].is_none() {
            actions.extend((state.done + 1..=state.head).map(|to| Action::Deliver { to }));
        }
        if state.handlers[1].is_none() && state.budget.strays > 0 {
            let runs = (1..=state.head).flat_map(|from| (from..=state.head).map(move |to| (from, to)));
            actions.extend(runs.map(|(from, to)| Action::DeliverAgain { from, to }));
        }
        for (index, handler) in state.handlers.iter().enumerate() {
            let Some(handler) = handler else { continue };
            actions.extend(handler.lucks(state).into_iter().map(|luck| Action::Handle { handler: index, luck }));
            if state.budget.crashes > 0 {
                actions.push(Action::CrashHandler { handler: index });
            }
        }
        for index in 0..state.subscribes.len() {
            actions.push(Action::Serve { subscribe: index });
            if state.budget.crashes > 0 {
                actions.push(Action::CrashSubscribe { subscribe: index });
            }
        }
        for (index, browser) in state.browsers.iter().enumerate() {
            self.actions_of(index, browser, state, actions);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Append => {
                state.budget.events -= 1;
                state.head += 1;
            }
            Action::Deliver { to } => state.handlers[0] = Some(Handler::new(state.done + 1, to)),
            Action::DeliverAgain { from, to } => {
                state.budget.strays -= 1;
                state.handlers[1] = Some(Handler::new(from, to));
            }
            Action::Handle { handler, luck } => self.handle(&mut state, handler, luck),
            Action::CrashHandler { handler } => {
                state.budget.crashes -= 1;
                state.handlers[handler] = None;
            }
            Action::Connect { browser } => {
                state.connections += 1;
                state.browsers[browser].socket = Some(state.connections);
                if state.browsers[browser].wants {
                    state.subscribe(browser, self.rules);
                }
            }
            Action::Disconnect { browser, is_told } => {
                state.budget.disconnects -= 1;
                let connection = state.browsers[browser].socket.unwrap();
                state.browsers[browser].disconnected();
                if is_told {
                    state.rows.remove(&connection);
                }
            }
            Action::Unsubscribe { browser } => {
                state.budget.unsubscribes -= 1;
                let leaving = &mut state.browsers[browser];
                (leaving.wants, leaving.is_leaving) = (false, true);
                let connection = leaving.socket.unwrap();
                state.begin(Subscribe { connection, since: None, next: subscribe::Next::Delete });
            }
            Action::SubscribeAgain { browser } => {
                state.browsers[browser].wants = true;
                state.subscribe(browser, self.rules);
            }
            Action::Serve { subscribe } => {
                let mut serving = state.subscribes.remove(subscribe);
                if !serving.step(&mut state, self.rules) {
                    state.begin(serving);
                }
            }
            Action::CrashSubscribe { subscribe } => {
                state.budget.crashes -= 1;
                let crashed = state.subscribes.remove(subscribe);
                state.send(crashed.connection, Frame::Failed);
            }
            Action::Carry { browser, frame } => {
                if state.browsers[browser].receive(frame) == Says::Subscribe {
                    state.subscribe(browser, self.rules);
                }
            }
        }
        state.stored_max = state.stored_max.max(state.stored);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("a browser shows every version once and in order", |_, state: &State| {
                state.browsers.iter().all(Browser::shows_a_run)
            }),
            Property::always("the projection never goes back and is never ahead of the log", |_, state: &State| {
                state.stored == state.stored_max && state.stored <= state.head
            }),
            Property::always(COMPLETE, |_, state: &State| !state.is_quiet() || state.is_complete()),
            Property::sometimes("a subscribed browser has every event", |system: &Self, state: &State| {
                let is_all_there = state.head == system.bounds.events && state.is_quiet();
                is_all_there && state.browsers.iter().all(|browser| browser.shown.last() == Some(&state.head))
            }),
        ];
        if self.bounds.crashes > 0 {
            properties.push(Property::sometimes("a handler dies between write and push", |_, state: &State| {
                state.stored > state.done && state.handlers.iter().all(Option::is_none)
            }));
        }
        if self.bounds.disconnects > 0 {
            properties.push(Property::sometimes("a row outlives its connection", |_, state: &State| {
                state.rows.iter().any(|connection| !state.is_open(*connection))
            }));
        }
        properties
    }
}

impl System {
    fn actions_of(&self, index: usize, browser: &Browser, state: &State, actions: &mut Vec<Action>) {
        if browser.socket.is_none() {
            actions.push(Action::Connect { browser: index });
            return;
        }
        actions.extend((0..browser.wire.len()).map(|frame| Action::Carry { browser: index, frame }));
        if state.budget.disconnects > 0 {
            actions.extend([true, false].map(|is_told| Action::Disconnect { browser: index, is_told }));
        }
        let is_silent = !browser.follower.awaits_answer() && !browser.is_leaving && !browser.asks_again;
        if browser.wants && is_silent && state.budget.unsubscribes > 0 {
            actions.push(Action::Unsubscribe { browser: index });
        }
        let comes_back = !browser.wants && is_silent;
        if browser.asks_again || comes_back {
            actions.push(Action::SubscribeAgain { browser: index });
        }
    }

    fn handle(&self, state: &mut State, index: usize, luck: Luck) {
        let mut handler = state.handlers[index].take().unwrap();
        let end = handler.step(state, self.rules, luck);
        match end {
            None => state.handlers[index] = Some(handler),
            Some(End::Done) if index == 0 => state.done = handler.to,
            Some(End::Done | End::Reported) => {}
        }
    }
}
