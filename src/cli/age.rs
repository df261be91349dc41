use chrono::TimeDelta;

/// The longest age, well within the range of the store's dates.
const LIMIT: TimeDelta = TimeDelta::days(36_500);

/// Parses an age: a number and a unit, as in `30d`.
pub(super) fn age(text: &str) -> Result<TimeDelta, String> {
    let invalid = || "must be a number and one of s, m, h, d, w, such as 30d".to_owned();
    let unit = text.chars().last().ok_or_else(invalid)?;
    let number = &text[..text.len() - unit.len_utf8()];
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid());
    }
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return Err(invalid()),
    };
    let age =
        number.parse::<i64>().ok().and_then(|n| n.checked_mul(seconds)).and_then(TimeDelta::try_seconds);
    age.filter(|age| *age <= LIMIT).ok_or_else(|| format!("must be at most {} days", LIMIT.num_days()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_a_number_and_a_unit() {
        for (text, expected) in [
            ("0s", TimeDelta::zero()),
            ("45s", TimeDelta::seconds(45)),
            ("90m", TimeDelta::minutes(90)),
            ("12h", TimeDelta::hours(12)),
            ("30d", TimeDelta::days(30)),
            ("2w", TimeDelta::days(14)),
            ("36500d", LIMIT),
        ] {
            assert_eq!(age(text), Ok(expected), "{text}");
        }
        for bad in ["", "d", "30", "-1d", "+1d", "1.5d", "30 d", " 30d", "30D", "30dé", "é", "1d2h", "36501d"]
        {
            assert!(age(bad).is_err(), "{bad:?}");
        }
        assert!(age("99999999999999999999d").is_err() && age("9223372036854775807w").is_err());
    }
}
