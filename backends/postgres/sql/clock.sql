-- SPDX-License-Identifier: MIT
-- -> now, and what a commit means here
SELECT @.clock(), pg_catalog.current_setting('server_version'), pg_catalog.current_setting('synchronous_commit'),
    pg_catalog.current_setting('fsync')
