-- Version 2 of the session table for MySQL 8 and MariaDB 10.6 or newer.
--
--     mysql --host=… --user=… --password database < 0002_collect_after.sql
--
-- Expired rows are found by collect_after, the expiry rounded up, instead of by the expiry itself: every write changes
-- the expiry, but few writes change this column, so that most writes leave the index alone. Run it after
-- 0001_session.sql, with the table's name replaced in the same way. It may be run again, but not twice at the same time;
-- when it ends with "Lock wait timeout", another transaction locked the table, and it must be run again.
--
-- Column and index are added online. The UPDATE is one transaction here, which locks every row until it ends:
-- for more than about ten thousand rows use MySqlProvider::migrate(), which runs it in batches, or add LIMIT 500
-- and repeat it until it changes nothing.

-- While a change waits for the table, all other statements wait behind it: no longer than this many seconds.
SET SESSION lock_wait_timeout = 1;

SET @upgrade = (
    SELECT IF(COUNT(*) > 0, 'DO 0', 'ALTER TABLE `session`
        ADD collect_after bigint unsigned NOT NULL DEFAULT 0 COMMENT ''session_expiry, rounded up''')
    FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'session' AND column_name = 'collect_after'
);
PREPARE upgrade FROM @upgrade;
EXECUTE upgrade;
DEALLOCATE PREPARE upgrade;

SET @upgrade = (
    SELECT IF(COUNT(*) > 0, 'DO 0', 'ALTER TABLE `session` ADD KEY by_ending (collect_after, moved), LOCK = NONE')
    FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = 'session' AND index_name = 'by_ending'
);
PREPARE upgrade FROM @upgrade;
EXECUTE upgrade;
DEALLOCATE PREPARE upgrade;

UPDATE `session` SET collect_after = session_expiry WHERE collect_after = 0 AND session_expiry > 0;

SET @upgrade = (
    SELECT IF(COUNT(*) > 0, 'ALTER TABLE `session` DROP KEY by_expiry, LOCK = NONE', 'DO 0')
    FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = 'session' AND index_name = 'by_expiry'
);
PREPARE upgrade FROM @upgrade;
EXECUTE upgrade;
DEALLOCATE PREPARE upgrade;

ALTER TABLE `session` COMMENT = 'session-kit schema 2';
