use bson::Document;
use serde::Serialize;

use super::fields::{integer, text};

/// Who wrote something down: which run of which program, where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Provenance {
    /// The run.
    pub run_id: String,
    /// Who started it.
    pub actor: String,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: i64,
    /// The version of the program.
    pub app_version: String,
    /// The revision that it was built from, if it was told when it was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_revision: Option<String>,
}

impl Provenance {
    pub(crate) fn from_document(document: &Document) -> Self {
        let word = |key| text(document, key).unwrap_or_default();
        Self {
            run_id: word("run_id"),
            actor: word("actor"),
            host: word("host"),
            pid: integer(document, "pid").unwrap_or(0),
            app_version: word("app_version"),
            git_revision: text(document, "git_revision"),
        }
    }
}
