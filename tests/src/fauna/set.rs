//! Sets and their pages.
//!
//! Owns: which documents are in a set, their order, cursors, the default page of 64.
//! Must not know: expressions.
//! Source: FaunaDB `Indexer.scala`, `ReadAdaptor.paginate`; fact sheet, 1.3 and 2.

use std::cmp::Ordering;

use super::{
    database::{Action, Collection, Index, State, Version},
    error::Errors,
    reference::Ref,
    value::{Api, Fields, Page, Value},
};

/// Elements of a page that is not told otherwise.
pub(super) const PAGE_DEFAULT: i64 = 64;

/// Elements of the largest page; more are cut silently.
const PAGE_MAX: i64 = 100_000;

/// What an event's place is.
const EVENT_KEY: [&str; 3] = ["ts", "action", "document"];

/// A set.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Set {
    Documents(String),
    Match { index: String, terms: Vec<Value> },
    Events(Box<Value>),
}

/// An element and its place.
#[derive(Clone, Debug)]
pub(super) struct Element {
    /// The covered values, then the ref.
    pub(super) key: Vec<Value>,
    pub(super) value: Value,
}

/// Which page.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) size: i64,
    pub(super) after: Option<Value>,
    pub(super) before: Option<Value>,
}

/// What a set is read from.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) state: &'a State,
    pub(super) database: &'a str,
    pub(super) snapshot: i64,
}

impl Set {
    pub(super) fn render(&self, api: Api) -> String {
        match self {
            Self::Documents(collection) => {
                let collection = Ref::Named(super::reference::Kind::Collections, collection.clone());
                format!("{{\"documents\":{}}}", collection.render(api))
            }
            Self::Match { index, terms } => {
                let index = Ref::Named(super::reference::Kind::Indexes, index.clone()).render(api);
                let terms = Value::Array(terms.clone()).render_for(api);
                format!("{{\"match\":{index},\"terms\":{terms}}}")
            }
            Self::Events(of) => format!("{{\"events\":{}}}", of.render_for(api)),
        }
    }
}

