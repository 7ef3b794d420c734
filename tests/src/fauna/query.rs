//! One query: an expression, evaluated for real.
//!
//! Owns: which function an object calls, variables, the snapshot, and that a query that fails writes nothing.
//! Must not know: HTTP.
//! Source: FaunaDB `ast/Parser.scala`, `repo/query/Query.scala`; fact sheet, 1.2 and 1.3.

mod fold;
mod reads;
mod schema;
mod writes;

use super::{
    database::{Collection, Database, Index, Role, State},
    error::Errors,
    json::Json,
    reference::{Kind, Ref},
    set::{Reading, Set},
    value::{Value, literal, tagged},
};

/// A query that is evaluated.
pub(super) struct Query<'a> {
    state: &'a mut State,
    database: String,
    role: Role,
    /// The time of its reads; after its first write that of its commit, so that it reads what it wrote.
    snapshot: i64,
    committed: Option<i64>,
    created: Vec<Ref>,
    variables: Vec<(String, Value)>,
    /// What was before, for a query that fails.
    before: Option<Before>,
}

/// What a query's writes replaced.
#[derive(Default)]
struct Before {
    documents: Vec<(String, i64, Option<Vec<super::database::Version>>)>,
    collections: Vec<(String, Option<Collection>)>,
    indexes: Vec<(String, Option<Index>)>,
}

/// What a query answers.
pub(super) struct Answer {
    pub(super) value: Value,
    /// It is a document that the query made.
    pub(super) is_created: bool,
    /// The commit's time, else the snapshot's.
    pub(super) ts: i64,
}

impl<'a> Query<'a> {
    pub(super) fn new(state: &'a mut State, database: String, role: Role, last_seen: i64) -> Self {
        let snapshot = state.snapshot(last_seen);
        let (created, variables) = (Vec::new(), Vec::new());
        Self { state, database, role, snapshot, committed: None, created, variables, before: None }
    }

    /// Evaluates it. What it wrote is undone if it fails.
    pub(super) fn run(mut self, expression: &Json) -> Result<Answer, Errors> {
        match self.eval(expression) {
            Ok(value) => {
                let reference = value.field("ref");
                let is_created = self.created.iter().any(|made| reference == Some(Value::Ref(made.clone())));
                Ok(Answer { value, is_created, ts: self.committed.unwrap_or(self.snapshot) })
            }
            Err(errors) => {
                self.undo();
                Err(errors)
            }
        }
    }

    fn undo(&mut self) {
        let Some(before) = self.before.take() else { return };
        let Some(database) = self.state.databases.get_mut(&self.database) else { return };
        for (collection, id, versions) in before.documents.into_iter().rev() {
            let Some(collection) = database.collections.get_mut(&collection) else { continue };
            match versions {
                Some(versions) => collection.documents.insert(id, versions),
                None => collection.documents.remove(&id),
            };
        }
        for (name, collection) in before.collections.into_iter().rev() {
            match collection {
                Some(collection) => database.collections.insert(name, collection),
                None => database.collections.remove(&name),
            };
        }
        for (name, index) in before.indexes.into_iter().rev() {
            match index {
                Some(index) => database.indexes.insert(name, index),
                None => database.indexes.remove(&name),
            };
        }
    }

    /// The time of this query's commit.
    fn commit_ts(&mut self) -> i64 {
        let ts = match self.committed {
            Some(ts) => ts,
            None => self.state.next_ts(),
        };
        self.committed = Some(ts);
        self.snapshot = self.snapshot.max(ts);
        ts
    }

    fn own(&mut self) -> Result<&mut Database, Errors> {
        let missing = Errors::new(400, "invalid ref", "Ref refers to undefined database");
        self.state.databases.get_mut(&self.database).ok_or(missing)
    }

