//! Writing documents.
//!
//! Owns: what of a document is stored: no nulls, no empty `data`.
//! Must not know: reading.
//! Source: FaunaDB `storage/doc/Data.scala` `patch`, `MaskFields.select`; fact sheet, 2, "Nulls on write".

use super::{
    super::{
        database::{Action, Version},
        error::Errors,
        json::Json,
        reference::{Kind, Ref},
        value::{Fields, Value},
    },
    Before, Query,
    reads::shown,
};

impl Query<'_> {
    pub(super) fn create(&mut self, form: &Json) -> Result<Value, Errors> {
        self.may_write()?;
        let (collection, id) = match self.part(form, "create")? {
            Value::Ref(Ref::Named(Kind::Collections, collection)) => (collection, None),
            Value::Ref(Ref::Document(collection, id)) => (collection, Some(id)),
            other => return Err(Errors::invalid_argument("Ref", other.type_name()).under("create")),
        };
        let fields = self.params(form)?;
        let is_there = |query: &Self, id| {
            let known = query.state.collection(&query.database, &collection);
            known.is_some_and(|known| known.version(id, query.snapshot).is_some())
        };
        if id.is_some_and(|id| is_there(self, id)) {
            return Err(Errors::new(400, "instance already exists", "document already exists.").under("create"));
        }
        let ts = self.commit_ts();
        let id = id.unwrap_or_else(|| self.state.next_id());
        self.write(&collection, id, Version { ts, action: Action::Create, fields })
    }

    pub(super) fn insert(&mut self, form: &Json) -> Result<Value, Errors> {
        self.may_write()?;
        let Value::Ref(Ref::Document(collection, id)) = self.part(form, "insert")? else {
            return Err(Errors::invalid_argument("Ref", "Value").under("insert"));
        };
        let Value::Long(ts) = self.part(form, "ts")? else {
            return Err(Errors::invalid_argument("Timestamp", "Value").under("ts"));
        };
        let action = match self.part(form, "action")? {
            Value::Text(action) if action == "create" => Action::Create,
            Value::Text(action) if action == "update" => Action::Update,
            Value::Text(action) if action == "delete" => Action::Delete,
            other => return Err(Errors::invalid_argument("Action", other.type_name()).under("action")),
        };
        let fields = self.params(form)?;
        self.write(&collection, id, Version { ts, action, fields })
    }

    pub(super) fn update(&mut self, form: &Json) -> Result<Value, Errors> {
        let (collection, id, mut fields) = self.existing(form, "update")?;
        let params = self.raw_params(form)?;
        patch(&mut fields, &params);
        let fields = stored(fields)?;
        let ts = self.commit_ts();
        self.write(&collection, id, Version { ts, action: Action::Update, fields })
    }

    pub(super) fn replace(&mut self, form: &Json) -> Result<Value, Errors> {
        let (collection, id, _) = self.existing(form, "replace")?;
        let fields = self.params(form)?;
        let ts = self.commit_ts();
        self.write(&collection, id, Version { ts, action: Action::Update, fields })
    }

    /// Deletes a document and answers it as it was.
    pub(super) fn delete(&mut self, form: &Json) -> Result<Value, Errors> {
        self.may_write()?;
        let deleted = self.part(form, "delete")?;
        match &deleted {
            Value::Ref(reference @ Ref::Document(collection, id)) => {
                let was = self.document(reference)?.ok_or_else(Errors::document_not_found)?;
                let ts = self.commit_ts();
                self.write(collection, *id, Version { ts, action: Action::Delete, fields: Fields::new() })?;
                Ok(was)
            }
            Value::Ref(reference @ Ref::Named(Kind::Collections | Kind::Indexes, _)) => self.drop_schema(reference),
            other => Err(Errors::invalid_argument("Ref", other.type_name()).under("delete")),
        }
    }

    fn existing(&mut self, form: &Json, key: &str) -> Result<(String, i64, Fields), Errors> {
        self.may_write()?;
        let Value::Ref(Ref::Document(collection, id)) = self.part(form, key)? else {
            return Err(Errors::invalid_argument("Ref", "Value").under(key));
        };
        let known = self.state.collection(&self.database, &collection);
        let version = known.and_then(|known| known.version(id, self.snapshot));
        let fields = version.map(|version| version.fields.clone()).ok_or_else(Errors::document_not_found)?;
        Ok((collection, id, fields))
    }

    fn raw_params(&mut self, form: &Json) -> Result<Fields, Errors> {
        match self.optional(form, "params")? {
            None => Ok(Fields::new()),
            Some(Value::Object(fields)) => Ok(fields),
            Some(other) => Err(Errors::invalid_argument("Object", other.type_name()).under("params")),
        }
    }

    fn params(&mut self, form: &Json) -> Result<Fields, Errors> {
        stored(self.raw_params(form)?)
    }

    fn write(&mut self, name: &str, id: i64, version: Version) -> Result<Value, Errors> {
        let reference = Ref::Document(name.to_owned(), id);
        let answer = shown(&reference, &version);
        if version.action == Action::Create {
            self.created.push(reference);
        }
        let own = self.own()?;
        let collection = own.collections.get_mut(name).ok_or_else(|| Errors::undefined("collection", name))?;
        if collection.ts == version.ts {
            return Err(Errors::undefined("collection", name));
        }
        let before = collection.documents.get(&id).cloned();
        let versions = collection.documents.entry(id).or_default();
        // A transaction has one version of a document; one from the past goes to its place.
        versions.retain(|own| own.ts != version.ts);
        let at = versions.partition_point(|own| own.ts < version.ts);
        versions.insert(at, version);
        self.before.get_or_insert_with(Before::default).documents.push((name.to_owned(), id, before));
        Ok(answer)
    }
}

/// What is stored of a document's fields.
fn stored(fields: Fields) -> Result<Fields, Errors> {
    let mut kept = Fields::new();
    for (name, value) in fields {
        match (name.as_str(), without_nulls(value)) {
            (_, None) => {}
            ("data", Some(Value::Object(fields))) if fields.is_empty() => {}
            ("data", Some(value)) if !matches!(value, Value::Object(_)) => {
                return Err(Errors::new(400, "validation failed", "document data is not valid.").under("data"));
            }
            (_, Some(value)) => kept.push((name, value)),
        }
    }
    Ok(kept)
}

/// A value without its nulls, those of arrays too.
fn without_nulls(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Array(values) => Some(Value::Array(values.into_iter().filter_map(without_nulls).collect())),
        Value::Object(fields) => {
            let kept = fields.into_iter().filter_map(|(name, value)| Some((name, without_nulls(value)?)));
            Some(Value::Object(kept.collect()))
        }
        scalar => Some(scalar),
    }
}

/// An update: deep, and a null deletes.
fn patch(fields: &mut Fields, params: &Fields) {
    for (name, value) in params {
        let known = fields.iter().position(|(own, _)| own == name);
        match (known, value) {
            (Some(at), Value::Null) => drop(fields.remove(at)),
            (None, Value::Null) => {}
            (Some(at), Value::Object(later)) if matches!(fields[at].1, Value::Object(_)) => {
                if let Value::Object(earlier) = &mut fields[at].1 {
                    patch(earlier, later);
                }
            }
            (Some(at), value) => fields[at].1 = value.clone(),
            (None, value) => fields.push((name.clone(), value.clone())),
        }
    }
}
