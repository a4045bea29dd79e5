-- Version 2 of the session table for PostgreSQL 14 or newer.
--
--     psql -v ON_ERROR_STOP=1 -f 0002_collect_after.sql "postgres://…"
--
-- Expired rows are found by collect_after, the expiry rounded up, instead of by the expiry itself: every write changes
-- the expiry, but few writes change this column, so that most writes leave the indexes alone (HOT updates).
--
-- Nothing here blocks the application: the table is locked only briefly, rows are written in small batches,
-- and indexes are built and dropped concurrently. Run it after 0001_session.sql, with the table's name replaced
-- in the same way. It may be run again; when it ends with "lock timeout", another transaction locked the table, and it
-- must be run again.

DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = '"session"'::regclass AND attname = 'collect_after' AND NOT attisdropped
    ) THEN
        PERFORM set_config('lock_timeout', '2s', true);
        LOCK TABLE "session" IN SHARE UPDATE EXCLUSIVE MODE;
        PERFORM set_config('lock_timeout', '50ms', true);
        ALTER TABLE "session" ADD COLUMN collect_after timestamptz NOT NULL DEFAULT '-infinity';
    END IF;
END $$;

-- Five hundred rows at a time, each batch in a separate transaction. A locked row is skipped: its writer sets the
-- column, and a row without it is only found later.
DO $$
DECLARE
    reached char(64) := '';
    upto    char(64);
BEGIN
    LOOP
        SELECT max(next.session_key) INTO upto FROM (
            SELECT session_key FROM "session" WHERE session_key > reached ORDER BY session_key LIMIT 500
        ) AS next;
        EXIT WHEN upto IS NULL;
        UPDATE "session" SET collect_after = session_expiry
        WHERE session_key = ANY (ARRAY(
            SELECT session_key FROM "session"
            WHERE session_key > reached AND session_key <= upto AND collect_after = '-infinity'
            FOR UPDATE SKIP LOCKED
        ));
        COMMIT;
        PERFORM pg_sleep(0.002);
        reached := upto;
    END LOOP;
END $$;

-- An incomplete index is rebuilt. The lock waits for a process that is building it: two builds at the same time could
-- wait for each other, until the server cancels one.
DO $$
DECLARE
    half text;
BEGIN
    PERFORM set_config('lock_timeout', '2s', true);
    LOCK TABLE "session" IN SHARE UPDATE EXCLUSIVE MODE;
    SELECT indexrelid::regclass INTO half FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = '"session"'::regclass AND relname = 'session_by_ending' AND NOT indisvalid;
    IF half IS NOT NULL THEN
        PERFORM set_config('lock_timeout', '50ms', true);
        EXECUTE 'DROP INDEX ' || half;
    END IF;
END $$;
CREATE INDEX CONCURRENTLY IF NOT EXISTS "session_by_ending" ON "session" (collect_after, moved);
-- The old index is dropped only when the new one is complete. A table that is renamed keeps the names of its indexes.
DO $$
DECLARE
    complete boolean := (
        SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE indrelid = '"session"'::regclass AND relname = 'session_by_ending'
    );
BEGIN
    IF complete IS NULL AND EXISTS (
        SELECT FROM pg_class JOIN pg_class AS own USING (relnamespace)
        WHERE pg_class.relname = 'session_by_ending' AND own.oid = '"session"'::regclass
    ) THEN
        RAISE invalid_table_definition
            USING MESSAGE = 'another table has an index named session_by_ending: rename that index';
    ELSIF complete IS NOT TRUE THEN
        RAISE lock_not_available USING MESSAGE = 'the index session_by_ending is not complete';
    END IF;
END $$;

-- Drops the index that is no longer needed, in whatever schema the table is.
DO $$
DECLARE
    old text := (
        SELECT indexrelid::regclass FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE indrelid = '"session"'::regclass AND relname = 'session_by_expiry'
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
    COMMENT ON TABLE "session" IS 'session-kit schema 2';
END $$;