impl Reading<'_> {
    fn collection(&self, name: &str) -> Result<&Collection, Errors> {
        let collection =
            self.state.collection(self.database, name).ok_or_else(|| Errors::undefined("collection", name))?;
        let minimum = collection.minimum_ts(self.state.now_us());
        if self.snapshot < minimum {
            let text = format!("Requested timestamp {} less than minimum allowed timestamp {minimum}.", self.snapshot);
            return Err(Errors::new(400, "bad request", text));
        }
        Ok(collection)
    }

    /// All elements of a set in its order.
    pub(super) fn elements(&self, set: &Set) -> Result<Vec<Element>, Errors> {
        match set {
            Set::Documents(name) => {
                let documents = self.collection(name)?.versions(self.snapshot);
                Ok(documents.map(|(id, _)| document_element(name, id)).collect())
            }
            Set::Match { index, terms } => self.matched(index, terms),
            Set::Events(of) => self.events(of),
        }
    }

    fn matched(&self, name: &str, terms: &[Value]) -> Result<Vec<Element>, Errors> {
        let index = self.state.index(self.database, name).ok_or_else(|| Errors::undefined("index", name))?;
        if !index.is_active(self.state.now_us()) {
            return Err(Errors::new(400, "instance not found", format!("Index '{name}' is not active.")));
        }
        if terms.len() != index.terms.len() {
            return Err(Errors::invalid_argument(&format!("{} terms", index.terms.len()), &terms.len().to_string()));
        }
        let collection = self.collection(&index.source)?;
        let mut elements = Vec::new();
        for (id, version) in collection.versions(self.snapshot) {
            if index.has(version, terms) {
                elements.push(index.element(id, version));
            }
        }
        elements.sort_by(|own, other| order_of_keys(&own.key, &other.key));
        Ok(elements)
    }

    fn events(&self, of: &Value) -> Result<Vec<Element>, Errors> {
        let (name, only) = match of {
            Value::Set(set) => match set.as_ref() {
                Set::Documents(name) => (name, None),
                Set::Match { .. } | Set::Events(_) => return Err(Errors::invalid_argument("Documents", "Set")),
            },
            Value::Ref(Ref::Document(name, id)) => (name, Some(*id)),
            other => return Err(Errors::invalid_argument("Ref or Set", other.type_name())),
        };
        let collection = self.collection(name)?;
        let minimum = collection.minimum_ts(self.state.now_us());
        let mut elements = Vec::new();
        for (id, versions) in &collection.documents {
            if only.is_none_or(|only| only == *id) {
                let kept = versions.iter().filter(|version| (minimum..=self.snapshot).contains(&version.ts));
                elements.extend(kept.filter_map(|version| event(name, *id, version, only.is_none())));
            }
        }
        elements.sort_by(|own, other| order_of_keys(&own.key, &other.key));
        Ok(elements)
    }

    /// A page of a set.
    pub(super) fn page(&self, set: &Set, wanted: &Wanted) -> Result<Page, Errors> {
        let size = usize::try_from(wanted.size.clamp(0, PAGE_MAX)).unwrap_or_default();
        if let (Set::Documents(name), Some(after)) = (set, first_ref(wanted)) {
            return self.page_of_documents(name, after, size, wanted);
        }
        let elements = self.elements(set)?;
        if let Some(before) = &wanted.before {
            let cursor = cursor_key(before);
            let end = elements.partition_point(|element| order_of_keys(&element.key, &cursor) == Ordering::Less);
            let begin = end.saturating_sub(size);
            let page = elements[begin..end].iter().map(|element| element.value.clone()).collect();
            let earlier = (begin > 0).then(|| cursor_of(set, &elements[begin]));
            return Ok(Page { before: earlier, after: Some(before.clone()), elements: page });
        }
        let cursor = wanted.after.as_ref().map(cursor_key).unwrap_or_default();
        let begin = elements.partition_point(|element| order_of_keys(&element.key, &cursor) == Ordering::Less);
        let end = (begin + size).min(elements.len());
        let page = elements[begin..end].iter().map(|element| element.value.clone()).collect();
        let after = elements.get(end).map(|next| cursor_of(set, next));
        Ok(Page { before: wanted.after.clone(), after, elements: page })
    }

    /// The same for all documents of a collection, without looking at those before.
    fn page_of_documents(&self, name: &str, from: i64, size: usize, wanted: &Wanted) -> Result<Page, Errors> {
        let collection = self.collection(name)?;
        let visible = |id: &i64| collection.version(*id, self.snapshot).is_some();
        let mut ids = collection.documents.range(from..).map(|(id, _)| *id).filter(|id| visible(id));
        let document = |id| Value::Ref(Ref::Document(name.to_owned(), id));
        let elements = ids.by_ref().take(size).map(document).collect();
        let after = ids.next().map(|id| Value::Array(vec![document(id)]));
        Ok(Page { before: wanted.after.clone(), after, elements })
    }
}

/// Where a page of all documents begins, if it does not go backwards.
fn first_ref(wanted: &Wanted) -> Option<i64> {
    match (&wanted.before, wanted.after.as_ref().map(cursor_key)) {
        (Some(_), _) => None,
        (None, None) => Some(i64::MIN),
        (None, Some(key)) => match key.as_slice() {
            [Value::Ref(Ref::Document(_, id))] => Some(*id),
            _ => None,
        },
    }
}

impl Index {
    /// Whether a document has these terms; one whose terms are all null is in no index with terms.
    fn has(&self, version: &Version, terms: &[Value]) -> bool {
        self.terms.iter().zip(terms).all(|(path, term)| match at_path(version, path) {
            // An array stands under each of its elements.
            Some(Value::Array(values)) => values.contains(term),
            Some(value) => value == *term,
            None => false,
        })
    }

