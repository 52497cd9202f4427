-- SPDX-License-Identifier: MIT
-- Settings. ARGV[1]: B what (1 queue, 2 clock, 3 worker, 4 group, 5 schedule, 6 events, 7 plan), handle (16), I4 set, B
-- paused, i8 depth, 3 x i8 counts, 3 x i8 ages, i8 of results, i8 clock, then i8 each: at once, at once of a group,
-- starts, in so many ms, puts, in so many ms; ARGV[2]: the name; ARGV[3] of a group: its plan. Answer: 0 done, 1 no
-- such worker or schedule, 2 the store is gone, 3 another version.

local SET_PAUSED, SET_DEPTH, SET_AT_ONCE, SET_RATE = 1, 2, 4, 8
local SET_KEEP, SET_GROUP_AT_ONCE, SET_QUOTA, SET_PLAN = 16, 32, 64, 512

local what, handle, asked, paused = cut('>Bc16I4B', ARGV[1])
local depth, keeps, clock_ms, name = sub(ARGV[1], 23, 30), sub(ARGV[1], 31, 86), take(ARGV[1], 87), ARGV[2]
local at_once, group_at_once, rate, period, quota, quota_period = cut('>i8i8i8i8i8i8', ARGV[1], 95)
local meta = call('HMGET', META, 'version', 'offset', 'uses')
if meta[1] ~= SCHEMA then
    return 2
end
now, micros = read_clock(meta[2])

local function is_asked(...)
    return band(asked, bor(...)) ~= 0
end

-- What stands with a queue when these are set, '' when none is.
local function queue_limits(q)
    local all, group, n, ms = -1, -1, -1, 0
    if q.limited then
        all, group, n, ms = q.at_once, q.group_at_once, q.rate, q.period
    end
    all = is_asked(SET_AT_ONCE) and math.max(at_once, -1) or all
    group = is_asked(SET_GROUP_AT_ONCE) and math.max(group_at_once, -1) or group
    if is_asked(SET_RATE) then
        n, ms = math.max(rate, -1), period
    end
    return (all >= 0 or group >= 0 or n >= 0) and pack('>i8i8i8i8', all, group, n, n >= 0 and ms or 0) or ''
end

local function configure_queue()
    local q, limits = queue_of(name), nil
    if is_asked(SET_AT_ONCE, SET_GROUP_AT_ONCE, SET_RATE) then
        note_limits(meta[3])
        limits, wake = queue_limits(q), true
    end
    wake = wake or (is_asked(SET_PAUSED) and paused == 0)
    if is_asked(SET_KEEP) then
        call('HDEL', SPACE .. 'results', name) -- trim.lua begins anew
    end
    change_queue(q, is_asked(SET_DEPTH) and depth or nil, is_asked(SET_PAUSED) and char(paused ~= 0 and 1 or 0) or nil,
        is_asked(SET_KEEP) and keeps or nil, limits)
    in_pieces('HSET', META, note_queues({}))
    return 0
end

local function configure_limits(key)
    local old = G.read_limits(key)
    local l = { at_once = old.at_once, rate = old.rate, period = old.period, quota = old.quota,
        quota_period = old.quota_period, plan = is_asked(SET_PLAN) and ARGV[3] or old.plan }
    if is_asked(SET_AT_ONCE) then
        l.at_once = math.max(at_once, -2)
    end
    if is_asked(SET_RATE) then
        l.rate, l.period = math.max(rate, -2), period
    end
    if is_asked(SET_QUOTA) then
        l.quota, l.quota_period = math.max(quota, -2), quota_period
    end
    note_limits(meta[3])
    write_limits(key, l)
    wake = true
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

local function configure_group()
    return configure_limits('g' .. name)
end

local function configure_plan()
    return configure_limits('p' .. name)
end

local function configure_named()
    return configure_schedule(name, asked, paused ~= 0)
end

local configure = { configure_queue, configure_clock, configure_worker, configure_group, configure_named,
    configure_events, configure_plan }
local status = configure[what](meta[3])
if wake then
    redis.pcall('PUBLISH', SPACE .. 'wake', handle)
end
return status
