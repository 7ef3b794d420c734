//! SPDX licence expressions: `OR`, `AND`, `WITH`, parentheses, and the older `/` for `OR`.

/// Whether a licence expression is satisfied by allowed licences; an error says what is wrong with the expression.
pub(super) fn is_satisfied(expression: &str, is_allowed: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = Words { rest: spaced.split_whitespace().collect(), is_allowed };
    words.rest.reverse();
    let is_satisfied = words.alternatives()?;
    match words.rest.pop() {
        None => Ok(is_satisfied),
        Some(word) => Err(format!("`{word}` was not expected in `{expression}`")),
    }
}

struct Words<'a> {
    /// The next word is the last.
    rest: Vec<&'a str>,
    is_allowed: &'a dyn Fn(&str) -> bool,
}

impl Words<'_> {
    fn next_is(&mut self, word: &str) -> bool {
        let is_next = self.rest.last() == Some(&word);
        if is_next {
            self.rest.pop();
        }
        is_next
    }

    fn alternatives(&mut self) -> Result<bool, String> {
        let mut is_satisfied = self.all()?;
        while self.next_is("OR") {
            is_satisfied |= self.all()?;
        }
        Ok(is_satisfied)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut is_satisfied = self.licence()?;
        while self.next_is("AND") {
            is_satisfied &= self.licence()?;
        }
        Ok(is_satisfied)
    }

    fn licence(&mut self) -> Result<bool, String> {
        if self.next_is("(") {
            let is_satisfied = self.alternatives()?;
            return if self.next_is(")") { Ok(is_satisfied) } else { Err("a parenthesis is not closed".to_owned()) };
        }
        let name = self.name()?;
        if self.next_is("WITH") {
            let exception = self.name()?;
            return Ok((self.is_allowed)(&format!("{name} WITH {exception}")));
        }
        Ok((self.is_allowed)(&name))
    }

    fn name(&mut self) -> Result<String, String> {
        match self.rest.pop() {
            None => Err("a name is missing at the end".to_owned()),
            Some("AND" | "OR" | "WITH" | "(" | ")") => Err("a name is missing".to_owned()),
            Some(name) => Ok(name.to_owned()),
        }
    }
}

#[test]
fn an_expression_is_read_as_spdx_means_it() {
    let allowed = ["MIT", "Apache-2.0", "A WITH E"];
    let check = |expression| is_satisfied(expression, &|name| allowed.contains(&name));
    for good in ["MIT", "GPL-3.0 OR MIT", "GPL-3.0/MIT", "GPL-3.0 / MIT", "A WITH E", "MIT AND Apache-2.0"] {
        assert_eq!(check(good), Ok(true), "{good}");
    }
    for bad in ["GPL-3.0", "GPL-3.0 AND MIT", "A", "MIT WITH E", "(MIT OR Apache-2.0) AND GPL-3.0", "MIT+"] {
        assert_eq!(check(bad), Ok(false), "{bad}");
    }
    assert_eq!(check("GPL-3.0 AND GPL-2.0 OR MIT"), Ok(true), "AND binds closer than OR");
    assert_eq!(check("GPL-3.0 AND (GPL-2.0 OR MIT)"), Ok(false));
    for broken in ["", "MIT OR", "(MIT", "MIT)", "MIT Apache-2.0", "AND MIT", "MIT WITH"] {
        assert!(check(broken).is_err(), "{broken}");
    }
}
