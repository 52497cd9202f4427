-- SPDX-License-Identifier: MIT
-- Limits and their use. ARGV[1]: B of (1 queue, 2 group, 3 plan), B a name is given, B a name to go on behind is given,
-- I4 how many; ARGV[2]: that name.
--
-- Answer: i8 now; then of each its name, its plan and i8 each: depth, at once, at once of a group, starts, in so many
-- ms, puts, in so many ms, running, starts and their wait, puts and their wait. All queues with a limit come at once,
-- in no order.

local of, named, behind, limit = cut('>BBBI4', ARGV[1])
local out = { '' }
now = read_clock(call('HGET', META, 'offset'))

local function say(name, plan, ...)
    out[#out + 1] = name
    out[#out + 1] = plan
    out[#out + 1] = pack('>i8i8i8i8i8i8i8i8i8i8i8i8', ...)
end

local function use_of(gauge, n, period)
    if n < 0 then
        return 0, 0
    end
    return G.gauge_used(gauge), G.gauge_wait(gauge, n, period)
end

local function say_queue(q)
    local depth = near(q.depth) >= 0 and near(q.depth) or -2
    if not q.limited then
        say(q.name, '', depth, -2, -2, -2, 0, -2, 0, q[RUNNING], 0, 0, 0, 0)
        return
    end
    local function own(value)
        return value >= 0 and value or -2
    end
    local used, wait_ms = use_of('starts:q' .. q.name, q.rate, q.period)
    say(q.name, '', depth, own(q.at_once), own(q.group_at_once), own(q.rate), q.rate >= 0 and q.period or 0, -2, 0,
        q[RUNNING], used, wait_ms, 0, 0)
end

local function say_queues()
    if named == 1 then
        say_queue(queue_of(ARGV[2]))
        return
    end
    local all = all_queues()
    for i = 1, #all, 2 do
        local q = read_queue(all[i], all[i + 1])
        if near(q.depth) >= 0 or q.limited then
            say_queue(q)
        end
    end
end

local function say_group(name)
    local own, running, starts, starts_wait, puts, puts_wait = G.read_limits(name), 0, 0, 0, 0, 0
    if of == 2 and #name > 1 then
        local group = sub(name, 2)
        local holds = G.limits_of(group)
        running = G.running(group)
        starts, starts_wait = use_of('starts:g' .. group, holds.rate, holds.period)
        puts, puts_wait = use_of('puts:g' .. group, holds.quota, holds.quota_period)
    end
    say(sub(name, 2), own.plan, -2, own.at_once, -2, own.rate, own.period, own.quota, own.quota_period, running, starts,
        starts_wait, puts, puts_wait)
end

local function say_groups()
    local first = of == 2 and 'g' or 'p'
    if named == 1 then
        say_group(first .. ARGV[2])
        return
    end
    local from = behind == 1 and '(' .. first .. ARGV[2] or '[' .. first
    for _, name in ipairs(call('ZRANGEBYLEX', SPACE .. 'limited', from, '(' .. char(byte(first) + 1), 'LIMIT',
        0, limit)) do
        say_group(name)
    end
end

if of == 1 then
    say_queues()
else
    say_groups()
end
out[1] = give(now)
return out
