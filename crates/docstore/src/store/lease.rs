use std::sync::Arc;
use std::time::Duration;

use crate::Result;
use crate::engine::Engine;

/// A wish for a lease.
#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// The collection that holds the lease's document.
    pub collection: String,
    /// The name of the lease, the id of that document.
    pub name: String,
    /// Who asks; unique for each run, so that a repeated request of the same run finds its own lease.
    pub owner: String,
    /// How long it lasts unless renewed, on the store's clock.
    pub ttl: Duration,
}

/// Who holds a lease at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseHolder {
    /// The `owner` of the holder's request.
    pub owner: String,
    /// The fencing token it was given.
    pub fence: i64,
    /// How long it still lasts, on the store's clock; zero if it has run out.
    pub remaining: Duration,
}

/// A lease that is held: until it is released, or runs out because it was not renewed.
///
/// It is judged on the store's clock, never on this machine's. Each new holder gets a greater fencing token, so a
/// write that carries the token can be told from one of a holder that has been superseded.
pub struct Lease {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) request: LeaseRequest,
    pub(crate) fence: i64,
}

impl Lease {
    /// The fencing token: greater than that of any earlier holder.
    pub fn fence(&self) -> i64 {
        self.fence
    }

    /// Who holds it.
    pub fn owner(&self) -> &str {
        &self.request.owner
    }

    /// How long it lasts from each renewal.
    pub fn ttl(&self) -> Duration {
        self.request.ttl
    }

    /// Starts the term anew. `false` if the lease was lost meanwhile: the holder has to stop writing.
    pub async fn renew(&self) -> Result<bool> {
        self.engine.renew_lease(&self.request, self.fence).await
    }

    /// Gives it back, if it is still held; the fencing token is remembered for the next holder.
    pub async fn release(&self) -> Result<()> {
        self.engine.release_lease(&self.request, self.fence).await
    }
}
