use std::time::Duration;

use docstore::Database;

use super::Error;

/// Pings the store. Cheap to clone.
#[derive(Clone)]
pub struct Probe {
    database: Database,
}

impl Probe {
    /// Creates a probe of this database.
    pub fn new(database: &Database) -> Self {
        Self { database: database.clone() }
    }

    /// Pings the store and waits for at most `deadline`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store did not answer in time.
    pub async fn ping(&self, deadline: Duration) -> Result<(), Error> {
        if let Ok(outcome) = tokio::time::timeout(deadline, self.database.ping()).await {
            return Ok(outcome?);
        }
        let text = format!("no answer within {} ms", deadline.as_millis());
        Err(Error::Unavailable(docstore::Error::Unavailable(text)))
    }
}
