//! Links between the files of the repository.

use std::collections::BTreeSet;

use super::repository::{Source, assert_none, files, sources_ending};

/// The text without fenced blocks and code spans, line by line with the same numbers.
fn prose(source: &Source) -> Vec<(usize, String)> {
    let mut is_fenced = false;
    let mut prose = Vec::new();
    for (number, line) in source.lines() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        } else if !is_fenced {
            prose.push((number, line.split('`').step_by(2).collect::<Vec<_>>().join("`")));
        }
    }
    prose
}

/// The targets of `[text](target)`, `[text](target "title")` and `[label]: target`.
fn targets(line: &str) -> Vec<&str> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let label = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target.trim());
    inline.chain(label).map(|target| target.trim_matches(['<', '>'])).collect()
}

/// `target`, seen from the folder of `from`; nothing if it leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn has_heading(source: &Source, wanted: &str) -> bool {
    source.lines().any(|(_, line)| line.starts_with('#') && anchor(line) == wanted)
}

#[test]
fn a_link_leads_somewhere() {
    let pages = sources_ending(".md");
    let files: BTreeSet<String> = files().into_iter().collect();
    let is_folder = |path: &str| {
        path.is_empty()
            || files.range(format!("{path}/")..).next().is_some_and(|file| file.starts_with(&format!("{path}/")))
    };
    let mut broken = Vec::new();
    for page in &pages {
        for (number, line) in prose(page) {
            for target in
                targets(&line).into_iter().filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
            {
                let (path, heading) = target.split_once('#').unwrap_or((target, ""));
                let path = if path.is_empty() { Some(page.path.clone()) } else { resolve(&page.path, path) };
                let path = path.filter(|path| files.contains(path) || is_folder(path));
                let is_right = path.is_some_and(|path| {
                    let to = pages.iter().find(|page| page.path == path);
                    heading.is_empty() || to.is_some_and(|to| has_heading(to, heading))
                });
                if !is_right {
                    broken.push(format!("{}:{number}: {target}", page.path));
                }
            }
        }
    }
    assert_none("a link between our files names a file (and a heading) that is there", &broken);
}

#[test]
fn the_parts_of_a_link() {
    assert_eq!(targets("[a](b.md) and [c](d/e.md#f \"title\"), ![p](q.png)"), ["b.md", "d/e.md#f", "q.png"]);
    assert_eq!(targets("[label]: ../x.md"), ["../x.md"]);
    assert_eq!(resolve("docs/decisions/a.md", "../b.md").unwrap(), "docs/b.md");
    assert_eq!(resolve("README.md", "../b.md"), None);
    assert_eq!(anchor("## What a client does, in `steps`"), "what-a-client-does-in-steps");
}
