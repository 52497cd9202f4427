-- SPDX-License-Identifier: MIT
-- Schedules in an exchange: the ticks of puts, and those that an overdue want gives. ARGV of a tick: B mode, i8
-- version, i8 nominal, i8 next, the name.

local read_tick, guard_tick, settle_tick, due_schedules
if has_part(HAS_SCHEDULES) then

local TICK_PUT, TICK_DEFER = 0, 2
local SCHEDULES_AT_ONCE = 16

function read_tick(s)
    return { mode = byte(s), version = take(s, 2), nominal = take(s, 10), next = take(s, 18), name = sub(s, 26) }
end

function settle_tick(t)
    local s = read_schedule(t.name)
    if t.mode ~= TICK_DEFER then
        s.fired = t.nominal
    end
    s.next, wake = t.next, true
    write_schedule(s)
end

-- The verdict, and whether the put goes on.
function guard_tick(t)
    local s = read_schedule(t.name)
    if not s or s.paused or s.version ~= t.version then
        return V_STALE, false
    elseif not less(s.fired, t.nominal) then
        return V_ALREADY, false
    elseif t.mode ~= TICK_PUT then
        settle_tick(t)
        return V_OK, false
    end
    return V_OK, true
end

-- Name, numbers and bytes of each into the answer. Members of equal score stand in order of bytes.
function due_schedules()
    if not tick or near(tick) > now then
        return 0
    end
    local names = call('ZRANGEBYSCORE', SCHEDULE_NEXT, '-inf', now, 'LIMIT', 0, SCHEDULES_AT_ONCE)
    for _, name in ipairs(names) do
        local n = #views
        views[n + 1], views[n + 2], views[n + 3] = name, call('HGET', SCHEDULES, name),
            call('HGET', SCHEDULE_BYTES, name)
    end
    return #names
end

end
