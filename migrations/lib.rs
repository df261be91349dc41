//! The migrations of Field Notes, one file each.
//!
//! A migration is frozen in time: it describes the documents of its day and uses none of the program's types. Names of
//! fields and collections are therefore repeated in each file as constants.
//!
//! To add a migration, run `field-notes migrate new "what it does"`. It writes the file `mNNNN_what_it_does.rs` and adds a
//! line to the list below. The id of a migration is the name of its file without the `m`.

use migrator::{Migration, Sourced};

macro_rules! migrations {
    ($($(#[$doc:meta])* $file:ident => $migration:ident,)+) => {
        $($(#[$doc])* mod $file;)+

        /// Returns all migrations. They run in the order of their dependencies, not of this list.
        pub fn all() -> Vec<Box<dyn Migration>> {
            // The checksum of a migration covers its source file.
            vec![$(Box::new(Sourced::new($file::$migration, include_str!(concat!(stringify!($file), ".rs")))),)+]
        }

        #[cfg(test)]
        const FILES: &[&str] = &[$(stringify!($file)),+];
    };
}

migrations! {
    /// Creates or promotes the administrator.
    m0001_create_admin_user => CreateAdminUser,
    /// Sets the owner of content.
    m0002_add_user_id_to_content => AddUserIdToContent,
    /// Seeds the first sections.
    m0003_seed_initial_sections => SeedInitialSections,
    /// Assigns content to sections.
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

    /// Warnings about later migrations, which may be work in progress, are left to `field-notes migrate lint`.
    #[test]
    fn lint_finds_nothing_in_released_migrations_and_no_error_in_others() {
        let mut lints = lint::check_graph(&Graph::new(all()).unwrap());
        lints.retain(|lint| lint.severity == Severity::Error || lint.migration.as_str() < "0005");
        assert_eq!(lints, []);
    }

    /// The checksums of `up` and of the rollback, as the first release wrote them to ledgers.
    const RELEASED: [(&str, &str, &str); 4] = [
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

    /// The checksums of today. A released migration is never changed: write another one instead. Comments, formatting, the
    /// summary and the post-condition are not covered. If only a message is reworded, add the previous checksum to
    /// `former_checksums`. Add a migration to this list when it is released.
    const CURRENT: [(&str, &str, &str); 4] = [
        (
            "0001_create_admin_user",
            "v1:d48d06e022eb6498904cb9e56af7066a1ffdc03fc426498d24423c460f1a2e51",
            "v1:4d41d20207a2217a1bec7cff02e15ea81291bb45ca6c5b32fa4805bad3caf701",
        ),
        (
            "0002_add_user_id_to_content",
            "v1:e3385ecd040f062df91a20f8de821f021840cb0f676de8eca408e63b68093576",
            "v1:79cdddf0c8b766aa296f9790586d6e32f33f6207584c2e18ec8b134b62b01638",
        ),
        (
            "0003_seed_initial_sections",
            "v1:c1a4b43c8695411862263b7cdd5248471f30102bc268af43f85f547e8fb4bc10",
            "v1:d90034cfe859baf94c41dd2e99a196f92b34182e1a9785af7baa419111f88252",
        ),
        (
            "0004_backfill_section_id",
            "v1:987a7ad23cde587f482a5f99e04dc8ff4f8717caa2748c724d2c3913aff54d5c",
            "v1:a4cec9b8470f63bc617daf0d6e302c03b99d020988d1f36da624ab2960634e97",
        ),
    ];

    #[test]
    fn released_migrations_are_unchanged() {
        let migrations = all();
        let released = RELEASED.map(|(id, up, down)| {
            let migration = migrations.iter().find(|migration| migration.meta().id == id).unwrap();
            (&**migration, up, down)
        });
        let current = released.map(|(migration, ..)| {
            let sums = checksum::compute(migration);
            (migration.meta().id, sums.up.unwrap(), sums.down.unwrap())
        });
        let expected = CURRENT.map(|(id, up, down)| (id, up.to_owned(), down.to_owned()));
        assert_eq!(current, expected);
        for ((migration, up, down), (id, current_up, current_down)) in released.into_iter().zip(CURRENT) {
            let is_accepted =
                |sum, current| sum == current || migration.meta().former_checksums.contains(&sum);
            assert!(is_accepted(up, current_up) && is_accepted(down, current_down), "{id}");
        }
    }

    #[test]
    fn dependencies_have_smaller_numbers_and_there_is_one_head() {
        let graph = Graph::new(all()).unwrap();
        for meta in graph.migrations().map(Migration::meta) {
            assert!(meta.depends_on.iter().all(|id| *id < meta.id), "{meta:?}");
        }
        assert_eq!(graph.heads().len(), 1, "{:?}", graph.heads());
    }
}
