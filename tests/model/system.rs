//! The whole world of one order: which actions there are, what each does, and what has to hold in every state.
//!
//! Orders are independent of each other: no step touches two.

use stateright::{Model, Property};

use crate::{
    browser::{Browser, Frame, Says},
    handler::{End, Handler, Luck, ROUNDS_MAX, Task},
    rules::{Bounds, Rules},
    state::State,
    subscribe::{self, Subscribe},
};

/// The model.
pub(crate) struct System {
    pub(crate) rules: Rules,
    pub(crate) bounds: Bounds,
}

/// Something that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// An event is put at this version, which no event has.
    Append {
        version: u8,
    },
    /// The batch that is due, up to this record, is handed to a handler.
    Deliver {
        to: u8,
    },
    /// These records are handed to a handler once more.
    DeliverAgain {
        from: u8,
        to: u8,
    },
    /// A message of the page queue is handed to `fan-out`.
    Retry {
        page: usize,
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

/// The property that every rule is for: what is under way of bad connections does not count.
pub(crate) const COMPLETE: &str = "whenever nothing else is under way, every subscribed browser has every event";
/// What a bad connection must not do.
pub(crate) const HELD: &str = "no connection makes a batch of the change feed come again";
pub(crate) const COSTLY: &str = "a bad connection costs a few pushes and is closed";

/// Pushes that a bad connection may cost with each event: those of the rounds after which `settle` closes a tenth of the
/// connections or three, for four of them. A handler that is killed pushes once more.
const REFUSED_MAX: u8 = ROUNDS_MAX - 1;

impl Model for System {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.bounds)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.budget.events > 0 {
            let next = state.head() + 1;
            actions.push(Action::Append { version: next });
            let ahead = next + 1..=if state.budget.ahead > 0 { self.bounds.events } else { 0 };
            actions.extend(
                ahead.filter(|version| !state.feed.contains(version)).map(|version| Action::Append { version }),
            );
        }
        if state.handlers[0].is_none() {
            actions.extend((state.done + 1..=state.records()).map(|to| Action::Deliver { to }));
        }
        if state.handlers[1].is_none() && state.budget.strays > 0 {
            let runs = (1..=state.records()).flat_map(|from| (from..=state.records()).map(move |to| (from, to)));
            actions.extend(runs.map(|(from, to)| Action::DeliverAgain { from, to }));
        }
        if state.handlers[2].is_none() {
            actions.extend((0..state.pages.len()).map(|page| Action::Retry { page }));
        }
        for (index, handler) in state.handlers.iter().enumerate() {
            let Some(handler) = handler else { continue };
            actions.extend(
                handler.lucks(state, self.rules).into_iter().map(|luck| Action::Handle { handler: index, luck }),
            );
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
            Action::Append { version } => {
                state.budget.events -= 1;
                state.budget.ahead -= u8::from(version > state.head() + 1);
                state.feed.push(version);
            }
            Action::Deliver { to } => {
                state.handlers[0] = Some(Handler::new(Task::Batch { from: state.done + 1, to }));
            }
            Action::DeliverAgain { from, to } => {
                state.budget.strays -= 1;
                state.handlers[1] = Some(Handler::new(Task::Batch { from, to }));
            }
            Action::Retry { page } => {
                let page = state.pages.iter().nth(page).unwrap().clone();
                state.handlers[2] = Some(Handler::new(Task::Page(page)));
            }
            Action::Handle { handler, luck } => self.handle(&mut state, handler, luck),
            Action::CrashHandler { handler } => {
                state.budget.crashes -= 1;
                state.handlers[handler] = None;
            }
            Action::Connect { browser } => {
                state.connect(browser);
                if state.browsers[browser].wants {
                    state.subscribe(browser, self.rules);
                }
            }
            Action::Disconnect { browser, is_told } => {
                state.budget.disconnects -= 1;
                let connection = state.browsers[browser].socket.unwrap();
                state.close(connection);
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
                state.stored == state.stored_max && state.stored <= state.head()
            }),
            Property::always(COMPLETE, |_, state: &State| !state.is_quiet() || state.is_complete()),
            Property::always(HELD, |_, state: &State| !state.is_held),
            Property::always(COSTLY, |system: &Self, state: &State| {
                let Bounds { events, crashes, .. } = system.bounds;
                state.refused_max() <= REFUSED_MAX * events + crashes
            }),
            Property::sometimes("a subscribed browser has every event", |system: &Self, state: &State| {
                let is_all_there = state.head() == system.bounds.events && state.is_quiet();
                let mut good = state.browsers.iter().skip(system.bounds.bad.into());
                is_all_there && good.all(|browser| browser.shown.last() == Some(&state.head()))
            }),
        ];
        if self.bounds.crashes > 0 {
            properties.push(Property::sometimes("a handler dies between write and push", |_, state: &State| {
                state.stored > state.done && state.handlers.iter().all(Option::is_none)
            }));
        }
        if self.bounds.ahead > 0 {
            properties.push(Property::sometimes("an event waits behind a gap", |_, state: &State| state.ahead > 0));
        }
        if self.bounds.disconnects > 0 {
            properties.push(Property::sometimes("a row outlives its connection", |_, state: &State| {
                state.rows.keys().any(|connection| !state.is_open(*connection))
            }));
        }
        properties
    }
}

impl System {
    fn actions_of(&self, index: usize, browser: &Browser, state: &State, actions: &mut Vec<Action>) {
        if browser.socket.is_none() {
            // A bad browser that is closed stays away: it would be as bad on its next connection.
            if index >= usize::from(self.bounds.bad) {
                actions.push(Action::Connect { browser: index });
            }
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
            Some(End::Reported) => {}
            Some(End::Done) => match handler.task {
                Task::Batch { to, .. } if index == 0 => state.done = to,
                Task::Batch { .. } => {}
                Task::Page(page) => {
                    state.pages.remove(&page);
                }
            },
        }
    }
}
