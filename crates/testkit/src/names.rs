use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Returns the names of all tests in the sources of a workspace: functions with a test attribute, or inside a macro that
/// generates tests. Tables that name tests are checked with it.
///
/// # Panics
/// Panics if a folder or a source cannot be read.
pub fn test_names(root: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["src", "tests", "migrations", "crates"] {
        collect(&root.join(folder), &mut names);
    }
    names
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder is read") {
        let path = entry.expect("an entry is read").path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source is read");
            let (mut marked, mut in_macro) = (false, false);
            for line in text.lines() {
                let code = line.trim_start();
                in_macro = match line {
                    "}" => false,
                    _ => in_macro || line.starts_with("testkit::") && line.ends_with("! {"),
                };
                let function = code.strip_prefix("async ").unwrap_or(code).strip_prefix("fn ");
                let name = function.and_then(|rest| rest.split('(').next());
                // Inside the macros, tests are indented by one level and their contents deeper.
                let generated = in_macro && line.len() - code.len() == 4;
                if let (Some(name), true) = (name, marked || generated) {
                    names.insert(name.to_owned());
                }
                marked = code == "#[test]"
                    || code.starts_with("#[tokio::test")
                    || marked && code.starts_with("#[");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_tests_alone() {
        let names = test_names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
        assert!(names.contains("names_are_those_of_tests_alone") && !names.contains("collect"));
        assert!(names.contains("deleted_ones_are_gone_by_either_mark"), "those of macros, too");
    }
}
