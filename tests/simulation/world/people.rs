//! Browsers and their connections: how one comes, speaks, hears, and ends.

use std::collections::VecDeque;

use domain::OrderId;
use tokio::time::Instant;

use super::{INVOCATION_MAX, Outcome, Role, World, bad::BadConnection, inputs::invocation};
use crate::{
    browser::{Browser, Client, Seen, Sockets},
    script::Effect,
};

/// An open connection, as API Gateway has it.
pub(super) struct Socket {
    pub(super) browser: usize,
    /// The browser is out of reach, and nobody has noticed.
    pub(super) is_dead: bool,
    /// The browser reads too slowly: no push is taken.
    pub(super) is_clogged: bool,
    /// It is bad, and stays so.
    pub(super) bad: Option<BadConnection>,
    /// Its token has ended.
    pub(super) has_expired: bool,
    /// Frames on their way to the browser.
    pub(super) wire: VecDeque<String>,
}

impl World {
    pub(super) fn pick_browser(&mut self, is_meant: impl Fn(&Browser) -> bool) -> usize {
        let meant: Vec<usize> =
            self.browsers.iter().filter(|browser| is_meant(browser)).map(|browser| browser.name).collect();
        meant[self.random.usize(0..meant.len())]
    }

    /// A connection of a drawn browser that has one.
    pub(super) fn pick_connection(&mut self) -> String {
        let browser = self.pick_browser(|browser| browser.connection().is_some());
        self.browsers[browser].connection().unwrap().clone()
    }

    pub(super) fn connect(&mut self) {
        let browser = self.pick_browser(Browser::wants_connection);
        self.report.connections += 1;
        let connection_id = format!("c{}", self.report.connections);
        self.browsers[browser].connecting(&connection_id);
        let request = invocation(&connection_id, &self.browsers[browser].principal, false, 0, None);
        let connect = self.connect.clone();
        self.begin(Role::Connect { browser, connection_id }, async move {
            Outcome::Reply(connect.handle(request).await.ok())
        });
    }

    /// `$connect` has ended, well or not.
    pub(super) fn connected(&mut self, browser: usize, connection_id: &str, is_connected: bool) {
        let bad = self.bad.browsers.get(&browser).copied();
        let socket =
            Socket { browser, is_dead: false, is_clogged: false, bad, has_expired: false, wire: VecDeque::new() };
        if is_connected {
            self.sockets.insert(connection_id.to_owned(), socket);
        }
        let connecting = &mut self.browsers[browser];
        match (&mut connecting.client, is_connected) {
            (Client::Rust(_), true) => connecting.rust_connected(connection_id),
            (Client::Rust(_), false) => connecting.rust_not_connected(),
            (Client::Script(sockets), true) => {
                let Some(socket) = sockets.connecting.remove(connection_id) else {
                    return self.end(connection_id, "closed by its client before it was open");
                };
                sockets.open.insert(connection_id.to_owned(), socket);
                let effects = self.script.opened(socket);
                self.follow(effects);
            }
            (Client::Script(sockets), false) => {
                if let Some(socket) = sockets.connecting.remove(connection_id) {
                    let effects = self.script.closed(socket);
                    self.follow(effects);
                }
            }
        }
    }

    pub(super) fn speak(&mut self) {
        let speaking = self.pick_browser(|browser| !browser.outbox.is_empty());
        let (connection_id, message) = self.browsers[speaking].outbox.pop_front().unwrap();
        let Some(socket) = self.sockets.get(&connection_id).filter(|socket| !socket.is_dead) else { return };
        let principal = &self.browsers[speaking].principal;
        let request = invocation(&connection_id, principal, socket.has_expired, self.begun, Some(message));
        let subscribe = self.subscribe.clone();
        self.begin(Role::Speech { connection_id }, async move {
            Outcome::Reply(subscribe.handle(request, Instant::now() + INVOCATION_MAX).await.ok())
        });
    }

