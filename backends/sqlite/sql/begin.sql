-- SPDX-License-Identifier: MIT
-- Several reads of one snapshot.
BEGIN
