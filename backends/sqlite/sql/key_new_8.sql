-- SPDX-License-Identifier: MIT
-- Eight keys, each as in key_new. If one has a row nothing happens but an error.
INSERT INTO [key](scope, job, hold, until, digest, ended)
VALUES
    (?, ?, ?, ?, x'', 0),
    (?, ?, ?, ?, x'', 0),
    (?, ?, ?, ?, x'', 0),
    (?, ?, ?, ?, x'', 0),
    (?, ?, ?, ?, x'', 0),
    (?, ?, ?, ?, x'', 0),
    (?, ?, ?, ?, x'', 0),
    (?, ?, ?, ?, x'', 0)
