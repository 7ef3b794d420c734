//! What is asked of FaunaDB, as FQL v4.
//!
//! Owns: each query of the feed and of its set-up.
//! Must not know: HTTP, what becomes of the answers.
//! Source: FaunaDB `ast/Parser.scala`; `docs/fauna.md`, "How it works".

use domain::Json;
use serde_json::{Value, json};
use store::fauna_feed::Place;

/// The names of what the feed reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The collection of events.
    pub collection: String,
    /// Its index by the time of the last write.
    pub index: String,
}

/// A document's ref.
fn reference(collection: &str, id: i64) -> Value {
    let collection = json!({"@ref": {"id": collection, "collection": {"@ref": {"id": "collections"}}}});
    json!({"@ref": {"id": id.to_string(), "collection": collection}})
}

fn documents(collection: &str) -> Value {
    json!({"documents": {"collection": collection}})
}

/// A page of documents with their contents, from a place on: the document there comes first, if it is still there.
///
/// Index and contents are read at one snapshot, so that no document goes between the two. One more than `size` is asked
/// for, since the first may be the one that is done with.
pub(crate) fn page(names: &Names, place: Place, size: usize) -> Json {
    let Names { collection, index } = names;
    let size = size.saturating_add(1);
    match place {
        Place::Backfill { through_id, .. } => {
            let mut page = json!({"paginate": documents(collection), "size": size});
            if let (Some(id), Some(page)) = (through_id, page.as_object_mut()) {
                page.insert("after".to_owned(), json!([reference(collection, id)]));
            }
            json!({"map": {"lambda": "ref", "expr": {"get": {"var": "ref"}}}, "collection": page}).into()
        }
        Place::Tail { through_us, through_id } => {
            let mut after = vec![json!(through_us)];
            if let Some(id) = through_id {
                // The whole cursor: a transaction of many documents may go over the end of a page.
                after.extend([reference(collection, id), reference(collection, id)]);
            }
            let page = json!({"paginate": {"match": {"index": index}}, "size": size, "after": after});
            json!({"map": {"lambda": ["ts", "ref"], "expr": {"get": {"var": "ref"}}}, "collection": page}).into()
        }
    }
}

/// The collection's and the index's own documents, and whether the last document is still there.
pub(crate) fn opening(names: &Names, last: Option<i64>) -> Json {
    let Names { collection, index } = names;
    let last = last.map_or(json!(true), |id| json!({"exists": reference(collection, id)}));
    json!({"object": {"collection": {"get": {"collection": collection}}, "index": {"get": {"index": index}}, "last": last}}).into()
}

/// A page of what was added to and removed from the collection.
pub(crate) fn removals(names: &Names, after: Json, size: usize) -> Json {
    let page = Json::from(json!({"paginate": {"events": documents(&names.collection)}, "size": size}));
    page.into_object().unwrap_or_default().into_iter().chain([("after".to_owned(), after)]).collect()
}

/// One of them alone.
pub(crate) fn collection(names: &Names) -> Json {
    json!({"get": {"collection": names.collection}}).into()
}

/// One of them alone.
pub(crate) fn index(name: &str) -> Json {
    json!({"get": {"index": name}}).into()
}

/// How many documents there are.
pub(crate) fn count(names: &Names) -> Json {
    json!({"count": documents(&names.collection)}).into()
}

/// Makes the index by the time of the last write.
pub(crate) fn create_index(names: &Names) -> Json {
    let field = |name: &str| json!({"object": {"field": [name]}});
    let source = json!({"collection": names.collection});
    let values = [field("ts"), field("ref")];
    json!({"create_index": {"object": {"name": names.index, "source": source, "values": values}}}).into()
}

/// FaunaDB's own fold of an order, over the whole set.
pub(crate) fn fold(index: &str, order_id: &str) -> Json {
    let merge = json!({"merge": {"var": "acc"}, "with": {"select": "data", "from": {"get": {"var": "value"}}}});
    Json::from(json!({
        "reduce": {"lambda": ["acc", "value"], "expr": merge},
        "initial": {"object": {}},
        "collection": {"match": {"index": index}, "terms": order_id},
    }))
}
