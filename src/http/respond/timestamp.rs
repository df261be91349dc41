use chrono::{DateTime, SecondsFormat, Timelike, Utc};

/// Formats a timestamp in UTC with `Z`. The fraction has six digits, or is left out if it is zero.
pub(crate) fn format_timestamp(at: DateTime<Utc>) -> String {
    let format = if at.nanosecond() == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
    at.to_rfc3339_opts(format, true)
}

/// Formats a timestamp in UTC without `Z`, as the health routes of the original API do.
pub(crate) fn format_naive_timestamp(at: DateTime<Utc>) -> String {
    format_timestamp(at).trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_have_six_digits_or_are_left_out() {
        let at = |ms| DateTime::from_timestamp_millis(ms).unwrap();
        assert_eq!(format_timestamp(at(1_767_323_045_000)), "2026-01-02T03:04:05Z");
        assert_eq!(format_timestamp(at(1_767_323_045_123)), "2026-01-02T03:04:05.123000Z");
        assert_eq!(format_naive_timestamp(at(1_767_323_045_000)), "2026-01-02T03:04:05");
        assert_eq!(format_naive_timestamp(at(1_767_323_045_120)), "2026-01-02T03:04:05.120000");
    }
}
