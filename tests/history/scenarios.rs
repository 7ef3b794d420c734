//! What goes wrong, one thing at a time and then everything at once.

mod deaf;
mod large;
mod long_log;
mod owners;
mod pages;
mod refused;
mod rows;
mod soak;

use tokio::sync::{Mutex, MutexGuard};

use crate::{history::ClientId, world::World};

/// Orders with these names.
fn orders(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{name}_{n}")).collect()
}

/// Opens pages that each watch all of these orders.
fn watch_all(world: &mut World, clients: std::ops::Range<ClientId>, order_ids: &[String]) {
    for client in clients {
        world.open(client, "anybody");
        world.watch(client, order_ids.iter().map(String::as_str));
    }
}

/// Staleness is measured by one scenario at a time.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}