    fn element(&self, id: i64, version: &Version) -> Element {
        let document = Value::Ref(Ref::Document(self.source.clone(), id));
        let covered: Vec<Value> = self
            .values
            .iter()
            .map(|path| match path.as_slice() {
                [name] if name == "ref" => document.clone(),
                [name] if name == "ts" => Value::Long(version.ts),
                path => at_path(version, path).unwrap_or(Value::Null),
            })
            .collect();
        let value = match covered.as_slice() {
            [] => document.clone(),
            [only] => only.clone(),
            _ => Value::Array(covered.clone()),
        };
        Element { key: covered.into_iter().chain([document]).collect(), value }
    }
}

/// A field of a document; its `ts` is null here.
fn at_path(version: &Version, path: &[String]) -> Option<Value> {
    let (first, rest) = path.split_first()?;
    let found = version.fields.iter().find(|(name, _)| name == first).map(|(_, value)| value.clone());
    rest.iter().try_fold(found?, |value, name| value.field(name))
}

fn document_element(collection: &str, id: i64) -> Element {
    let document = Value::Ref(Ref::Document(collection.to_owned(), id));
    Element { key: vec![document.clone()], value: document }
}

/// An event of a document's history, or of what joins and leaves a collection.
fn event(collection: &str, id: i64, version: &Version, of_set: bool) -> Option<Element> {
    let action = match (version.action, of_set) {
        (Action::Create, true) => "add",
        (Action::Delete, true) => "remove",
        (Action::Update, true) => return None,
        (Action::Create, false) => "create",
        (Action::Update, false) => "update",
        (Action::Delete, false) => "delete",
    };
    let document = Value::Ref(Ref::Document(collection.to_owned(), id));
    let mut fields: Fields = vec![
        ("ts".to_owned(), Value::Long(version.ts)),
        ("action".to_owned(), Value::Text(action.to_owned())),
        ("document".to_owned(), document.clone()),
    ];
    let key = vec![Value::Long(version.ts), Value::Text(action.to_owned()), document];
    if !of_set {
        let written = version.fields.iter().find(|(name, _)| name == "data").map(|(_, value)| value.clone());
        fields.push(("data".to_owned(), written.filter(|_| action != "delete").unwrap_or(Value::Null)));
    }
    Some(Element { key, value: Value::Object(fields) })
}

/// What a cursor says, as the beginning of a key.
fn cursor_key(cursor: &Value) -> Vec<Value> {
    match cursor {
        Value::Array(parts) => parts.clone(),
        // An event's, whose fields come back in any order.
        Value::Object(_) => EVENT_KEY.iter().map_while(|name| cursor.field(name)).collect(),
        scalar => vec![scalar.clone()],
    }
}

/// The cursor at an element: an event's has names.
fn cursor_of(set: &Set, element: &Element) -> Value {
    match set {
        Set::Events(_) => {
            let names = EVENT_KEY.into_iter().map(str::to_owned);
            Value::Object(names.zip(element.key.clone()).collect())
        }
        Set::Documents(_) | Set::Match { .. } => Value::Array(element.key.clone()),
    }
}

/// The order of two keys, or of a key and a cursor that is the beginning of one.
fn order_of_keys(own: &[Value], other: &[Value]) -> Ordering {
    own.iter().zip(other).map(|(own, other)| own.order(other)).fold(Ordering::Equal, Ordering::then)
}

impl Reading<'_> {
    /// How many elements a set has.
    pub(super) fn count(&self, set: &Set) -> Result<i64, Errors> {
        let elements = match set {
            Set::Documents(name) => self.collection(name)?.versions(self.snapshot).count(),
            Set::Match { .. } | Set::Events(_) => self.elements(set)?.len(),
        };
        Ok(i64::try_from(elements).unwrap_or(i64::MAX))
    }
}
