const TEMPLATE: &str = include_str!("migration.tmpl");
/// The steps of a new migration.
const STEPS_HINT: &str = "        \
        // List the steps, such as\n        \
        //     Step::add_field(\"set the flag\", \"stories\", \"is_featured\", false),\n        \
        // A step is idempotent, is rolled back from the journal, and is shown by `field-notes migrate plan`.\n        \
        Vec::new()\n";
const CHECK_HINT: &str = "        // Return what does not hold after the migration; `field-notes migrate verify` reports it. Reads only.\n";

/// The content of a new migration.
#[derive(Debug)]
pub(in crate::cli::migrate) enum Body {
    /// A skeleton to complete.
    Empty,
    /// No changes: it joins several heads.
    Merge,
    /// Steps, one line of source each, and the import that they need.
    Steps { uses: String, lines: Vec<String> },
}

/// Returns the source of a migration. `rustfmt` may still break a line.
pub(super) fn migration(id: &str, type_name: &str, message: &str, parents: &[String], body: &Body) -> String {
    let after = if parents.is_empty() { String::new() } else { format!(".after(&{parents:?})") };
    let steps = |lines: &str| format!("    fn steps(&self) -> Vec<Step> {{\n{lines}    }}\n\n");
    let (about, uses, step, steps, check) = match body {
        Body::Empty => (
            "Describe the documents before and after, and the reason.",
            "",
            ", Step",
            steps(STEPS_HINT),
            CHECK_HINT,
        ),
        Body::Merge => ("Joins two lines of migrations. Nothing is changed.", "", "", String::new(), ""),
        Body::Steps { uses, lines } => {
            let lines = lines.iter().fold(String::new(), |text, line| text + "            " + line + ",\n");
            let steps = steps(&format!("        vec![\n{lines}        ]\n"));
            (
                "Makes the indexes of the database match their declarations.",
                uses.as_str(),
                ", Step",
                steps,
                "",
            )
        }
    };
    // The message comes last, so that nothing in it is replaced.
    [
        ("{{about}}", about),
        ("{{uses}}", uses),
        ("{{step}}", step),
        ("{{type}}", type_name),
        ("{{id_literal}}", &format!("{id:?}")),
        ("{{after}}", &after),
        ("{{steps}}", &steps),
        ("{{check}}", check),
        ("{{message_literal}}", &format!("{message:?}")),
        ("{{message}}", message),
    ]
    .into_iter()
    .fold(TEMPLATE.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
}
