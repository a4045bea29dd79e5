-- Version 1 of the session table for PostgreSQL 14 or newer.
--
--     psql -v ON_ERROR_STOP=1 -f 0001_session.sql "postgres://…"
--
-- Creates the table, or upgrades one that has the columns session_key, session_data and session_expiry
-- and keeps its rows. It may be run again; when it ends with "lock timeout", another transaction locked the table, and
-- it must be run again. For another name of the table, replace "session" (with its quotes) throughout, and set
-- `table` in the configuration of the application.
--
-- A session_expiry without a time zone contains the local time of its writer. It is read in the time zone
-- of this connection: PGTZ=Europe/Berlin psql …

CREATE TABLE IF NOT EXISTS "session" (
    session_key      char(64) COLLATE "C" PRIMARY KEY, -- SHA-256 of the client's token in hexadecimal
    session_data     bytea,                            -- the encoded record
    session_expiry   timestamptz NOT NULL,             -- when the session ends unless it is used
    session_absolute timestamptz NOT NULL DEFAULT 'infinity', -- when it ends in any case
    version          bigint      NOT NULL DEFAULT 0,          -- token of the last write
    moved            boolean     NOT NULL DEFAULT false,      -- stored under another key now
    owner            bytea                                    -- hash of the user's id
);

-- An existing table without versions gets the missing columns. It is rewritten if types change.
--
-- A change that blocks the table waits for only 50 ms. Before it, this file and the next ones take a lock that blocks no
-- statement of an application, for up to 2 s: autovacuum gives way to it after 1 s (deadlock_timeout).
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = '"session"'::regclass AND attname = 'version' AND NOT attisdropped
    ) THEN
        PERFORM set_config('lock_timeout', '2s', true);
        LOCK TABLE "session" IN SHARE UPDATE EXCLUSIVE MODE;
        PERFORM set_config('lock_timeout', '50ms', true);
        ALTER TABLE "session"
            ALTER COLUMN session_key    TYPE char(64) COLLATE "C",
            ALTER COLUMN session_data   TYPE bytea,
            ALTER COLUMN session_expiry TYPE timestamptz,
            ADD COLUMN session_absolute timestamptz NOT NULL DEFAULT 'infinity',
            ADD COLUMN version          bigint      NOT NULL DEFAULT 0,
            ADD COLUMN moved            boolean     NOT NULL DEFAULT false,
            ADD COLUMN owner            bytea;
    END IF;
END $$;

DO $$
BEGIN
    PERFORM set_config('lock_timeout', '2s', true);
    COMMENT ON TABLE "session" IS 'session-kit schema 1';
END $$;