    /// A frame arrives, now and then one that overtook another.
    pub(super) fn carry(&mut self) {
        let full = self.sockets.iter().filter(|(_, socket)| !socket.is_dead && !socket.wire.is_empty());
        let full: Vec<String> = full.map(|(id, _)| id.clone()).collect();
        let connection_id = &full[self.random.usize(0..full.len())];
        let socket = self.sockets.get_mut(connection_id).unwrap();
        let overtakes = self.kinds.overtaking && socket.wire.len() > 1 && self.random.u8(0..8) == 0;
        let frame = socket.wire.remove(usize::from(overtakes)).unwrap();
        let browser = socket.browser;
        if overtakes {
            self.report.fault("message overtaken");
        }
        self.tell(format!("browser {browser} gets {} bytes", frame.len()));
        let hearing = &mut self.browsers[browser];
        match &mut hearing.client {
            Client::Rust(_) => hearing.rust_receives(&frame, &mut self.report),
            Client::Script(sockets) => {
                let effects = self.script.heard(sockets.open[connection_id], &frame);
                self.follow(effects);
            }
        }
    }

    /// A connection ends: what is on its wire is lost, its browser knows, and `$disconnect` comes or does not.
    pub(super) fn end(&mut self, connection_id: &str, how: &str) {
        let Some(socket) = self.sockets.remove(connection_id) else { return };
        self.tell(format!("{connection_id} of browser {} ends: {how}", socket.browser));
        let ending = &mut self.browsers[socket.browser];
        ending.outbox.retain(|(other, _)| other != connection_id);
        if let Client::Rust(_) = &ending.client {
            ending.rust_disconnected();
        } else if let Client::Script(sockets) = &mut ending.client
            && let Some(number) = sockets.open.remove(connection_id)
        {
            let effects = self.script.closed(number);
            self.follow(effects);
        }
        if self.kinds.misses && self.random.bool() {
            self.report.fault("$disconnect missed");
            return;
        }
        let request = invocation(connection_id, &self.browsers[socket.browser].principal, false, 0, None);
        let disconnect = self.disconnect.clone();
        self.begin(Role::Disconnect, async move { Outcome::Reply(disconnect.handle(request).await.ok()) });
    }

    /// A page whose order was lost follows it again, or leaves it.
    pub(super) fn decide(&mut self) {
        let browser = self.pick_browser(|browser| !browser.lost.is_empty());
        let deciding = &mut self.browsers[browser];
        let order_id = deciding.lost.remove(self.random.usize(0..deciding.lost.len()));
        let comes_back = self.random.u8(0..4) > 0;
        self.transcript.push(format!("browser {browser} lost {order_id} and follows it again: {comes_back}"));
        if !comes_back {
            return;
        }
        deciding.orders.get_mut(&order_id).unwrap().push(Seen::new(false));
        match deciding.client {
            Client::Rust(_) => deciding.rust_follows(&order_id),
            Client::Script(_) => {
                let effects = self.script.follow(browser, order_id.as_str(), None);
                self.follow(effects);
            }
        }
    }

    /// Does what the pages of the shipped client have done.
    pub(super) fn follow(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Open { browser, socket } => self.sockets_of(browser).opening.push_back(socket),
                Effect::Say { browser, socket, text } => {
                    let open = self.sockets_of(browser).open.iter().find(|(_, number)| **number == socket);
                    let connection_id = open.expect("an open socket").0.clone();
                    self.browsers[browser].outbox.push_back((connection_id, text));
                }
                Effect::Close { browser, socket } => {
                    let sockets = self.sockets_of(browser);
                    sockets.opening.retain(|number| *number != socket);
                    sockets.connecting.retain(|_, number| *number != socket);
                    let open = sockets.open.iter().find(|(_, number)| **number == socket);
                    if let Some(connection_id) = open.map(|(connection_id, _)| connection_id.clone()) {
                        self.end(&connection_id, "closed by its client");
                    }
                }
                Effect::Show { browser, order_id, version, versions, reset, projection } => {
                    let view = projection.map(|text| (domain::Json::parse(&text).unwrap(), true));
                    let seen = self.browsers[browser].seen(&OrderId::new(order_id).unwrap());
                    seen.show(version, &versions, reset, view, &mut self.report);
                }
                Effect::Fail { browser, order_id, code, message } => {
                    assert_eq!(code, "forbidden", "{order_id}: {message}");
                    self.browsers[browser].lost(OrderId::new(order_id).unwrap(), &mut self.report);
                }
            }
        }
    }

    fn sockets_of(&mut self, browser: usize) -> &mut Sockets {
        match &mut self.browsers[browser].client {
            Client::Script(sockets) => sockets,
            Client::Rust(_) => panic!("browser {browser} runs the client in Rust"),
        }
    }
}
