-- SPDX-License-Identifier: MIT
-- Reading schedules. ARGV: B what (0 the one named, 1 those behind the name, 2 all), I4 how many, i8 bytes; the name.
-- They stop behind the one that reaches the bytes.
--
-- Answer: i8 now, B there may be more; then name, numbers and bytes of each.

local what, limit, room = cut('>BI4c8', ARGV[1])
room = near(take(room, 1))
now = read_clock(call('HGET', META, 'offset'))

local names = { ARGV[2] }
if what ~= 0 then
    names = call('ZRANGEBYLEX', SCHEDULE_NAMES, what == 1 and '(' .. ARGV[2] or '-', '+', 'LIMIT', 0, limit)
end
local more = what ~= 0 and #names == limit
for i = 1, #names do
    local numbers, n = call('HGET', SCHEDULES, names[i]), #views
    if numbers then
        views[n + 1], views[n + 2], views[n + 3] = names[i], numbers, call('HGET', SCHEDULE_BYTES, names[i])
        room = room - #views[n + 3]
        if room <= 0 then
            more = more or i < #names
            break
        end
    end
end
views[1] = give(now) .. char(more and 1 or 0)
return views
