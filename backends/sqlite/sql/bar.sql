-- SPDX-License-Identifier: MIT
-- Left unfinished: while it is, the transaction cannot be committed. The mark never gets into the file.
UPDATE [meta] SET bar = 1 WHERE one = 1 RETURNING one
