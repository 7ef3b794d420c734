//! Reading: documents, sets, pages.
//!
//! Owns: what a document looks like to a query, and pages at a time in the past.
//! Must not know: writing.
//! Source: fact sheet, 1.3 and 1.4.

use super::{
    super::{
        database::Version,
        error::Errors,
        json::Json,
        reference::{Kind, Ref},
        set::{PAGE_DEFAULT, Set, Wanted},
        time,
        value::{Fields, Value},
    },
    Query,
};

impl Query<'_> {
    pub(super) fn reference(&mut self, form: &Json) -> Result<Value, Errors> {
        let (above, id) = (self.part(form, "ref")?, self.part(form, "id")?);
        match (above, id) {
            (Value::Ref(Ref::Named(Kind::Collections, collection)), Value::Text(id)) => match id.parse() {
                Ok(id) => Ok(Value::Ref(Ref::Document(collection, id))),
                Err(_no_number) => Err(Errors::invalid_argument("Document ID", "String").under("id")),
            },
            (_, id) => Err(Errors::invalid_argument("Document ID", id.type_name()).under("id")),
        }
    }

    pub(super) fn documents(&mut self, form: &Json) -> Result<Value, Errors> {
        match self.part(form, "documents")? {
            Value::Ref(Ref::Named(Kind::Collections, name)) => Ok(Value::Set(Box::new(Set::Documents(name)))),
            other => Err(Errors::invalid_argument("Collection Ref", other.type_name()).under("documents")),
        }
    }

    pub(super) fn matching(&mut self, form: &Json) -> Result<Value, Errors> {
        let Value::Ref(Ref::Named(Kind::Indexes, index)) = self.part(form, "match")? else {
            return Err(Errors::invalid_argument("Index Ref", "Value").under("match"));
        };
        let terms = match self.optional(form, "terms")? {
            None => Vec::new(),
            Some(Value::Array(terms)) => terms,
            Some(term) => vec![term],
        };
        Ok(Value::Set(Box::new(Set::Match { index, terms })))
    }

    pub(super) fn at(&mut self, form: &Json) -> Result<Value, Errors> {
        let ts = match self.part(form, "at")? {
            Value::Long(ts) => ts,
            Value::Tagged("@ts", text) => time::micros(&text).ok_or_else(|| Errors::invalid_expression("no time"))?,
            other => return Err(Errors::invalid_argument("Timestamp", other.type_name()).under("at")),
        };
        let snapshot = std::mem::replace(&mut self.snapshot, ts);
        let answer = self.part(form, "expr");
        self.snapshot = snapshot;
        answer
    }

    pub(super) fn paginate(&mut self, form: &Json) -> Result<Value, Errors> {
        self.may_read()?;
        let set = match self.part(form, "paginate")? {
            Value::Set(set) => *set,
            other => return Err(Errors::invalid_argument("Set", other.type_name()).under("paginate")),
        };
        let size = match self.optional(form, "size")? {
            None => PAGE_DEFAULT,
            Some(Value::Long(size)) => size,
            Some(other) => return Err(Errors::invalid_argument("Integer", other.type_name()).under("size")),
        };
        let (after, before) = (self.optional(form, "after")?, self.optional(form, "before")?);
        let page = self.reading().page(&set, &Wanted { size, after, before });
        page.map(|page| Value::Page(Box::new(page))).map_err(|errors| errors.under("paginate"))
    }

    pub(super) fn count(&mut self, form: &Json) -> Result<Value, Errors> {
        self.may_read()?;
        match self.part(form, "count")? {
            Value::Set(set) => self.reading().count(&set).map(Value::Long),
            Value::Array(values) => Ok(Value::Long(i64::try_from(values.len()).unwrap_or(i64::MAX))),
            other => Err(Errors::invalid_argument("Array, Page or Set", other.type_name()).under("count")),
        }
    }

    pub(super) fn get(&mut self, form: &Json) -> Result<Value, Errors> {
        self.may_read()?;
        match self.part(form, "get")? {
            Value::Ref(reference) => self.document(&reference)?.ok_or_else(|| match &reference {
                Ref::Named(Kind::Collections, name) => Errors::undefined("collection", name).under("get"),
                Ref::Named(Kind::Indexes, name) => Errors::undefined("index", name).under("get"),
                Ref::Named(..) | Ref::Kind(_) | Ref::Document(..) => Errors::document_not_found(),
            }),
            Value::Set(set) => {
                let first = self.reading().elements(&set)?.into_iter().next().and_then(|mut first| first.key.pop());
                match first {
                    Some(Value::Ref(reference)) => self.document(&reference)?.ok_or_else(Errors::document_not_found),
                    _ => Err(Errors::new(404, "instance not found", "Set not found.")),
                }
            }
            other => Err(Errors::invalid_argument("Ref or Set", other.type_name()).under("get")),
        }
    }

    pub(super) fn exists(&mut self, form: &Json) -> Result<Value, Errors> {
        self.may_read()?;
        match self.part(form, "exists")? {
            Value::Ref(reference) => Ok(Value::Bool(self.document(&reference)?.is_some())),
            Value::Set(set) => Ok(Value::Bool(self.reading().count(&set)? > 0)),
            other => Err(Errors::invalid_argument("Ref or Set", other.type_name()).under("exists")),
        }
    }

    /// A document as a query sees it; `None` if it is not there.
    pub(super) fn document(&self, reference: &Ref) -> Result<Option<Value>, Errors> {
        let found = match reference {
            Ref::Document(name, id) => {
                let collection = self.state.collection(&self.database, name);
                let collection = collection.ok_or_else(|| Errors::undefined("collection", name))?;
                collection.version(*id, self.snapshot).map(|version| shown(reference, version))
            }
            Ref::Named(Kind::Collections, name) => self.state.collection(&self.database, name).map(|collection| {
                let own = [("ref", Value::Ref(reference.clone())), ("ts", Value::Long(collection.ts))];
                let own = own.map(|(name, value)| (name.to_owned(), value));
                Value::Object(own.into_iter().chain(collection.fields.clone()).collect())
            }),
            Ref::Named(Kind::Indexes, name) => self.index(reference, name),
            Ref::Named(Kind::Databases | Kind::Keys, _) | Ref::Kind(_) => None,
        };
        Ok(found)
    }

    fn index(&self, reference: &Ref, name: &str) -> Option<Value> {
        let index = self.state.index(&self.database, name)?;
        let fields = |paths: &[Vec<String>]| {
            let texts = |path: &Vec<String>| Value::Array(path.iter().cloned().map(Value::Text).collect());
            let field = |path: &Vec<String>| Value::Object(vec![("field".to_owned(), texts(path))]);
            Value::Array(paths.iter().map(field).collect())
        };
        let mut shown = vec![
            ("ref", Value::Ref(reference.clone())),
            ("ts", Value::Long(index.ts)),
            ("active", Value::Bool(index.is_active(self.state.now_us()))),
            ("serialized", Value::Bool(true)),
            ("name", Value::Text(name.to_owned())),
            ("source", Value::Ref(Ref::Named(Kind::Collections, index.source.clone()))),
        ];
        if !index.terms.is_empty() {
            shown.push(("terms", fields(&index.terms)));
        }
        if !index.values.is_empty() {
            shown.push(("values", fields(&index.values)));
        }
        shown.push(("partitions", Value::Long(if index.terms.is_empty() { 8 } else { 1 })));
        Some(Value::Object(shown.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
    }
}

/// A document with its `ref` and `ts`.
pub(super) fn shown(reference: &Ref, version: &Version) -> Value {
    let mut fields: Fields =
        vec![("ref".to_owned(), Value::Ref(reference.clone())), ("ts".to_owned(), Value::Long(version.ts))];
    fields.extend(version.fields.clone());
    Value::Object(fields)
}
