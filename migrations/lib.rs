//! The migrations of Field Notes, one file each.
//!
//! A migration is frozen in time: it knows the documents as they were when it was written, and nothing of the
//! program's types. Names of fields and collections are therefore repeated in each file, as constants of its own.
//!
//! To add one, add its file `mNNNN_what_it_does.rs`, and its name to the list below. Its id is the name of the file
//! without the `m`.

use migrator::{Migration, Sourced};

macro_rules! migrations {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        $($(#[$doc])* mod $name;)+

        /// All migrations. Their order is that of their dependencies, not of this list.
        pub fn all() -> Vec<Box<dyn Migration>> {
            // With its file, of which the checksum is taken.
            vec![$(Box::new(Sourced::new($name::It, include_str!(concat!(stringify!($name), ".rs")))),)+]
        }

        #[cfg(test)]
        const FILES: &[&str] = &[$(stringify!($name)),+];
    };
}

migrations! {
    /// The administrator's account.
    m0001_create_admin_user,
    /// Content belongs to somebody.
    m0002_add_user_id_to_content,
    /// The four sections that a site begins with.
    m0003_seed_initial_sections,
    /// Content is in a section.
    m0004_backfill_section_id,
}

#[cfg(test)]
mod tests {
    use migrator::{Graph, checksum, lint};

    use super::*;

    #[test]
    fn ids_are_file_names() {
        let ids: Vec<_> = all().iter().map(|m| format!("m{}", m.meta().id)).collect();
        assert_eq!(ids, FILES);
    }

    #[test]
    fn the_rules_find_nothing() {
        assert_eq!(lint::of(&Graph::new(all()).unwrap()), []);
    }

    /// What was released stays what it is: whoever changes one of these writes the next migration instead. Formatting,
    /// comments, the summary and the post-condition are free.
    #[test]
    fn they_mean_what_they_meant() {
        let expected = [("0001_create_admin_user", "UP", "DOWN")];
        let sums: Vec<_> = all().iter().map(|m| (m.meta().id, checksum::of(&**m))).collect();
        let now: Vec<_> = sums
            .iter()
            .map(|(id, sum)| (*id, sum.up.as_deref().unwrap(), sum.down.as_deref().unwrap()))
            .collect();
        assert_eq!(now, expected);
    }

    #[test]
    fn they_are_one_line_in_order_of_their_numbers() {
        let graph = Graph::new(all()).unwrap();
        let ids: Vec<_> = graph.ids().collect();
        assert!(ids.is_sorted());
        for (before, migration) in graph.migrations().zip(graph.migrations().skip(1)) {
            assert_eq!(migration.meta().depends_on, [before.meta().id]);
        }
    }
}
