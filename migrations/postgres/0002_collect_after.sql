-- Version 2 of the session table for PostgreSQL 14 or newer.
--
--     psql -v ON_ERROR_STOP=1 -f 0002_collect_after.sql "postgres://…"
--
-- What has expired is found by collect_after, the expiry rounded up, instead of by the expiry itself: a write moves the
-- expiry every time and this column only now and then, so that most writes leave the indexes alone (HOT updates). To
-- be run after 0001_session.sql, with the table's name replaced in the same way. May be run again, and by several at
-- once.

BEGIN;

-- One at a time; the others wait here, and then find everything done.
SELECT pg_advisory_xact_lock(7094703411062235961);

ALTER TABLE "session"
    ADD COLUMN IF NOT EXISTS collect_after timestamptz NOT NULL DEFAULT '-infinity'; -- session_expiry, rounded up

UPDATE "session" SET collect_after = session_expiry WHERE collect_after = '-infinity';

CREATE INDEX IF NOT EXISTS "session_by_ending" ON "session" (collect_after, moved);

-- The index that is not needed any more, in whatever schema the table lies.
DO $$
DECLARE
    old regclass := (
        SELECT indexrelid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE indrelid = '"session"'::regclass AND relname = 'session_by_expiry'
    );
BEGIN
    IF old IS NOT NULL THEN
        EXECUTE format('DROP INDEX %s', old);
    END IF;
END $$;

COMMENT ON TABLE "session" IS 'session-kit schema 2';

COMMIT;
