-- SPDX-License-Identifier: MIT
-- Schedules: the numbers of each are one string in the hash "schedules" by name: i8 version, B paused, i8 fired, i8
-- next; the core's bytes stand beside them in "schedule:bytes". The sorted set "schedule:names" has all names with one
-- score, so in order of bytes; "schedule:next" those that are not paused by next, then by name. The least next of these
-- stands in meta.tick, which every exchange reads with the clock: where there are no schedules nothing else is asked.

local SCHEDULES, SCHEDULE_BYTES, SCHEDULE_NAMES, SCHEDULE_NEXT, read_schedule, next_of, note_tick, write_schedule

if with_schedules then

-- each call
if with_schedules then
    SCHEDULES, SCHEDULE_BYTES = SPACE .. 'schedules', SPACE .. 'schedule:bytes'
    SCHEDULE_NAMES, SCHEDULE_NEXT = SPACE .. 'schedule:names', SPACE .. 'schedule:next'
end
-- end of each call

function read_schedule(name)
    local s = call('HGET', SCHEDULES, name)
    if not s then
        return false
    end
    return { name = name, version = take(s, 1), paused = byte(s, 9) == 1, fired = take(s, 10), next = take(s, 18) }
end

-- The next of the first entry of an answer with scores; a score alone is not exact beyond 2^53.
function next_of(first)
    if not first[1] then
        return nil
    end
    local at = tonumber(first[2])
    if at < EXACT and at > -EXACT then
        return at
    end
    return read_schedule(first[1]).next
end

function note_tick()
    tick = next_of(call('ZRANGE', SCHEDULE_NEXT, 0, 0, 'WITHSCORES'))
    if tick then
        call('HSET', META, 'tick', give(tick))
    else
        call('HDEL', META, 'tick')
    end
end

function write_schedule(s)
    call('HSET', SCHEDULES, s.name, give(s.version) .. char(s.paused and 1 or 0) .. give(s.fired) .. give(s.next))
    if s.paused then
        call('ZREM', SCHEDULE_NEXT, s.name)
    else
        call('ZADD', SCHEDULE_NEXT, near(s.next), s.name)
    end
    note_tick()
end

end
