use bson::{Bson, Document, doc};
use mongodb::error::{CommandError, TRANSIENT_TRANSACTION_ERROR};

use crate::mongo::core::{Core, Session, encoded};
use crate::mongo::error::{ErrorContext, ServerError, from_code};
use crate::mongo::translate;
use crate::mongo::write::operations::{DELETING, UPDATING, in_batch};
use crate::{Error, Result, UpdateResult, Write};

/// Maximum number of statements in one command.
const MAX_STATEMENTS: usize = 1000;
/// Maximum size of one command in bytes; the server accepts 48 MB.
const MAX_BYTES: usize = 8 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Insert,
    Update,
    Delete,
}

fn kind(write: &Write) -> Kind {
    match write {
        Write::Insert(_) => Kind::Insert,
        Write::UpdateOne { .. } | Write::UpdateMany { .. } => Kind::Update,
        Write::DeleteMany(_) => Kind::Delete,
    }
}

/// Encodes a statement of an `update` or `delete` command; `None` for an insert.
fn statement(write: &Write) -> Option<Document> {
    Some(match write {
        Write::Insert(_) => return None,
        Write::UpdateOne { filter, update } => {
            doc! { "q": translate::filter(filter), "u": translate::update(update) }
        }
        Write::UpdateMany { filter, update } => {
            doc! { "q": translate::filter(filter), "u": translate::update(update), "multi": true }
        }
        Write::DeleteMany(filter) => doc! { "q": translate::filter(filter), "limit": 0 },
    })
}

impl Core {
    /// `Client::bulk_write` needs MongoDB 8.0; this is a command for each run of writes of one kind.
    pub(crate) async fn bulk_write(
        &self,
        name: &str,
        writes: &[Write],
        mut session: Session<'_>,
    ) -> Result<UpdateResult> {
        let mut total = UpdateResult::default();
        let mut start = 0;
        while let Some(first) = writes.get(start) {
            let kind = kind(first);
            let length = writes[start..].iter().take_while(|write| self::kind(write) == kind).count();
            let run = &writes[start..start + length];
            let session = session.as_deref_mut();
            match kind {
                Kind::Insert => self.insert_run(name, run, start, session).await?,
                Kind::Update | Kind::Delete => {
                    self.command_run(name, kind, run, start, session, &mut total).await?;
                }
            }
            start += length;
        }
        Ok(total)
    }

    async fn insert_run(&self, name: &str, run: &[Write], start: usize, session: Session<'_>) -> Result<()> {
        let documents: Vec<Document> = run
            .iter()
            .filter_map(
                |write| if let Write::Insert(document) = write { Some(document.clone()) } else { None },
            )
            .collect();
        self.insert(name, &documents, session).await.map_err(|error| match error {
            Error::Batch { at, source } => Error::Batch { at: start + at, source },
            other => other,
        })
    }

    async fn command_run(
        &self,
        name: &str,
        kind: Kind,
        run: &[Write],
        mut start: usize,
        mut session: Session<'_>,
        total: &mut UpdateResult,
    ) -> Result<()> {
        let mut chunk = Vec::new();
        let mut bytes = 0;
        for write in run.iter().filter_map(statement) {
            let size = encoded(&write)?.as_bytes().len();
            if !chunk.is_empty() && (chunk.len() == MAX_STATEMENTS || bytes + size > MAX_BYTES) {
                let count = chunk.len();
                let full = std::mem::take(&mut chunk);
                self.command(name, kind, full, start, session.as_deref_mut(), total).await?;
                start += count;
                bytes = 0;
            }
            bytes += size;
            chunk.push(write);
        }
        self.command(name, kind, chunk, start, session, total).await
    }

    async fn command(
        &self,
        name: &str,
        kind: Kind,
        statements: Vec<Document>,
        start: usize,
        session: Session<'_>,
        total: &mut UpdateResult,
    ) -> Result<()> {
        let (command, what) = match kind {
            Kind::Delete => (doc! { "delete": name, "deletes": statements, "ordered": true }, DELETING),
            _ => (doc! { "update": name, "updates": statements, "ordered": true }, UPDATING),
        };
        let in_transaction = session.is_some();
        let _turn = self.turn(in_transaction).await?;
        let response = match self.write_command(command, session).await {
            Ok(response) => response,
            Err(error) => {
                // A failed statement inside a transaction fails the whole command; the answer still names it.
                let answer = error.server_response().and_then(|raw| Document::try_from(raw.as_ref()).ok());
                let at = answer.as_ref().and_then(first_write_error).map(|(at, _)| start + at);
                return Err(in_batch(at, self.error(what, name, &error).await));
            }
        };
        if let Some((at, coded)) = first_write_error(&response) {
            let transient = in_transaction && has_transient_label(&response);
            let source =
                self.complete(from_code(ErrorContext { what, collection: name }, &coded, transient)).await;
            return Err(in_batch(Some(start + at), source));
        }
        if let Ok(unconfirmed) = response.get_document("writeConcernError") {
            let message = unconfirmed.get_str("errmsg").unwrap_or_default();
            return Err(Error::Unavailable(format!("{what}: not confirmed by a majority: {message}")));
        }
        if kind == Kind::Update {
            total.matched += number(&response, "n");
            total.modified += number(&response, "nModified");
        }
        Ok(())
    }
}

/// Counts come as int32, or as int64 and double from `mongos`.
fn number(response: &Document, key: &str) -> u64 {
    match response.get(key) {
        Some(Bson::Int32(n)) => u64::try_from(*n).unwrap_or(0),
        Some(Bson::Int64(n)) => u64::try_from(*n).unwrap_or(0),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, saturating")]
        Some(Bson::Double(n)) => *n as u64,
        _ => 0,
    }
}

fn first_write_error(response: &Document) -> Option<(usize, ServerError)> {
    let Some(Bson::Document(error)) = response.get_array("writeErrors").ok()?.first() else { return None };
    let at = usize::try_from(number(error, "index")).unwrap_or(0);
    let failure: CommandError = bson::deserialize_from_document(error.clone()).ok()?;
    Some((
        at,
        ServerError {
            code: failure.code,
            name: failure.code_name,
            message: failure.message,
            key_pattern: error.get_document("keyPattern").ok().cloned(),
        },
    ))
}

fn has_transient_label(response: &Document) -> bool {
    response
        .get_array("errorLabels")
        .is_ok_and(|labels| labels.iter().any(|label| label.as_str() == Some(TRANSIENT_TRANSACTION_ERROR)))
}
