-- Version 1 of the session table for PostgreSQL 14 or newer.
--
--     psql -v ON_ERROR_STOP=1 -f 0001_session.sql "postgres://…"
--
-- Creates the table, or brings one with the columns session_key, session_data and session_expiry up to date
-- with its rows in place. May be run again, and by several at once. For another name of the table, replace
-- "session" (with its quotes) throughout; the application is told by its setting `table`.
--
-- A session_expiry without a time zone holds the local time of whoever wrote it. It is read in the time zone
-- of this connection: PGTZ=Europe/Berlin psql …

BEGIN;

-- One at a time; the others wait here, and then find everything done.
SELECT pg_advisory_xact_lock(7094703411062235961);

CREATE TABLE IF NOT EXISTS "session" (
    session_key    char(64) COLLATE "C" PRIMARY KEY, -- SHA-256 of the client's token in hexadecimal
    session_data   bytea,                            -- the encoded record
    session_expiry timestamptz NOT NULL              -- when the session ends unless it is used
);

ALTER TABLE "session"
    ALTER COLUMN session_key    TYPE char(64) COLLATE "C",
    ALTER COLUMN session_data   TYPE bytea,
    ALTER COLUMN session_expiry TYPE timestamptz,
    ADD COLUMN IF NOT EXISTS session_absolute timestamptz NOT NULL DEFAULT 'infinity', -- when it ends in any case
    ADD COLUMN IF NOT EXISTS version          bigint      NOT NULL DEFAULT 0,          -- token of the last write
    ADD COLUMN IF NOT EXISTS moved            boolean     NOT NULL DEFAULT false,      -- lies under another key now
    ADD COLUMN IF NOT EXISTS owner            bytea;                                   -- hash of the user's id

-- For collecting what has expired, for counting the rest, and for finding the sessions of a user.
CREATE INDEX IF NOT EXISTS "session_by_expiry" ON "session" (session_expiry, moved);
CREATE INDEX IF NOT EXISTS "session_by_owner" ON "session" (owner) WHERE owner IS NOT NULL;

COMMENT ON TABLE "session" IS 'session-kit schema 1';

COMMIT;
