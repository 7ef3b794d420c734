//! A ref: what a document, a collection or an index is called by.
//!
//! Owns: its JSON in both versions of the API, and its order: numeric.
//! Must not know: whether it exists.
//! Source: FaunaDB `DocID.scala` `compare`; fact sheet, 1.2 and 2.

use super::{json::Json, value::Api, value::quoted};

/// What is called by a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Collections,
    Databases,
    Indexes,
    Keys,
}

/// A ref. The order of documents is that of their ids as signed 64-bit numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ref {
    Kind(Kind),
    Named(Kind, String),
    Document(String, i64),
}

impl Kind {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "collections" | "classes" => Self::Collections,
            "databases" => Self::Databases,
            "indexes" => Self::Indexes,
            "keys" => Self::Keys,
            _ => return None,
        })
    }

    fn name(self, api: Api) -> &'static str {
        match (self, api) {
            (Self::Collections, Api::Classes) => "classes",
            (Self::Collections, Api::Collections) => "collections",
            (Self::Databases, _) => "databases",
            (Self::Indexes, _) => "indexes",
            (Self::Keys, _) => "keys",
        }
    }
}

impl Ref {
    pub(super) fn render(&self, api: Api) -> String {
        let above = match api {
            Api::Classes => "class",
            Api::Collections => "collection",
        };
        match self {
            Self::Kind(kind) => format!("{{\"@ref\":{{\"id\":{}}}}}", quoted(kind.name(api))),
            Self::Named(kind, name) => {
                format!("{{\"@ref\":{{\"id\":{},\"{above}\":{}}}}}", quoted(name), Self::Kind(*kind).render(api))
            }
            Self::Document(collection, id) => {
                let collection = Self::Named(Kind::Collections, collection.clone()).render(api);
                format!("{{\"@ref\":{{\"id\":\"{id}\",\"{above}\":{collection}}}}}")
            }
        }
    }
}

/// The ref of what stands under `@ref`.
pub(super) fn read_ref(inner: &Json) -> Option<Ref> {
    let Json::Text(id) = inner.get("id")? else { return None };
    let above = inner.get("collection").or_else(|| inner.get("class"));
    let Some(above) = above else { return Kind::parse(id).map(Ref::Kind) };
    match read_ref(above.get("@ref")?)? {
        Ref::Kind(kind) => Some(Ref::Named(kind, id.clone())),
        Ref::Named(Kind::Collections, collection) => Some(Ref::Document(collection, id.parse().ok()?)),
        Ref::Named(Kind::Databases | Kind::Indexes | Kind::Keys, _) | Ref::Document(..) => None,
    }
}
