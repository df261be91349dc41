/// The dimensions of the first video track, and the duration of the file.
pub(super) struct Track {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) duration_ms: Option<u64>,
}

/// Returns `units / per_second` in milliseconds. Unknown durations are written as zero; longer than a century is nonsense.
pub(super) fn milliseconds(units: f64, per_second: f64) -> Option<u64> {
    const CENTURY: f64 = 100.0 * 366.0 * 86_400_000.0;
    let duration = (units * 1000.0 / per_second).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked here")]
    (1.0..=CENTURY).contains(&duration).then_some(duration as u64)
}
