use super::{Difference, extend, fix};

pub(crate) const START: &[Difference] = &[
    extend(
        "embedded-store",
        "Without `MONGO_URI` the data is in one file, and no database needs to be installed.",
        "empty_folder_and_admin_email_are_enough_to_serve",
    ),
    fix(
        "one-database",
        "Server and migrations use one database; conflicting `MONGO_URI` and `MONGO_DB_NAME` are rejected.",
        "contradicting_database_names_are_refused",
    ),
    fix(
        "escaped-password",
        "`MONGO_PASSWORD` is escaped in the connection string.",
        "cluster_variables_are_percent_encoded",
    ),
    extend(
        "configuration-errors",
        "All invalid variables are reported at once, without their values; the exit code is 2.",
        "all_errors_are_reported_together",
    ),
    fix(
        "port",
        "`PORT` is 5001 everywhere (the code's own default was 8080); `HOST` is 127.0.0.1 in development.",
        "admin_email_is_enough",
    ),
    extend(
        "production-strict",
        "Production rejects development settings and requires `GOOGLE_CLIENT_ID` and an explicit store.",
        "production_has_stricter_rules",
    ),
    fix(
        "gate",
        "Content is served only once the start is complete; until then it is 503.",
        "before_the_start_is_over_only_liveness_answers",
    ),
    fix(
        "index-failures",
        "An index that cannot be created stops the start, and both definitions are reported; it was a line in the log.",
        "index_conflict_reports_both_definitions",
    ),
    fix(
        "no-backfill",
        "A start never changes content outside a migration; it published every story without the flag.",
        "regression_22_a_start_changes_no_content",
    ),
    extend(
        "drain",
        "After SIGTERM `/readyz` is 503 first; service goes on for `SHUTDOWN_DELAY_SECONDS`, then connections are drained. A second signal exits at once.",
        "shutdown_fails_readiness_then_drains",
    ),
    extend(
        "request-log",
        "Each request is one line in the log, with path, client, caller, status and duration; `LOG_REQUESTS=off` turns them off.",
        "each_request_has_a_line_in_the_log",
    ),
    fix(
        "local-origins",
        "`http://localhost:3000` and the other local origins may read responses in development only.",
        "production_has_stricter_rules",
    ),
    extend(
        "dotenv-as-written",
        "Values of `.env` are taken as written, `$` included; names that are almost those of a variable are warned about.",
        "values_are_taken_as_written",
    ),
    extend(
        "missing-indexes",
        "If a unique index is dropped while content is served, writes are 503 within seconds and `/readyz` is `degraded`, until the index is back.",
        "destroying_data_beneath_a_running_server_is_refused",
    ),
    extend(
        "lost-store-file",
        "If the embedded file is removed or replaced while it is served, writes are 503 and `/readyz` says why.",
        "file_removed_while_served_is_503_and_readyz_says_why",
    ),
    extend(
        "wrong-log",
        "A copy of the embedded file that was restored beside the log of a killed server is refused at start.",
        "older_copy_beside_the_log_of_a_killed_server_is_refused",
    ),
    extend(
        "read-only",
        "`READ_ONLY=true` serves an embedded file that must not be written; without it, a file that this user may not write stops the start.",
        "unwritable_file_fails_the_start_unless_it_is_only_read",
    ),
    fix(
        "env-example",
        "`.env.example` lists every variable that is read.",
        "env_example_lists_every_variable_and_is_valid",
    ),
];

pub(crate) const MIGRATIONS: &[Difference] = &[
    fix(
        "migrate-at-start",
        "Migrations run at start-up, exactly once, even if several processes start concurrently.",
        "eight_concurrent_starts_migrate_once_and_all_serve",
    ),
    extend(
        "migrate-on-start",
        "`MIGRATE_ON_START=verify` refuses to serve while migrations are pending; `wait` waits for another process.",
        "verify_refuses_to_serve_while_migrations_are_pending",
    ),
    extend(
        "take-over",
        "Migrations in the original's ledger are imported as applied and never run again.",
        "original_database_is_imported_and_nothing_runs_twice",
    ),
    fix(
        "down-one",
        "`migrate down` rolls back one migration; it rolled back all.",
        "down_rolls_back_one_at_a_time_last_first",
    ),
    fix(
        "down-exact",
        "It reverts exactly what `up` changed, from a journal; it removed existing data.",
        "each_down_restores_exact_documents",
    ),
    fix(
        "down-imported",
        "Imported migrations have no journal: `down` lists what would be lost and asks for confirmation.",
        "rollback_of_imported_migrations_lists_losses",
    ),
    fix("killed-migration", "A killed run can be resumed from any point.", "killed_up_resumes_on_embedded"),
    fix(
        "failed-migration",
        "A failed migration is recorded, reported, and not retried automatically.",
        "failed_migration_is_recorded_reported_and_resumed",
    ),
    fix(
        "m0001-promotes",
        "0001 makes an existing user with `ADMIN_EMAIL` an administrator.",
        "existing_user_is_promoted_and_keeps_other_fields",
    ),
    fix(
        "m0003-each",
        "0003 inserts each missing section; it skips one whose slug belongs to a deleted section, with a warning.",
        "deleted_section_keeps_its_slug_and_causes_warning",
    ),
    fix(
        "m0004-text",
        "0004 writes strings, not `ObjectId`; a missing section is a warning.",
        "content_gets_section_id_as_string",
    ),
];
