use super::{Difference, extend, fix};

pub(crate) const START: &[Difference] = &[
    extend(
        "embedded-store",
        "Without `MONGO_URI` the data is in one file, and no database has to be installed.",
        "an_empty_folder_and_an_address_are_enough",
    ),
    fix(
        "one-database",
        "Server and migrations use one database; `MONGO_URI` and `MONGO_DB_NAME` that differ are refused.",
        "a_database_named_twice_and_differently_is_refused",
    ),
    fix(
        "escaped-password",
        "`MONGO_PASSWORD` is escaped in the connection string.",
        "the_parts_of_the_original_are_escaped",
    ),
    extend(
        "configuration-errors",
        "All wrong variables are named in one run, without their values; the exit code is 2.",
        "everything_that_is_wrong_is_told_together",
    ),
    fix(
        "port",
        "`PORT` is 5001 everywhere (8080 was the code's own default); `HOST` is 127.0.0.1 in development.",
        "one_variable_is_enough",
    ),
    extend(
        "production-strict",
        "Production refuses what is only for development, and wants `GOOGLE_CLIENT_ID` and a store that is asked for.",
        "production_is_strict",
    ),
    fix(
        "gate",
        "Content is answered only once the start is over; until then it is 503.",
        "before_the_start_is_over_only_liveness_answers",
    ),
    fix(
        "index-failures",
        "An index that cannot be made stops the start and is told with both definitions; it was a line in the log.",
        "a_conflict_is_told_with_both_definitions",
    ),
    fix(
        "no-backfill",
        "A start never changes content outside a migration; it published every story that lacked the flag.",
        "weak_spot_22_a_start_changes_no_content",
    ),
    fix(
        "env-example",
        "`.env.example` names every variable that is read.",
        "the_example_names_every_variable_once_and_is_good",
    ),
];

pub(crate) const MIGRATIONS: &[Difference] = &[
    fix(
        "migrate-at-start",
        "Migrations run at start-up, once, whoever starts at the same time.",
        "eight_started_at_once_migrate_once_and_all_serve",
    ),
    extend(
        "migrate-on-start",
        "`MIGRATE_ON_START=verify` refuses to serve while some are pending; `wait` waits for another process.",
        "verify_refuses_to_serve_while_something_is_pending",
    ),
    extend(
        "take-over",
        "What the original's ledger says was applied is taken over and never run again.",
        "a_database_of_the_original_is_taken_over_and_nothing_runs_twice",
    ),
    fix(
        "down-one",
        "`migrate down` undoes one migration; it undid all.",
        "down_takes_one_at_a_time_from_the_end",
    ),
    fix(
        "down-exact",
        "It undoes exactly what `up` changed, from a journal; it removed what was there before.",
        "each_down_restores_the_very_documents",
    ),
    fix(
        "down-imported",
        "Where the original ran it there is no journal: `down` says what would be lost, and asks.",
        "taking_back_says_what_the_original_would_have_destroyed",
    ),
    fix("killed-migration", "A run that was killed is resumed at any point.", "up_survives_kills_embedded"),
    fix(
        "failed-migration",
        "A migration that fails is recorded, told, and not tried again by itself.",
        "a_migration_that_fails_midway_is_recorded_told_and_repaired",
    ),
    fix(
        "m0001-promotes",
        "0001 makes an existing user with `ADMIN_EMAIL` an administrator.",
        "an_existing_user_becomes_admin_and_keeps_the_rest",
    ),
    fix(
        "m0003-each",
        "0003 inserts each section that is missing; one whose slug a deleted section holds is left out with a warning.",
        "a_deleted_section_keeps_its_slug_and_that_is_told",
    ),
    fix(
        "m0004-text",
        "0004 writes text, not `ObjectId`; a missing section is a warning.",
        "content_gets_its_section_as_text",
    ),
];
