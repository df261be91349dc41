use bson::doc;

use super::lock::{last_holder, lease_request};
use super::resolve::required_reason;
use crate::ledger::{LOG, log_record};
use crate::{Error, Migrator, Result, UnlockOutcome};

pub(crate) async fn unlock(m: &Migrator, reason: &str) -> Result<UnlockOutcome> {
    let reason = required_reason(reason)?;
    let Some(holder) = last_holder(m).await? else { return Ok(UnlockOutcome::Free) };
    let ran_out = holder.remaining.is_zero();
    if !ran_out && !m.runner.is_gone(&holder.owner) {
        return Err(Error::LockHeld { holder: holder.owner, remaining: holder.remaining });
    }
    // Names owner and fence, so that a runner that acquired the lease in the meantime keeps it.
    m.db.engine().release_lease(&lease_request(m, holder.owner.clone()), holder.fence).await?;
    let mut record = log_record(&m.runner, &m.settings, "unlocked", holder.fence);
    record.extend(doc! { "holder": &holder.owner, "reason": reason });
    m.db.collection(LOG).insert_one(record).await?;
    tracing::warn!(holder = holder.owner, reason, "released the migration lock of a dead runner");
    Ok(UnlockOutcome::Released { holder: holder.owner, ran_out })
}
