//! Map, reduce, merge and select.
//!
//! Owns: `Merge` with all its rules, and what a fold over an array, a page and a set is.
//! Must not know: where the elements come from.
//! Source: FaunaDB `ObjectFunctions.scala`, `ReduceFunctions.scala`; fact sheet, 2.

use super::{
    super::{
        error::Errors,
        json::Json,
        value::{Fields, Page, Value},
    },
    Query,
};

/// Fields of an object whose order is kept; more are in no order that means anything.
const ORDERED_FIELDS_MAX: usize = 4;

impl Query<'_> {
    pub(super) fn map(&mut self, form: &Json) -> Result<Value, Errors> {
        let lambda = self.part(form, "map")?;
        let each = |query: &mut Self, values: Vec<Value>| {
            let mapped = values.into_iter().map(|value| query.apply(&lambda, vec![value]));
            mapped.collect::<Result<Vec<_>, _>>().map_err(|errors| errors.under("map"))
        };
        match self.part(form, "collection")? {
            Value::Array(values) => Ok(Value::Array(each(self, values)?)),
            Value::Page(page) => {
                let Page { before, after, elements } = *page;
                let elements = each(self, elements)?;
                Ok(Value::Page(Box::new(Page { before, after, elements })))
            }
            other => Err(Errors::invalid_argument("Array or Page", other.type_name()).under("collection")),
        }
    }

    pub(super) fn reduce(&mut self, form: &Json) -> Result<Value, Errors> {
        let (lambda, initial) = (self.part(form, "reduce")?, self.part(form, "initial")?);
        let fold = |query: &mut Self, values: Vec<Value>| {
            let folded =
                values.into_iter().try_fold(initial.clone(), |acc, value| query.apply(&lambda, vec![acc, value]));
            folded.map_err(|errors| errors.under("reduce"))
        };
        match self.part(form, "collection")? {
            Value::Array(values) => fold(self, values),
            Value::Page(page) => {
                let Page { before, after, elements } = *page;
                let elements = vec![fold(self, elements)?];
                Ok(Value::Page(Box::new(Page { before, after, elements })))
            }
            Value::Set(set) => {
                self.may_read()?;
                let elements = self.reading().elements(&set).map_err(|errors| errors.under("collection"))?;
                fold(self, elements.into_iter().map(|element| element.value).collect())
            }
            other => Err(Errors::invalid_argument("Array, Page or Set", other.type_name()).under("collection")),
        }
    }

    pub(super) fn merge(&mut self, form: &Json) -> Result<Value, Errors> {
        let (left, right) = (self.part(form, "merge")?, self.part(form, "with")?);
        let resolver = self.optional(form, "lambda")?;
        let mut wrong = Vec::new();
        let mut expect = |value: &Value, at: &dyn Fn(Errors) -> Errors| {
            let fields = value.fields();
            if fields.is_none() {
                wrong.extend(at(Errors::invalid_argument("Object", value.type_name())).0);
            }
            fields.unwrap_or_default()
        };
        let mut merged = expect(&left, &|errors| errors.under("merge"));
        let rights: Vec<Fields> = match &right {
            Value::Array(values) => {
                let each = values.iter().enumerate();
                each.map(|(index, value)| expect(value, &|errors| errors.at(index).under("with"))).collect()
            }
            one => vec![expect(one, &|errors| errors.under("with"))],
        };
        if !wrong.is_empty() {
            return Err(Errors(wrong));
        }
        for (name, value) in rights.into_iter().flatten() {
            let known = merged.iter().position(|(own, _)| *own == name);
            let before = known.and_then(|at| merged.get(at)).map_or(Value::Null, |(_, value)| value.clone());
            let resolved = match &resolver {
                None => value,
                Some(lambda) => {
                    let arguments = vec![Value::Text(name.clone()), before, value];
                    self.apply(lambda, arguments).map_err(|errors| errors.under("lambda"))?
                }
            };
            match (known, resolved) {
                (Some(at), Value::Null) => drop(merged.remove(at)),
                (None, Value::Null) => {}
                (Some(at), value) => merged[at].1 = value,
                (None, value) => merged.push((name, value)),
            }
        }
        if merged.len() > ORDERED_FIELDS_MAX {
            merged.sort_by(|(own, _), (other, _)| other.cmp(own));
        }
        Ok(Value::Object(merged))
    }

    pub(super) fn select(&mut self, form: &Json) -> Result<Value, Errors> {
        let path = match self.part(form, "select")? {
            Value::Array(path) => path,
            part => vec![part],
        };
        let from = self.part(form, "from")?;
        let found = path.iter().try_fold(from, |value, part| match (part, &value) {
            (Value::Text(name), _) => value.field(name),
            (Value::Long(index), Value::Array(values)) => {
                usize::try_from(*index).ok().and_then(|at| values.get(at).cloned())
            }
            _ => None,
        });
        if let Some(found) = found {
            return Ok(found);
        }
        if let Some(default) = self.optional(form, "default")? {
            return Ok(default);
        }
        let path: Vec<_> = path.iter().map(Value::render).collect();
        let text = format!("Value not found at path [{}].", path.join(","));
        Err(Errors::new(404, "value not found", text).under("from"))
    }
}
