-- Version 1 of the session table for MySQL 8 and MariaDB 10.6 or newer.
--
--     mysql --host=… --user=… --password database < 0001_session.sql
--
-- Creates the table, or upgrades one that has the columns session_key, session_data and session_expiry (Unix seconds)
-- and keeps its rows. It may be run again, but not twice at the same time; when it ends with "Lock wait timeout",
-- another transaction locked the table, and it must be run again. For another name of the table, replace `session` in
-- backticks and 'session' in quotes throughout, and DATABASE() by the name of the database when the table is in
-- another one, and set `table` in the configuration of the application.

-- While a change waits for the table, all other statements wait behind it: no longer than this many seconds.
SET SESSION lock_wait_timeout = 1;

CREATE TABLE IF NOT EXISTS `session` (
    session_key      char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
                     COMMENT 'SHA-256 of the token of the client in hexadecimal',
    session_data     longblob COMMENT 'the encoded record',
    session_expiry   bigint unsigned NOT NULL COMMENT 'when the session ends unless it is used, Unix milliseconds',
    session_absolute bigint unsigned NOT NULL DEFAULT 18446744073709551615 COMMENT 'when it ends in any case',
    version          bigint unsigned NOT NULL DEFAULT 0 COMMENT 'token of the last write',
    moved            boolean NOT NULL DEFAULT FALSE COMMENT 'stored under another key now',
    owner            binary(32) COMMENT 'hash of the id of the user',
    PRIMARY KEY (session_key),
    KEY by_expiry (session_expiry, moved),
    KEY by_owner (owner)
) ENGINE = InnoDB;

-- An existing table without versions gets all new columns in one step, which rewrites it.
SET @upgrade = (
    SELECT IF(COUNT(*) > 0, 'DO 0', 'ALTER TABLE `session`
        ENGINE = InnoDB,
        MODIFY session_key char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        MODIFY session_data longblob,
        MODIFY session_expiry bigint unsigned NOT NULL,
        ADD session_absolute bigint unsigned NOT NULL DEFAULT 18446744073709551615,
        ADD version bigint unsigned NOT NULL DEFAULT 0,
        ADD moved boolean NOT NULL DEFAULT FALSE,
        ADD owner binary(32),
        ADD KEY by_expiry (session_expiry, moved),
        ADD KEY by_owner (owner)')
    FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'session' AND column_name = 'version'
);
PREPARE upgrade FROM @upgrade;
EXECUTE upgrade;
DEALLOCATE PREPARE upgrade;

-- Seconds become milliseconds; larger values (the year 5138, or 1973) are already in milliseconds.
UPDATE `session` SET session_expiry = session_expiry * 1000 WHERE session_expiry BETWEEN 1 AND 99999999999;

ALTER TABLE `session` COMMENT = 'session-kit schema 1';
