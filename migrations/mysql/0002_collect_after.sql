-- Version 2 of the session table for MySQL 8 and MariaDB 10.6 or newer.
--
--     mysql --host=… --user=… --password database < 0002_collect_after.sql
--
-- What has expired is found by collect_after, the expiry rounded up, instead of by the expiry itself: a write moves the
-- expiry every time and this column only now and then, so that most writes leave the index alone. To be run after
-- 0001_session.sql, with the table's name replaced in the same way. May be run again, and by several at once.

-- One at a time; the others wait here, and then find everything done.
SELECT GET_LOCK('session-kit migration', 3600);

SET @upgrade = (
    SELECT IF(COUNT(*) > 0, 'DO 0', 'ALTER TABLE `session`
        ADD collect_after bigint unsigned NOT NULL DEFAULT 0 COMMENT ''session_expiry, rounded up''')
    FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'session' AND column_name = 'collect_after'
);
PREPARE upgrade FROM @upgrade;
EXECUTE upgrade;
DEALLOCATE PREPARE upgrade;

UPDATE `session` SET collect_after = session_expiry WHERE collect_after = 0;

SET @upgrade = (
    SELECT IF(COUNT(*) > 0, 'DO 0', 'ALTER TABLE `session`
        ADD KEY by_ending (collect_after, moved),
        DROP KEY by_expiry')
    FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = 'session' AND index_name = 'by_ending'
);
PREPARE upgrade FROM @upgrade;
EXECUTE upgrade;
DEALLOCATE PREPARE upgrade;

ALTER TABLE `session` COMMENT = 'session-kit schema 2';

DO RELEASE_LOCK('session-kit migration');
