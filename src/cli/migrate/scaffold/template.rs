use std::fmt::Write as _;

/// What a new migration does.
#[derive(Debug)]
pub(in crate::cli::migrate) enum Body {
    /// Nothing yet.
    Empty,
    /// Nothing, for good: it joins what comes last.
    Merge,
    /// These steps, a line of source each, over what they need.
    Steps { uses: Vec<String>, lines: Vec<String> },
}

/// The text of a migration; `rustfmt` may still want to break a line.
pub(super) fn migration(id: &str, type_name: &str, message: &str, parents: &[String], body: &Body) -> String {
    let mut text = format!("//! {message}.\n//!\n");
    text.push_str(match body {
        Body::Empty => "//! Say here what documents look like before and after, and why.\n",
        Body::Merge => "//! Two lines of migrations become one again. Nothing is changed.\n",
        Body::Steps { .. } => "//! Makes what the database has what the program declares.\n",
    });
    let step = if matches!(body, Body::Merge) { "" } else { ", Step" };
    let _ = write!(
        text,
        "\nuse async_trait::async_trait;\n{}use migrator::{{Check, Finding, Meta, Migration, Result{step}, Undo}};\n\n\
         pub(crate) struct {type_name};\n\n{}\n\
         #[async_trait]\nimpl Migration for {type_name} {{\n    fn meta(&self) -> &'static Meta {{\n        &META\n    }}\n\n",
        uses(body),
        meta(id, message, parents)
    );
    text.push_str(&steps(body));
    text.push_str(
        "    fn undo(&self) -> Undo {\n        Undo::Journal\n    }\n\n    \
         async fn check(&self, _cx: &Check<'_>) -> Result<Vec<Finding>> {\n",
    );
    if matches!(body, Body::Empty) {
        text.push_str("        // What does not hold afterwards although it should; `field-notes migrate verify` asks. Reads only.\n");
    }
    text.push_str("        Ok(Vec::new())\n    }\n}\n\n");
    text.push_str(TESTS);
    text
}

fn uses(body: &Body) -> String {
    match body {
        Body::Empty | Body::Merge => String::new(),
        Body::Steps { uses, .. } => uses.iter().fold(String::new(), |text, line| text + line + "\n"),
    }
}

fn steps(body: &Body) -> String {
    let lines = match body {
        Body::Merge => return String::new(),
        Body::Empty => vec![
            "// What it does, a step each, such as".to_owned(),
            "//     Step::add_field(\"set the flag\", \"stories\", \"is_featured\", false),".to_owned(),
            "// Each can be run again, is undone from the journal, and is shown by `field-notes migrate plan`.".to_owned(),
            "Vec::new()".to_owned(),
        ],
        Body::Steps { lines, .. } => {
            let lines = lines.iter().map(|line| format!("    {line},"));
            ["vec![".to_owned()].into_iter().chain(lines).chain(["]".to_owned()]).collect()
        }
    };
    let lines = lines.iter().fold(String::new(), |text, line| format!("{text}        {line}\n"));
    format!("    fn steps(&self) -> Vec<Step> {{\n{lines}    }}\n\n")
}

fn meta(id: &str, message: &str, parents: &[String]) -> String {
    let after = if parents.is_empty() { String::new() } else { format!(".after(&{parents:?})") };
    format!("const META: Meta = Meta::new({id:?}, {message:?}){after};\n")
}

const TESTS: &str = r#"#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use docstore::Database;
    use migrator::{DownRequest, Graph, Migrator, Settings, UpMode, UpRequest, UpTarget};

    use super::META;

    fn to(id: &str) -> UpRequest {
        UpRequest { target: UpTarget::To(id.to_owned()), ..UpRequest::all(UpMode::Operator) }
    }

    testkit::stores! {
        async fn it_does_what_it_says_once_and_can_be_taken_back(db: Database) {
            let env = |name: &str| (name == "ADMIN_EMAIL").then(|| "admin@example.com".to_owned());
            let settings = Settings { env: Arc::new(env), ..Settings::default() };
            let migrator = Migrator::new(db.clone(), Graph::new(crate::all()).unwrap(), settings);
            for before in META.depends_on {
                migrator.up(&to(before)).await.unwrap();
            }
            // Put documents here as they are before.
            let mut before = testkit::dump!(db);

            let report = migrator.up(&to(META.id)).await.unwrap();
            assert_eq!(report.applied.len(), 1);
            assert!(report.findings.is_empty(), "{:?}", report.findings);
            // Say here what they are like now.
            assert!(migrator.up(&to(META.id)).await.unwrap().applied.is_empty());

            migrator.down(&DownRequest::default()).await.unwrap();
            let mut after = testkit::dump!(db);
            // An index makes the collection that it is of, which stays, empty.
            before.retain(|name, documents| !name.starts_with('_') && !documents.is_empty());
            after.retain(|name, documents| !name.starts_with('_') && !documents.is_empty());
            assert_eq!(after, before);
        }
    }
}
"#;
