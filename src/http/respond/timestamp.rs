use chrono::{DateTime, NaiveDateTime, SecondsFormat, Timelike, Utc};

/// An instant on the wire: UTC with `Z`, the fraction left out if it is zero, else of six digits.
pub(crate) fn format_timestamp(at: DateTime<Utc>) -> String {
    let format = if at.nanosecond() == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
    at.to_rfc3339_opts(format, true)
}

/// An instant as the health routes have it: UTC that does not say so.
pub(crate) fn format_naive_timestamp(at: DateTime<Utc>) -> String {
    let naive: NaiveDateTime = at.naive_utc();
    naive
        .format(if naive.nanosecond() == 0 { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S%.6f" })
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_have_six_digits_or_none() {
        let at = |ms| DateTime::from_timestamp_millis(ms).unwrap();
        assert_eq!(format_timestamp(at(1_767_323_045_000)), "2026-01-02T03:04:05Z");
        assert_eq!(format_timestamp(at(1_767_323_045_123)), "2026-01-02T03:04:05.123000Z");
        assert_eq!(format_naive_timestamp(at(1_767_323_045_000)), "2026-01-02T03:04:05");
        assert_eq!(format_naive_timestamp(at(1_767_323_045_120)), "2026-01-02T03:04:05.120000");
    }
}
