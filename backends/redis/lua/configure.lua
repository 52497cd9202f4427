-- SPDX-License-Identifier: MIT
-- Settings. ARGV[1]: B what (1 queue, 2 clock, 3 worker, 5 schedule), handle (16), I4 set, B paused, i8 depth, 3 x i8 counts, 3 x i8 ages, i8 clock;
-- ARGV[2]: the name. Answer: 0 done, 1 no such worker or schedule, 2 the store is gone, 3 another version.

local SET_PAUSED, SET_DEPTH, SET_KEEP = 1, 2, 16

local what, handle, asked, paused = cut('>Bc16I4B', ARGV[1])
local depth, keeps, clock_ms, name = sub(ARGV[1], 23, 30), sub(ARGV[1], 31, 78), take(ARGV[1], 79), ARGV[2]
local meta = call('HMGET', META, 'version', 'offset')
if meta[1] ~= SCHEMA then
    return 2
end
now, micros = read_clock(meta[2])

local function configure_queue()
    local q = queue_of(name)
    local old = q.settings
    if band(asked, SET_PAUSED) ~= 0 then
        old = sub(old, 1, 8) .. char(paused ~= 0 and 1 or 0) .. sub(old, 10)
        wake = wake or paused == 0
    end
    if band(asked, SET_DEPTH) ~= 0 then
        old = depth .. sub(old, 9)
    end
    if band(asked, SET_KEEP) ~= 0 then
        old = sub(old, 1, 9) .. '\1' .. keeps
    end
    q.settings, q.dirty = old, true
    write_queues()
    return 0
end

-- Kept as a number of milliseconds in text; a clock beyond 2^53 is no clock.
local function configure_clock()
    local offset = near(add(tonumber(meta[2] or 0), clock_ms))
    call('HSET', META, 'offset', string.format('%.0f', math.max(math.min(offset, EXACT / 2), -EXACT / 2)))
    wake = true
    return 0
end

local function configure_worker()
    local all, found = call('HGETALL', WORKERS), 1
    for i = 1, #all, 2 do
        local length = cut('>I2', all[i])
        if sub(all[i], 3, 2 + length) == name and not is_forgotten(all[i + 1]) then
            call('HSET', WORKERS, all[i], sub(all[i + 1], 1, 8) .. '\1' .. sub(all[i + 1], 10))
            found = 0
        end
    end
    wake = true
    return found
end

local configure = { configure_queue, configure_clock, configure_worker, [5] = function()
    return configure_schedule(name, asked, paused ~= 0)
end }
local status = configure[what]()
if wake then
    redis.pcall('PUBLISH', SPACE .. 'wake', handle)
end
return status
