//! The migrations of Field Notes, one file each.
//!
//! A migration is frozen in time: it knows the documents as they were when it was written, and nothing of the
//! program's types. Names of fields and collections are therefore repeated in each file, as constants of its own.
//!
//! To add one, run `field-notes migrate new "what it does"`, which adds its file `mNNNN_what_it_does.rs` and its line to the
//! list below. Its id is the name of the file without the `m`.

use migrator::{Migration, Sourced};

macro_rules! migrations {
    ($($(#[$doc:meta])* $file:ident => $migration:ident,)+) => {
        $($(#[$doc])* mod $file;)+

        /// All migrations. Their order is that of their dependencies, not of this list.
        pub fn all() -> Vec<Box<dyn Migration>> {
            // With its file, of which the checksum is taken.
            vec![$(Box::new(Sourced::new($file::$migration, include_str!(concat!(stringify!($file), ".rs")))),)+]
        }

        #[cfg(test)]
        const FILES: &[&str] = &[$(stringify!($file)),+];
    };
}

migrations! {
    /// The administrator's account.
    m0001_create_admin_user => CreateAdminUser,
    /// Content belongs to somebody.
    m0002_add_user_id_to_content => AddUserIdToContent,
    /// The four sections that a site begins with.
    m0003_seed_initial_sections => SeedInitialSections,
    /// Content is in a section.
    m0004_backfill_section_id => BackfillSectionId,
}

#[cfg(test)]
mod tests {
    use migrator::{Graph, Severity, checksum, lint};

    use super::*;

    #[test]
    fn ids_are_file_names() {
        let ids: Vec<_> = all().iter().map(|m| format!("m{}", m.meta().id)).collect();
        assert_eq!(ids, FILES);
    }

    /// In one that is still being written a warning is no failure; `field-notes migrate lint` tells it.
    #[test]
    fn the_rules_find_no_error_and_nothing_at_all_in_the_four() {
        let mut lints = lint::check_graph(&Graph::new(all()).unwrap());
        lints.retain(|lint| lint.severity == Severity::Error || lint.migration.as_str() < "0005");
        assert_eq!(lints, []);
    }

    /// What was released stays what it is: whoever changes one of these writes the next migration instead. Formatting,
    /// comments, the summary and the post-condition are free. A later one comes into this list when it is released.
    #[test]
    fn they_mean_what_they_meant() {
        let expected = [
            (
                "0001_create_admin_user",
                "v1:d48d06e022eb6498904cb9e56af7066a1ffdc03fc426498d24423c460f1a2e51",
                "v1:4c38ba926c0634bd50b3698ad0b7f7679b34171e175eec6180a8c888c3eb6c37",
            ),
            (
                "0002_add_user_id_to_content",
                "v1:25d492a87b196aeab6a9996decc044811234af5c919f17d4a17af9a8d514e9a1",
                "v1:b27a308416e9f4817ea7bea20bd7198b2ce7c84c1bc871b344229b3556a81dfb",
            ),
            (
                "0003_seed_initial_sections",
                "v1:7a651eb17999e507e71b54211c7c60e33f8845e67075942a6683c7919ae27421",
                "v1:5b2a8d891f25880fd50f68d06dd2a8fda95f3edea0ef5dd934f0aebf25eab0e9",
            ),
            (
                "0004_backfill_section_id",
                "v1:6221cc0a16cd4a041440d13c0cb565e9658feb794b133bb3304d8d067a0b7280",
                "v1:b0383ba49ef9a92650ec5f8767aa552fb127f11dd52e4700f7e56f05899d8120",
            ),
        ];
        let released = expected.map(|(id, ..)| id);
        let mut sums: Vec<_> = all().iter().map(|m| (m.meta().id, checksum::of(&**m))).collect();
        sums.retain(|(id, _)| released.contains(id));
        let now: Vec<_> = sums
            .iter()
            .map(|(id, sum)| (*id, sum.up.as_deref().unwrap(), sum.down.as_deref().unwrap()))
            .collect();
        assert_eq!(now, expected);
    }

    #[test]
    fn each_comes_after_those_with_smaller_numbers_and_one_comes_last() {
        let graph = Graph::new(all()).unwrap();
        for meta in graph.migrations().map(Migration::meta) {
            assert!(meta.depends_on.iter().all(|id| *id < meta.id), "{meta:?}");
        }
        assert_eq!(graph.heads().len(), 1, "{:?}", graph.heads());
    }
}
