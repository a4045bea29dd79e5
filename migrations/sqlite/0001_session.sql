-- Version 1 of the session table for SQLite 3.37 or newer.
--
--     sqlite3 -bail sessions.db 'PRAGMA auto_vacuum = INCREMENTAL' 'PRAGMA journal_mode = WAL' \
--         '.read 0001_session.sql'
--
-- The two settings are stored in the file: the first has an effect only while the file is empty. It may be
-- run again, and by several processes concurrently: a statement whose work is done does nothing.
-- For another name of the table, replace "session" (with its quotes) and session_by_ throughout,
-- and set `table` in the configuration of the application.

-- The record is the last column, so that the others are read without it. All times are Unix
-- milliseconds.
CREATE TABLE IF NOT EXISTS "session" (
    session_key      TEXT    NOT NULL PRIMARY KEY,                -- SHA-256 of the token in hexadecimal
    session_expiry   INTEGER NOT NULL,                            -- when the session ends unless it is used
    collect_after    INTEGER NOT NULL DEFAULT 0,                  -- session_expiry, or a little earlier
    session_absolute INTEGER NOT NULL DEFAULT 4611686018427387903, -- when it ends in any case
    version          INTEGER NOT NULL DEFAULT 0,                  -- token of the last write
    moved            INTEGER NOT NULL DEFAULT 0,                  -- 1: the session has another key now
    owner            BLOB,                                        -- hash of the user's id
    session_data     BLOB    NOT NULL                             -- the encoded record
) STRICT;

-- For collecting expired sessions, and for counting the others.
CREATE INDEX IF NOT EXISTS "session_by_ending" ON "session" (collect_after, moved);
