use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mongodb::ClientSession;
use mongodb::error::{TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::options::{ReadConcern, ReadPreference, SelectionCriteria};
use tokio::sync::Mutex;

use crate::engine::{EngineTransaction, Executor, Operation, Output};
use crate::mongo::core::Core;
use crate::mongo::error::{classify, failed};
use crate::{Error, Result};

/// The driver tries twice by itself each time.
const COMMIT_TRIES: u32 = 5;

pub(crate) struct MongoTransaction {
    core: Core,
    state: Mutex<State>,
}

/// A session does one thing at a time, so this is behind a lock; dropped in a transaction, it aborts it.
struct State {
    session: ClientSession,
    ended: Option<String>,
}

impl State {
    fn check(&self) -> Result<()> {
        self.ended.as_ref().map_or(Ok(()), |why| Err(Error::TransactionEnded(why.clone())))
    }
}

impl MongoTransaction {
    pub(crate) async fn begin(core: &Core) -> Result<Arc<Self>> {
        let begin = async {
            let mut session = core.database.client().start_session().await?;
            // All of its reads see one state of the database, on a sharded cluster too.
            session
                .start_transaction()
                .read_concern(ReadConcern::snapshot())
                .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
                .await?;
            Ok(session)
        };
        let session = begin.await.map_err(failed("beginning a transaction", ""))?;
        Ok(Arc::new(Self { core: core.clone(), state: Mutex::new(State { session, ended: None }) }))
    }
}

#[async_trait]
impl Executor for MongoTransaction {
    async fn execute(&self, collection: &str, operation: Operation) -> Result<Output> {
        let mut state = self.state.lock().await;
        state.check()?;
        let result = self.core.execute(collection, operation, Some(&mut state.session)).await;
        if let Err(error) = &result {
            // The server has ended the transaction.
            state.ended = Some(format!("an operation in it failed: {error}"));
            // Releases its locks at once; if this fails, the server's time limit does it.
            let _ = state.session.abort_transaction().await;
        }
        result
    }
}

#[async_trait]
impl EngineTransaction for MongoTransaction {
    async fn commit(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        state.check()?;
        let mut tries = 1;
        let result = loop {
            match state.session.commit_transaction().await {
                Ok(()) => break Ok(()),
                // To commit again is safe: the server knows what became of it.
                Err(error)
                    if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) && tries < COMMIT_TRIES =>
                {
                    tokio::time::sleep(Duration::from_millis(50 << tries)).await;
                    tries += 1;
                }
                Err(error) => {
                    let unknown = !error.contains_label(TRANSIENT_TRANSACTION_ERROR)
                        && error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT);
                    break Err(if unknown {
                        Error::Unavailable("committing a transaction: its outcome is not known".into())
                    } else {
                        classify("committing a transaction", "", &error)
                    });
                }
            }
        };
        state.ended = Some(if result.is_ok() { "it was committed" } else { "its commit failed" }.into());
        result
    }

    async fn abort(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        if state.ended.is_none() {
            state.ended = Some("it was aborted".into());
            // A server that is out of reach aborts it by itself.
            let _ = state.session.abort_transaction().await;
        }
        Ok(())
    }
}
