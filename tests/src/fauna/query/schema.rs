//! Making collections, indexes, databases and keys.
//!
//! Owns: their defaults.
//! Must not know: documents.
//! Source: FaunaDB `Index.DefaultData`, `CollectionSpec`; fact sheet, 1.3.

use super::{
    super::{
        database::{Collection, Key, Role},
        error::Errors,
        json::Json,
        reference::{Kind, Ref},
        value::{Fields, Value},
    },
    Before, Query,
};

impl Query<'_> {
    fn settings(&mut self, form: &Json, key: &str) -> Result<(String, Value), Errors> {
        let settings = self.part(form, key)?;
        match settings.field("name") {
            Some(Value::Text(name)) => Ok((name, settings)),
            _ => Err(Errors::new(400, "validation failed", "document data is not valid.").under(key)),
        }
    }

    fn remember(&mut self) -> &mut Before {
        self.before.get_or_insert_with(Before::default)
    }

    pub(super) fn create_collection(&mut self, form: &Json) -> Result<Value, Errors> {
        self.may_write()?;
        let key = if form.get("create_class").is_some() { "create_class" } else { "create_collection" };
        let (name, settings) = self.settings(form, key)?;
        if self.state.collection(&self.database, &name).is_some() {
            return Err(Errors::new(400, "instance already exists", "collection already exists.").under(key));
        }
        let history = settings.field("history_days").unwrap_or(Value::Long(0));
        let mut fields: Fields = vec![("history_days".to_owned(), history)];
        fields.extend(settings.field("ttl_days").map(|days| ("ttl_days".to_owned(), days)));
        fields.push(("name".to_owned(), Value::Text(name.clone())));
        // No history days is history for ever.
        fields.retain(|(_, value)| *value != Value::Null);
        let ts = self.commit_ts();
        let collection = Collection { ts, fields, documents: [].into() };
        self.own()?.collections.insert(name.clone(), collection);
        self.remember().collections.push((name.clone(), None));
        self.made(Ref::Named(Kind::Collections, name))
    }

    pub(super) fn create_index(&mut self, form: &Json) -> Result<Value, Errors> {
        self.may_write()?;
        let (name, settings) = self.settings(form, "create_index")?;
        if self.state.index(&self.database, &name).is_some() {
            return Err(Errors::new(400, "instance already exists", "index already exists.").under("create_index"));
        }
        let Some(Value::Ref(Ref::Named(Kind::Collections, source))) = settings.field("source") else {
            return Err(Errors::new(400, "validation failed", "document data is not valid.").under("create_index"));
        };
        let Some(collection) = self.state.collection(&self.database, &source) else {
            return Err(Errors::undefined("collection", &source).under("create_index"));
        };
        let documents = collection.documents.len();
        let (terms, values) = (paths(settings.field("terms")), paths(settings.field("values")));
        let ts = self.commit_ts();
        let index = self.state.make_index(ts, source, terms, values, documents);
        self.own()?.indexes.insert(name.clone(), index);
        self.remember().indexes.push((name.clone(), None));
        self.made(Ref::Named(Kind::Indexes, name))
    }

    fn made(&mut self, reference: Ref) -> Result<Value, Errors> {
        let shown = self.document(&reference)?.ok_or_else(Errors::document_not_found)?;
        self.created.push(reference);
        Ok(shown)
    }

    /// Deletes a collection with its indexes, or an index.
    pub(super) fn drop_schema(&mut self, reference: &Ref) -> Result<Value, Errors> {
        let was = self.document(reference)?.ok_or_else(Errors::document_not_found)?;
        let Ref::Named(kind, name) = reference else { return Ok(was) };
        self.commit_ts();
        let own = self.own()?;
        if *kind == Kind::Collections {
            let collection = own.collections.remove(name);
            own.indexes.retain(|_, index| index.source != *name);
            self.remember().collections.push((name.clone(), collection));
        } else {
            let index = own.indexes.remove(name);
            self.remember().indexes.push((name.clone(), index));
        }
        Ok(was)
    }

    pub(super) fn create_database(&mut self, form: &Json) -> Result<Value, Errors> {
        self.may_administer()?;
        let (name, _) = self.settings(form, "create_database")?;
        let ts = self.commit_ts();
        self.state.databases.entry(name.clone()).or_default();
        let reference = Ref::Named(Kind::Databases, name.clone());
        self.created.push(reference.clone());
        let fields = [("ref", Value::Ref(reference)), ("ts", Value::Long(ts)), ("name", Value::Text(name))];
        Ok(Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).into()))
    }

    pub(super) fn create_key(&mut self, form: &Json) -> Result<Value, Errors> {
        self.may_administer()?;
        let settings = self.part(form, "create_key")?;
        let role = match settings.field("role") {
            Some(Value::Text(role)) if role == "admin" => Role::Admin,
            Some(Value::Text(role)) if role == "server" => Role::Server,
            Some(Value::Text(role)) if role == "server-readonly" => Role::ServerReadOnly,
            Some(Value::Text(role)) if role == "client" => Role::Client,
            _ => return Err(Errors::new(400, "validation failed", "document data is not valid.").under("create_key")),
        };
        let database = match settings.field("database") {
            Some(Value::Ref(Ref::Named(Kind::Databases, name))) => name,
            _ => self.database.clone(),
        };
        let (ts, id) = (self.commit_ts(), self.state.next_id());
        let secret = format!("fnA{id:x}");
        self.state.keys.push(Key { secret: secret.clone(), role, database });
        let reference = Ref::Named(Kind::Keys, id.to_string());
        self.created.push(reference.clone());
        let fields = [("ref", Value::Ref(reference)), ("ts", Value::Long(ts)), ("secret", Value::Text(secret))];
        Ok(Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).into()))
    }
}

/// The paths of `terms` or `values`.
fn paths(fields: Option<Value>) -> Vec<Vec<String>> {
    let Some(Value::Array(fields)) = fields else { return Vec::new() };
    let text = |part: Value| if let Value::Text(text) = part { Some(text) } else { None };
    let path = |field: Value| match field.field("field") {
        Some(Value::Array(parts)) => parts.into_iter().filter_map(text).collect(),
        Some(Value::Text(name)) => vec![name],
        _ => Vec::new(),
    };
    fields.into_iter().map(path).collect()
}
