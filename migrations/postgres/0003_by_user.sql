-- Version 3 of the session table for PostgreSQL 14 or newer.
--
--     psql -v ON_ERROR_STOP=1 -f 0003_by_user.sql "postgres://…"
--
-- The sessions of a user are listed page by page in the order of their keys, so the index includes the key.
--
-- Nothing here blocks the application: the new index is built concurrently, and the old one is dropped when
-- no transaction locks the table. Run it after 0002_collect_after.sql, with the table's name replaced in the same way. It
-- may be run again; when it ends with "lock timeout", another transaction locked the table, and it must be run again.

-- An incomplete index is rebuilt. The lock waits for a process that is building it: two builds at the same time could
-- wait for each other, until the server cancels one.
DO $$
DECLARE
    half text;
BEGIN
    PERFORM set_config('lock_timeout', '2s', true);
    LOCK TABLE "session" IN SHARE UPDATE EXCLUSIVE MODE;
    SELECT indexrelid::regclass INTO half FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = '"session"'::regclass AND relname = 'session_by_user' AND NOT indisvalid;
    IF half IS NOT NULL THEN
        PERFORM set_config('lock_timeout', '50ms', true);
        EXECUTE 'DROP INDEX ' || half;
    END IF;
END $$;
CREATE INDEX CONCURRENTLY IF NOT EXISTS "session_by_user" ON "session" (owner, session_key) WHERE owner IS NOT NULL;
-- The old index is dropped only when the new one is complete. A table that is renamed keeps the names of its indexes.
DO $$
DECLARE
    complete boolean := (
        SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE indrelid = '"session"'::regclass AND relname = 'session_by_user'
    );
BEGIN
    IF complete IS NULL AND EXISTS (
        SELECT FROM pg_class JOIN pg_class AS own USING (relnamespace)
        WHERE pg_class.relname = 'session_by_user' AND own.oid = '"session"'::regclass
    ) THEN
        RAISE invalid_table_definition
            USING MESSAGE = 'another table has an index named session_by_user: rename that index';
    ELSIF complete IS NOT TRUE THEN
        RAISE lock_not_available USING MESSAGE = 'the index session_by_user is not complete';
    END IF;
END $$;

-- Drops the index that is no longer needed, in whatever schema the table is.
DO $$
DECLARE
    old text := (
        SELECT indexrelid::regclass FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE indrelid = '"session"'::regclass AND relname = 'session_by_owner'
    );
BEGIN
    IF old IS NOT NULL THEN
        PERFORM set_config('lock_timeout', '2s', true);
        LOCK TABLE "session" IN SHARE UPDATE EXCLUSIVE MODE;
        PERFORM set_config('lock_timeout', '50ms', true);
        EXECUTE 'DROP INDEX IF EXISTS ' || old;
    END IF;
END $$;

DO $$
BEGIN
    PERFORM set_config('lock_timeout', '2s', true);
    COMMENT ON TABLE "session" IS 'session-kit schema 3';
END $$;
