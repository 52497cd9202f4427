-- SPDX-License-Identifier: MIT
-- -> a number that differs when another connection has committed since
PRAGMA data_version
