//! What goes wrong, one thing at a time and then everything at once.

mod deaf;
mod large;
mod long_log;
mod owners;
mod pages;
mod refused;
mod rows;
mod soak;

use serde_json::Value;
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

/// Foldcast's own template, to be changed.
fn template_of_foldcast() -> Value {
    serde_json::from_str(include_str!("../../infra/template.json")).unwrap()
}

/// A property of the resource that has another property with this value.
fn property<'a>(template: &'a mut Value, known: &str, value: &Value, wanted: &str) -> &'a mut Value {
    let resources = template["Resources"].as_object_mut().unwrap().values_mut();
    let mut resources = resources.filter(|resource| resource["Properties"][known] == *value);
    &mut resources.next().unwrap()["Properties"][wanted]
}

/// Staleness is measured by one scenario at a time.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}
