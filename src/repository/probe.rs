use std::time::Duration;

use docstore::Database;

use super::Error;

/// Asks the store for a sign of life. Cheap to clone.
#[derive(Clone)]
pub struct Probe {
    database: Database,
}

impl Probe {
    /// A probe of this database.
    pub fn new(database: &Database) -> Self {
        Self { database: database.clone() }
    }

    /// Asks, and waits so long at the most.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store did not answer in time.
    pub async fn ping(&self, deadline: Duration) -> Result<(), Error> {
        if let Ok(answer) = tokio::time::timeout(deadline, self.database.ping()).await {
            return Ok(answer?);
        }
        let text = format!("no answer within {} ms", deadline.as_millis());
        Err(Error::Unavailable(docstore::Error::Unavailable(text)))
    }
}
