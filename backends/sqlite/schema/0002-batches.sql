-- SPDX-License-Identifier: MIT
-- Step 2: what happened to many rows at once stands in one record, and their rows stay as they were put (batch.c).

-- The rows first to last of the due list of a queue, all of one place there (rank), so that in the index of the lists
-- they stand one behind the other and nothing else between them.
--   list, place  as a row that has left would have them: 0 and the end of the lease, or the queue's list of completed
--                rows and when they ended
--   flags        as a row's; of the lower bits only the one that says that payloads of theirs stand in [bulk]
CREATE TABLE [batch] (
    queue INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    list INTEGER NOT NULL,
    place INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    token BLOB NOT NULL,
    worker BLOB,
    PRIMARY KEY (queue, rank, first)
) STRICT, WITHOUT ROWID;
CREATE INDEX [batch_list] ON [batch](list, place);
