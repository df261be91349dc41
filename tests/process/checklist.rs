//! `docs/migrations-checklist.md`: every demand once, every test that it names there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The groups of demands, and how many each has.
const GROUPS: [(&str, usize); 5] = [("FN", 31), ("PM", 8), ("CA", 21), ("OR", 29), ("L", 25)];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rows() -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join("docs/migrations-checklist.md")).expect("the checklist");
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    let is_row = |line: &&str| {
        GROUPS
            .iter()
            .any(|(group, _)| line.strip_prefix("| ").is_some_and(|l| l.starts_with(&format!("{group}-"))))
    };
    text.lines().filter(is_row).map(cells).collect()
}

#[test]
fn every_demand_is_there_once_and_settled() {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows() {
        assert_eq!(row.len(), 4, "{row:?}");
        assert!(["built", "declined"].contains(&&*row[1]), "{row:?}");
        assert!(row[1] == "built" || !row[3].contains("::"), "declined for a reason: {row:?}");
        assert!(row[2].len() > 3 && row[3].len() > 20, "{row:?}");
        *found.entry(row[0].clone()).or_default() += 1;
    }
    let expected = GROUPS.iter().flat_map(|(group, n)| (1..=*n).map(move |i| (format!("{group}-{i:02}"), 1)));
    assert_eq!(found, expected.collect());
}

#[test]
fn every_test_that_is_named_exists() {
    let mut missing = Vec::new();
    let mut count = 0;
    for row in rows().iter().filter(|row| row[1] == "built") {
        let named: Vec<_> = row[3].split('`').filter_map(|word| word.split_once("::")).collect();
        assert!(!named.is_empty(), "{row:?}");
        for (file, name) in named {
            count += 1;
            let text = fs::read_to_string(root().join(file)).unwrap_or_default();
            let begins = format!("fn {name}(");
            let is_test =
                text.lines().any(|line| line.trim_start().trim_start_matches("async ").starts_with(&begins));
            if !is_test {
                missing.push(format!("{}: {file}::{name}", row[0]));
            }
        }
    }
    assert!(count > 100, "{count}");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
