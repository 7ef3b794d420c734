//! What was measured, for a reader and for a program.
//!
//! Owns: the tables, and the three places where they are written.
//! Must not know: what a number means.
//! Source: `cargo xtask bench`.

use std::fs;

use serde_json::{Map, Value, json};
use tests::stack::root;

use crate::{interleaved::Ratio, machine::Machine};

const PAGE: &str = "docs/performance.md";
const REPORT: &str = "target/bench/report.json";

/// One benchmark's outcome.
pub(crate) struct Table {
    pub(crate) title: &'static str,
    /// What was done and how it was measured.
    pub(crate) method: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// A field of a table.
pub(crate) enum Cell {
    Text(String),
    /// A number and how many digits of it say something.
    Number(f64, usize),
    Ratio(Ratio),
    /// Nothing to say here.
    Empty,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Cell {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number, digits) => grouped(*number, *digits),
            Self::Ratio(ratio) => ratio.text(),
            Self::Empty => String::new(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number, _) => json!(number),
            Self::Ratio(ratio) => ratio.json(),
            Self::Empty => Value::Null,
        }
    }
}

impl Table {
    fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("## {}\n\n{}\n\n", self.title, self.method);
        text += &line(self.columns.iter().map(|&column| column.to_owned()).collect());
        text += &line(self.columns.iter().map(|_| "---".to_owned()).collect());
        text.extend(self.rows.iter().map(|row| line(row.iter().map(Cell::text).collect())));
        text
    }

    fn json(&self) -> Value {
        let fields = |row: &Vec<Cell>| {
            let fields = self.columns.iter().zip(row).map(|(&column, cell)| (column.to_owned(), cell.json()));
            Value::Object(fields.collect::<Map<_, _>>())
        };
        json!({"title": self.title, "method": self.method, "rows": self.rows.iter().map(fields).collect::<Vec<_>>()})
    }

    /// Shows what was measured, as soon as it is.
    pub(crate) fn print(&self) {
        println!("\n{}", self.markdown());
    }
}

/// Writes the report, and the page if every benchmark ran.
pub(crate) fn write(machine: &Machine, tables: &[Table], is_whole: bool) {
    let report = root().join(REPORT);
    fs::create_dir_all(report.parent().unwrap()).unwrap();
    let tables_json: Vec<Value> = tables.iter().map(Table::json).collect();
    let json = json!({"machine": machine.json(), "benchmarks": tables_json});
    fs::write(&report, format!("{}\n", serde_json::to_string_pretty(&json).unwrap())).unwrap();
    println!("{} was written", report.display());
    if is_whole {
        let page = root().join(PAGE);
        let tables: Vec<String> = tables.iter().map(Table::markdown).collect();
        fs::write(&page, format!("{}\n{}", machine.markdown(), tables.join("\n"))).unwrap();
        println!("{} was written", page.display());
    }
}

/// A number with a comma every three digits.
fn grouped(number: f64, digits: usize) -> String {
    let text = format!("{number:.digits$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    [sign, &grouped, if rest.is_some() { "." } else { "" }, rest.unwrap_or_default()].concat()
}