    fn reading(&self) -> Reading<'_> {
        Reading { state: self.state, database: &self.database, snapshot: self.snapshot }
    }

    fn may_read(&self) -> Result<(), Errors> {
        if self.role == Role::Client { Err(Errors::permission_denied()) } else { Ok(()) }
    }

    fn may_write(&self) -> Result<(), Errors> {
        if matches!(self.role, Role::Admin | Role::Server) { Ok(()) } else { Err(Errors::permission_denied()) }
    }

    fn may_administer(&self) -> Result<(), Errors> {
        if self.role == Role::Admin { Ok(()) } else { Err(Errors::permission_denied()) }
    }

    fn eval(&mut self, expression: &Json) -> Result<Value, Errors> {
        match expression {
            Json::Null => Ok(Value::Null),
            Json::Bool(truth) => Ok(Value::Bool(*truth)),
            Json::Long(number) => Ok(Value::Long(*number)),
            Json::Double(number) => Ok(Value::Double(*number)),
            Json::Text(text) => Ok(Value::Text(text.clone())),
            Json::Array(values) => {
                let each = values.iter().enumerate();
                let each = each.map(|(index, value)| self.eval(value).map_err(|errors| errors.at(index)));
                Ok(Value::Array(each.collect::<Result<_, _>>()?))
            }
            Json::Object(_) => match tagged(expression).map_err(|reason| Errors::invalid_expression(&reason))? {
                Some(value) => Ok(value),
                None => self.call(expression),
            },
        }
    }

    /// Evaluates a part of an expression.
    fn part(&mut self, expression: &Json, name: &str) -> Result<Value, Errors> {
        self.optional(expression, name)?
            .ok_or_else(|| Errors::invalid_expression(&format!("Form requires the key '{name}'.")))
    }

    fn optional(&mut self, expression: &Json, name: &str) -> Result<Option<Value>, Errors> {
        expression.get(name).map(|part| self.eval(part).map_err(|errors| errors.under(name))).transpose()
    }

    /// Which function an object is: that of the first name which is one.
    fn call(&mut self, form: &Json) -> Result<Value, Errors> {
        let Json::Object(fields) = form else { return self.eval(form) };
        let has = |name: &str| fields.iter().any(|(own, _)| own == name);
        let name = FUNCTIONS.into_iter().find(|name| has(name));
        match name.unwrap_or_default() {
            "quote" => fields.iter().find(|(name, _)| name == "quote").map_or(Ok(Value::Null), |(_, inner)| {
                literal(inner).map_err(|reason| Errors::invalid_expression(&reason).under("quote"))
            }),
            "object" => self.object(form),
            "let" => self.let_in(form),
            "var" => self.variable(form),
            "if" => self.condition(form),
            "at" => self.at(form),
            "now" => Ok(Value::Tagged("@ts", super::time::text(self.snapshot))),
            "lambda" => Ok(Value::Query(Box::new(form.clone()))),
            "equals" => self.equals(form),
            "create" => self.create(form),
            "insert" => self.insert(form),
            "update" => self.update(form),
            "replace" => self.replace(form),
            "delete" => self.delete(form),
            "create_collection" | "create_class" => self.create_collection(form),
            "create_index" => self.create_index(form),
            "create_database" => self.create_database(form),
            "create_key" => self.create_key(form),
            "map" => self.map(form),
            "reduce" => self.reduce(form),
            "merge" => self.merge(form),
            "select" => self.select(form),
            "paginate" => self.paginate(form),
            "count" => self.count(form),
            "get" => self.get(form),
            "exists" => self.exists(form),
            "events" => Ok(Value::Set(Box::new(Set::Events(Box::new(self.part(form, "events")?))))),
            "documents" => self.documents(form),
            "match" => self.matching(form),
            "ref" => self.reference(form),
            "collection" => self.named(form, "collection", Kind::Collections),
            "class" => self.named(form, "class", Kind::Collections),
            "index" => self.named(form, "index", Kind::Indexes),
            "database" => self.named(form, "database", Kind::Databases),
            _ => Err(Errors::invalid_expression("No form/function found, or invalid argument keys.")),
        }
    }

    fn named(&mut self, form: &Json, key: &str, kind: Kind) -> Result<Value, Errors> {
        match self.part(form, key)? {
            Value::Text(name) => Ok(Value::Ref(Ref::Named(kind, name))),
            other => Err(Errors::invalid_argument("String", other.type_name()).under(key)),
        }
    }

    fn object(&mut self, form: &Json) -> Result<Value, Errors> {
        let Some(Json::Object(fields)) = form.get("object") else {
            return Err(Errors::invalid_expression("Object expected.").under("object"));
        };
        let evaluated = fields.iter().map(|(name, value)| {
            let value = self.eval(value).map_err(|errors| errors.under(name).under("object"))?;
            Ok((name.clone(), value))
        });
        Ok(Value::Object(evaluated.collect::<Result<_, _>>()?))
    }

    fn let_in(&mut self, form: &Json) -> Result<Value, Errors> {
        let bindings: Vec<(String, Json)> = match form.get("let") {
            Some(Json::Object(fields)) => fields.clone(),
            Some(Json::Array(each)) => {
                let each =
                    each.iter().filter_map(|one| if let Json::Object(fields) = one { Some(fields) } else { None });
                each.flatten().cloned().collect()
            }
            _ => return Err(Errors::invalid_expression("Bindings expected.").under("let")),
        };
        let depth = self.variables.len();
        let mut answer = Ok(Value::Null);
        for (name, expression) in &bindings {
            match self.eval(expression) {
                Ok(value) => self.variables.push((name.clone(), value)),
                Err(errors) => answer = Err(errors.under(name).under("let")),
            }
        }
        if answer.is_ok() {
            answer = self.part(form, "in");
        }
        self.variables.truncate(depth);
        answer
    }

    fn variable(&mut self, form: &Json) -> Result<Value, Errors> {
        let Some(Json::Text(name)) = form.get("var") else {
            return Err(Errors::invalid_expression("String expected.").under("var"));
        };
        let found = self.variables.iter().rev().find(|(own, _)| own == name).map(|(_, value)| value.clone());
        found.ok_or_else(|| Errors::invalid_expression(&format!("Variable '{name}' is not defined.")))
    }

    fn condition(&mut self, form: &Json) -> Result<Value, Errors> {
        match self.part(form, "if")? {
            Value::Bool(true) => self.part(form, "then"),
            Value::Bool(false) => self.part(form, "else"),
            other => Err(Errors::invalid_argument("Boolean", other.type_name()).under("if")),
        }
    }

    fn equals(&mut self, form: &Json) -> Result<Value, Errors> {
        let Value::Array(values) = self.part(form, "equals")? else { return Ok(Value::Bool(true)) };
        Ok(Value::Bool(values.windows(2).all(|pair| pair[0] == pair[1])))
    }

    /// Calls a lambda; its variables end with it.
    fn apply(&mut self, lambda: &Value, arguments: Vec<Value>) -> Result<Value, Errors> {
        let Value::Query(lambda) = lambda else {
            return Err(Errors::invalid_argument("Lambda", lambda.type_name()));
        };
        let depth = self.variables.len();
        match lambda.get("lambda") {
            Some(Json::Text(name)) => {
                let mut arguments = arguments;
                let argument = if arguments.len() == 1 { arguments.remove(0) } else { Value::Array(arguments) };
                self.variables.push((name.clone(), argument));
            }
            Some(Json::Array(names)) => {
                let values = match arguments.as_slice() {
                    [Value::Array(values)] => values.clone(),
                    _ => arguments,
                };
                if values.len() != names.len() {
                    let (expected, given) = (names.len(), values.len());
                    return Err(Errors::invalid_argument(&format!("{expected} arguments"), &given.to_string()));
                }
                for (name, value) in names.iter().zip(values) {
                    if let Json::Text(name) = name {
                        self.variables.push((name.clone(), value));
                    }
                }
            }
            _ => return Err(Errors::invalid_expression("Parameters expected.").under("lambda")),
        }
        let answer = self.part(lambda, "expr");
        self.variables.truncate(depth);
        answer
    }
}

/// The functions that an object may call. Those whose names are also other functions' arguments come last.
const FUNCTIONS: [&str; 34] = [
    "quote",
    "object",
    "let",
    "var",
    "if",
    "at",
    "now",
    "map",
    "reduce",
    "merge",
    "lambda",
    "equals",
    "insert",
    "create",
    "update",
    "replace",
    "delete",
    "create_collection",
    "create_class",
    "create_index",
    "create_database",
    "create_key",
    "select",
    "paginate",
    "count",
    "get",
    "exists",
    "match",
    "events",
    "documents",
    "ref",
    "index",
    "database",
    "collection",
];
