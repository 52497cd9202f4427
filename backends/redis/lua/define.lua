-- SPDX-License-Identifier: MIT
-- The settings of a schedule. ARGV[3]: i8 version that it must have (-1: any), i8 fired, i8 next, B its bytes are
-- given; ARGV[4]: the bytes.

local SET_SCHEDULE, SET_NEXT = 128, 256
local NOT_FOUND, OUTDATED = 1, 3

local function configure_schedule(name, asked, paused)
    local wanted, fired, next_ms, given = take(ARGV[3], 1), take(ARGV[3], 9), take(ARGV[3], 17), byte(ARGV[3], 25) == 1
    local s, defines = read_schedule(name), band(asked, SET_SCHEDULE) ~= 0
    if wanted ~= -1 and wanted ~= (s and s.version or 0) then
        return OUTDATED
    elseif not s and not (defines and given) then
        return NOT_FOUND
    end
    wake = true
    if defines and not given then
        call('HDEL', SCHEDULES, name)
        call('HDEL', SCHEDULE_BYTES, name)
        call('ZREM', SCHEDULE_NAMES, name)
        call('ZREM', SCHEDULE_NEXT, name)
        note_tick()
        return 0
    end
    s = s or { name = name, version = 0, paused = false, fired = 0, next = 0 }
    if defines then
        call('HSET', SCHEDULE_BYTES, name, ARGV[4])
        call('ZADD', SCHEDULE_NAMES, 0, name)
        s.version = add(s.version, 1)
    end
    if band(asked, SET_PAUSED) ~= 0 then
        s.paused = paused
    end
    if band(asked, SET_NEXT) ~= 0 then
        s.next, s.fired = next_ms, less(s.fired, fired) and fired or s.fired
    end
    write_schedule(s)
    return 0
end
