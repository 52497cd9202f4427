-- SPDX-License-Identifier: MIT
-- A part of a walk over all rows or all keys, for a client that puts them in order: the store has no such order,
-- because it would cost memory for each job. ARGV: B what (0 rows, 1 keys), cursor, how many. Answer: the next cursor;
-- of each row arrival (8) and id (16), of each key its scope (32), one behind the other.

local what, out = byte(ARGV[1]), {}
local found = call('HSCAN', what == 0 and COLD or KEY, ARGV[2], 'COUNT', ARGV[3])
local list = found[2]
for i = 1, #list, 2 do
    out[#out + 1] = what == 0 and sub(list[i + 1], 10, 17) .. list[i] or list[i]
end
return { found[1], concat(out) }
