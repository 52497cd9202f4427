-- SPDX-License-Identifier: MIT
-- -> n, token of every running row, from [job_list] alone
SELECT n, token FROM [job] WHERE list = 0
