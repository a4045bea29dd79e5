-- Version 2 of the session table for SQLite 3.37 or newer.
--
--     sqlite3 -bail sessions.db '.read 0002_by_user.sql'
--
-- The sessions of a user are listed in the order of their keys, page by page, so that the index has the key as well.
-- To be run after 0001_session.sql, with the table's name replaced in the same way. May be run again, and by several
-- processes at once. While the index of a large table is built, sessions are read; writers wait for a moment.

CREATE INDEX IF NOT EXISTS "session_by_user" ON "session" (owner, session_key) WHERE owner IS NOT NULL;

-- The index that is not needed any more.
DROP INDEX IF EXISTS "session_by_owner";
