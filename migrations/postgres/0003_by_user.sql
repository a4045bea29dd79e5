-- Version 3 of the session table for PostgreSQL 14 or newer.
--
--     psql -v ON_ERROR_STOP=1 -f 0003_by_user.sql "postgres://…"
--
-- The sessions of a user are listed page by page in the order of their keys, so the index includes the key.
--
-- Nothing here blocks the application: the new index is built concurrently, and the old one is dropped when
-- no transaction locks the table. Run it after 0002_collect_after.sql, with the table's name replaced in the same way. It
-- may be run again; when it ends with "lock timeout", another transaction locked the table, and it must be run again.

-- An incomplete index is rebuilt.
DO $$
DECLARE
    half regclass := (
        SELECT indexrelid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE indrelid = '"session"'::regclass AND relname = 'session_by_user' AND NOT indisvalid
    );
BEGIN
    IF half IS NOT NULL THEN
        PERFORM set_config('lock_timeout', '50ms', true);
        EXECUTE format('DROP INDEX %s', half);
    END IF;
END $$;
CREATE INDEX CONCURRENTLY IF NOT EXISTS "session_by_user" ON "session" (owner, session_key) WHERE owner IS NOT NULL;

-- Drops the index that is no longer needed, in whatever schema the table is.
DO $$
DECLARE
    old regclass := (
        SELECT indexrelid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE indrelid = '"session"'::regclass AND relname = 'session_by_owner'
    );
BEGIN
    IF old IS NOT NULL THEN
        PERFORM set_config('lock_timeout', '50ms', true);
        EXECUTE format('DROP INDEX %s', old);
    END IF;
END $$;

COMMENT ON TABLE "session" IS 'session-kit schema 3';
