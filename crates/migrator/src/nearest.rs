/// Returns the known name that a misspelled one probably means.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = known.into_iter().map(|name| (strsim::osa_distance(given, name), name));
    let (distance, name) = distances.min()?;
    // A third of a name may be wrong.
    (distance <= name.chars().count() / 3).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelled_names_are_recognized_and_others_are_not() {
        let known = ["stories", "projects", "0004_backfill_section_id"];
        assert_eq!(nearest("storeis", known), Some("stories"));
        assert_eq!(nearest("0004_bakfill_section", known), Some("0004_backfill_section_id"));
        for other in ["", "x", "users", "9999"] {
            assert_eq!(nearest(other, known), None, "{other}");
        }
        assert_eq!(nearest("stories", []), None);
    }
}
