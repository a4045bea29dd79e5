-- Version 2 of the session table for SQLite 3.37 or newer.
--
--     sqlite3 -bail sessions.db '.read 0002_by_user.sql'
--
-- The sessions of a user are listed page by page in the order of their keys, so the index includes the key.
-- Run it after 0001_session.sql, with the table's name replaced in the same way. It may be run again, and by several
-- processes concurrently. While the index of a large table is built, sessions can be read; writers wait briefly.

CREATE INDEX IF NOT EXISTS "session_by_user" ON "session" (owner, session_key) WHERE owner IS NOT NULL;

-- Drops the index that is no longer needed.
DROP INDEX IF EXISTS "session_by_owner";
