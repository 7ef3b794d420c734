//! `@foldcast/client` as it is shipped, in an embedded JavaScript engine.
//!
//! The files of `client/src` are read when the test runs; around them stands `script/world.js`, with sockets, timers, a
//! clock and chance that the simulation drives.

use std::path::Path;

use rquickjs::{
    CatchResultExt, Context, Ctx, Function, Module, Runtime,
    function::IntoArgs,
    loader::{Loader, Resolver},
    module::Declared,
};
use serde::Deserialize;

/// Something that a page did.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Effect {
    /// It opens a connection.
    Open { browser: usize, socket: u32 },
    /// It sends a message.
    Say { browser: usize, socket: u32, text: String },
    /// It closes a connection.
    Close { browser: usize, socket: u32 },
    /// It is shown an update.
    #[serde(rename_all = "camelCase")]
    Show { browser: usize, order_id: String, version: u64, versions: Vec<u64>, reset: bool, projection: Option<String> },
    /// It follows an order no longer.
    #[serde(rename_all = "camelCase")]
    Fail { browser: usize, order_id: String, code: String, message: String },
}

#[derive(Deserialize)]
struct Drained {
    effects: Vec<Effect>,
    next: Option<u64>,
    pauses: usize,
}

/// The engine of one world, with all pages of it.
pub(crate) struct Script {
    context: Context,
    next: Option<u64>,
    pauses: usize,
}

impl Script {
    pub(crate) fn new(seed: u32, incomplete_max: usize) -> Self {
        let runtime = Runtime::new().unwrap();
        runtime.set_loader(Files, Files);
        let context = Context::full(&runtime).unwrap();
        context.with(|ctx| {
            let source = "import * as world from './world.js'; globalThis.world = world;";
            let evaluated = Module::evaluate(ctx.clone(), "main.js", source).catch(&ctx);
            evaluated.unwrap_or_else(|error| panic!("{error}")).finish::<()>().catch(&ctx).unwrap();
        });
        let mut script = Self { context, next: None, pauses: 0 };
        script.call("plant", (seed, incomplete_max));
        script
    }

    pub(crate) fn follow(&mut self, browser: usize, order_id: &str, since: Option<u64>) -> Vec<Effect> {
        self.call("follow", (browser, order_id, since))
    }

    pub(crate) fn opened(&mut self, socket: u32) -> Vec<Effect> {
        self.call("opened", (socket,))
    }

    pub(crate) fn closed(&mut self, socket: u32) -> Vec<Effect> {
        self.call("closed", (socket,))
    }

    pub(crate) fn heard(&mut self, socket: u32, frame: &str) -> Vec<Effect> {
        self.call("heard", (socket, frame))
    }

    /// Moves the clock on, if a timer is due.
    pub(crate) fn tick(&mut self, now_ms: u64) -> Vec<Effect> {
        if self.next.is_none_or(|next| next > now_ms) { Vec::new() } else { self.call("tick", (now_ms,)) }
    }

    /// When the next timer is due, in milliseconds since the world began.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.next
    }

    /// Whether no page waits before it does something.
    pub(crate) fn is_idle(&self) -> bool {
        self.pauses == 0
    }

    fn call<'a>(&mut self, name: &str, arguments: impl for<'js> IntoArgs<'js> + 'a) -> Vec<Effect> {
        let drained = self.context.with(|ctx| {
            let function = |name: &str| -> Function<'_> { ctx.eval(format!("world.{name}")).unwrap() };
            function(name).call::<_, ()>(arguments).catch(&ctx).unwrap_or_else(|error| panic!("{name}: {error}"));
            while ctx.execute_pending_job() {}
            function("drain").call::<_, String>(()).catch(&ctx).unwrap_or_else(|error| panic!("{name}: {error}"))
        });
        let drained: Drained = serde_json::from_str(&drained).unwrap();
        (self.next, self.pauses) = (drained.next, drained.pauses);
        drained.effects
    }
}

/// The modules of the client, and the one around them.
struct Files;

impl Resolver for Files {
    fn resolve<'js>(&mut self, _: &Ctx<'js>, _base: &str, name: &str) -> rquickjs::Result<String> {
        Ok(name.trim_start_matches("./").to_owned())
    }
}

impl Loader for Files {
    fn load<'js>(&mut self, ctx: &Ctx<'js>, name: &str) -> rquickjs::Result<Module<'js, Declared>> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = match name {
            "world.js" => tests.join("simulation/script").join(name),
            _ => tests.join("../client/src").join(name),
        };
        Module::declare(ctx.clone(), name, std::fs::read(path)?)
    }
}
