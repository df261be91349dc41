use std::fmt;
use std::time::{Duration, Instant};

use migrator::Event;

/// No line of a log is written sooner after the one before.
const PAUSE: Duration = Duration::from_secs(1);

/// Follows a run of migrations by its events: how far it is, how fast it goes, how long it will take.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    reading: Reading,
    /// When the step under way began.
    began: Option<Instant>,
    /// When something was last told.
    told: Option<Instant>,
}

/// How far a run of migrations is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// The migration under way.
    pub migration: Option<String>,
    /// Its step.
    pub step: Option<String>,
    /// How many documents the step has gone through.
    pub done: u64,
    /// How many there were when it began, if anybody counted.
    pub total: Option<u64>,
    /// Documents in a second, since the step began here.
    pub rate: Option<f64>,
    /// Who has the lock that this process waits for.
    pub holder: Option<String>,
    /// Whether the migration is being taken back.
    pub undoing: bool,
}

impl Meter {
    /// Takes an event in. `true` if it is time to tell where things are.
    pub fn record(&mut self, event: &Event<'_>, now: Instant) -> bool {
        match event {
            Event::LockWait { holder } => {
                self.reading = Reading { holder: Some((*holder).to_owned()), ..Reading::default() };
            }
            Event::LockTaken { .. } => self.reading = Reading::default(),
            Event::Started { migration, .. } => self.begin(migration, false),
            Event::RollingBack { migration } => self.begin(migration, true),
            Event::StepStarted { step, .. } => {
                let Reading { migration, undoing, .. } = std::mem::take(&mut self.reading);
                self.reading =
                    Reading { migration, undoing, step: Some((*step).to_owned()), ..Reading::default() };
                self.began = Some(now);
            }
            Event::Counted { total, .. } => self.reading.total = Some(*total),
            Event::Progress { counts, .. } => {
                self.reading.done = counts.inserted + counts.updated + counts.deleted + counts.left;
                self.reading.rate = self.rate(now);
            }
            _ => return false,
        }
        let due = self.told.is_none_or(|told| now.saturating_duration_since(told) >= PAUSE);
        if due {
            self.told = Some(now);
        }
        due
    }

    /// How far it is.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    fn begin(&mut self, migration: &str, undoing: bool) {
        self.reading = Reading { migration: Some(migration.to_owned()), undoing, ..Reading::default() };
    }

    fn rate(&self, now: Instant) -> Option<f64> {
        let seconds = now.saturating_duration_since(self.began?).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate is told to three digits")]
        let done = self.reading.done as f64;
        (seconds > 0.0 && done > 0.0).then(|| done / seconds)
    }
}

impl Reading {
    /// From 0 to 100; `None` if nobody counted.
    pub fn percent(&self) -> Option<u8> {
        let total = self.total.filter(|total| *total > 0)?;
        let percent = self.done.min(total).saturating_mul(100) / total;
        u8::try_from(percent).ok()
    }

    /// How long the step will take from here, if it goes on as it did.
    pub fn left(&self) -> Option<Duration> {
        let left = self.total?.saturating_sub(self.done);
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds = left as f64 / self.rate?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// In one line, as for a log.
impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(holder) = &self.holder {
            return write!(f, "waiting for {holder}, who has the migration lock");
        }
        if self.undoing {
            f.write_str("taking back ")?;
        }
        f.write_str(self.migration.as_deref().unwrap_or("migrations"))?;
        let Some(step) = &self.step else { return Ok(()) };
        write!(f, ": {step}")?;
        match (self.total, self.percent()) {
            (Some(total), Some(percent)) => write!(f, ", {} of {total} ({percent} %)", self.done)?,
            _ if self.done > 0 => write!(f, ", {}", self.done)?,
            _ => {}
        }
        if let Some(rate) = self.rate {
            write!(f, ", {rate:.0}/s")?;
        }
        if let Some(left) = self.left() {
            write!(f, ", {} s left", left.as_secs())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use migrator::StepCounts;

    use super::*;

    fn counts(updated: u64) -> StepCounts {
        StepCounts { step: "link".into(), collection: "stories".into(), updated, ..StepCounts::default() }
    }

    #[test]
    fn it_tells_rate_and_the_time_that_is_left() {
        let mut meter = Meter::default();
        let start = Instant::now();
        meter.record(&Event::Started { migration: "0004_a", attempt: 1 }, start);
        meter.record(&Event::StepStarted { migration: "0004_a", step: "link" }, start);
        meter.record(&Event::Counted { migration: "0004_a", total: 10_000 }, start);
        let later = start + Duration::from_secs(2);
        assert!(meter.record(&Event::Progress { migration: "0004_a", counts: &counts(2_500) }, later));
        let reading = meter.reading();
        assert_eq!((reading.percent(), reading.left()), (Some(25), Some(Duration::from_secs(6))));
        assert_eq!(reading.to_string(), "0004_a: link, 2500 of 10000 (25 %), 1250/s, 6 s left");
    }

    #[test]
    fn it_speaks_once_a_second_at_most() {
        let mut meter = Meter::default();
        let start = Instant::now();
        let told = (0..50_u64).filter(|n| {
            let now = start + Duration::from_millis(100 * n);
            meter.record(&Event::Progress { migration: "0004_a", counts: &counts(*n) }, now)
        });
        assert_eq!(told.count(), 5);
    }

    #[test]
    fn whoever_is_waited_for_is_named_until_the_lock_is_ours() {
        let mut meter = Meter::default();
        let now = Instant::now();
        meter.record(&Event::LockWait { holder: "host:1" }, now);
        assert_eq!(meter.reading().to_string(), "waiting for host:1, who has the migration lock");
        meter.record(&Event::LockTaken { fence: 1 }, now);
        assert_eq!(meter.reading().holder, None);
    }

    #[test]
    fn more_than_there_were_is_no_more_than_all() {
        let reading = Reading { done: 11, total: Some(10), rate: Some(1.0), ..Reading::default() };
        assert_eq!((reading.percent(), reading.left()), (Some(100), Some(Duration::ZERO)));
        assert_eq!(Reading { total: Some(0), ..Reading::default() }.percent(), None);
    }
}
