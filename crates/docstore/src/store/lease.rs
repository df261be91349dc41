use std::sync::Arc;
use std::time::Duration;

use crate::Result;
use crate::engine::Engine;

/// A request for a lease.
#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// The collection that holds the lease's document.
    pub collection: String,
    /// The name of the lease, the id of that document.
    pub name: String,
    /// The requesting owner; unique for each run, so that a repeated request finds its own lease.
    pub owner: String,
    /// Time to live unless renewed, on the store's clock.
    pub ttl: Duration,
}

/// The current holder of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseHolder {
    /// The `owner` of the holder's request.
    pub owner: String,
    /// Its fencing token.
    pub fence: i64,
    /// Remaining time, on the store's clock; zero if it has expired.
    pub remaining: Duration,
}

/// A held lease, until it is released or expires.
///
/// It expires by the store's clock, never by this machine's. Each new holder gets a greater fencing token, so a write that
/// carries the token can be distinguished from one of a superseded holder.
pub struct Lease {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) request: LeaseRequest,
    pub(crate) fence: i64,
}

impl Lease {
    /// Returns the fencing token, which is greater than that of any earlier holder.
    pub fn fence(&self) -> i64 {
        self.fence
    }

    /// Returns the owner.
    pub fn owner(&self) -> &str {
        &self.request.owner
    }

    /// Returns the time to live from each renewal.
    pub fn ttl(&self) -> Duration {
        self.request.ttl
    }

    /// Renews the lease. Returns `false` if it was lost: the holder must stop writing.
    pub async fn renew(&self) -> Result<bool> {
        self.engine.renew_lease(&self.request, self.fence).await
    }

    /// Releases the lease if it is still held; the next holder gets a greater token.
    pub async fn release(&self) -> Result<()> {
        self.engine.release_lease(&self.request, self.fence).await
    }
}
