-- SPDX-License-Identifier: MIT
-- Statistics. ARGV[1]: B what (0 one queue, 1 all); ARGV[2]: the queue.
--
-- Answer: i8 now, I4 queues, I4 kinds, I4 workers; then for each queue its name, its numbers and its figures, for each
-- kind queue, kind and I4 ready, for each worker its field and its record.

local LOOK_MOST, KIND_MOST = 10000, 10000

now = read_clock(call('HGET', META, 'offset'))
local what, only = byte(ARGV[1]), ARGV[2]
local out, queue_count, kind_count, worker_count = { '' }, 0, 0, 0

local function say(...)
    for _, s in ipairs({ ... }) do
        out[#out + 1] = s
    end
end

-- Running rows whose lease is past, by queue: from the head of the clock.
local stuck = {}
local function find_stuck()
    local late = call('ZRANGEBYSCORE', CLOCK, '(-inf', now, 'LIMIT', 0, LOOK_MOST)
    local hot_of = many(HOT, late)
    for i = 1, #late do
        local hot, number = hot_of[i], 1
        local mint = B.mint_in(late[i])
        local batch = mint and B.running(mint)
        if batch then
            hot, number = batch.hot, batch.size
        end
        if hot and byte(hot, 1) == RUNNING then
            local queue = B.queue_in(hot)
            stuck[queue] = (stuck[queue] or 0) + number
        end
    end
end

local function smaller(a, b)
    return a and (not b or less(a, b)) and a or b
end

local function oldest_listed(lane)
    local key, tomb, passed = SPACE .. 'list:' .. lane, SPACE .. 'tomb:' .. lane, {}
    for at = 0, LOOK_MOST, 100 do
        local ids = call('LRANGE', key, at, at + 99)
        for i = 1, #ids do
            local buried = tonumber(call('HGET', tomb, ids[i]) or 0)
            passed[ids[i]] = (passed[ids[i]] or 0) + 1
            local cold = passed[ids[i]] > buried and call('HGET', COLD, ids[i])
            if cold then
                return take(cold, 2)
            end
        end
        if #ids < 100 then
            return nil
        end
    end
end

local function oldest_ranked(key, most)
    local oldest = nil
    for _, member in ipairs(call('ZRANGE', key, 0, (most or LOOK_MOST) - 1)) do
        local row = open(sub(member, 9))
        oldest = smaller(row and row.run_at, oldest)
    end
    return oldest
end

-- Ready rows by kind, and the oldest run_at among them.
local function look_at_lanes(name, kinds)
    local oldest = nil
    for _, kind in ipairs(call('SMEMBERS', SPACE .. 'kinds:' .. name)) do
        local lane = lane_of(name, kind)
        local rank, alone = SPACE .. 'rank:' .. lane, SPACE .. 'alone:' .. lane
        kinds[kind] = (kinds[kind] or 0) + G.list_size(lane) + call('ZCARD', rank) + call('ZCARD', alone)
        oldest = smaller(oldest_listed(lane), oldest)
        oldest = smaller(oldest_ranked(rank), oldest)
        oldest = smaller(oldest_ranked(alone), oldest)
    end
    return oldest
end

-- The same of rows with a group: those of the first of its groups. When many were looked at, the first row of each lane
-- stands for the others.
local function look_at_groups(name, kinds, oldest)
    local left = LOOK_MOST
    local groups = call('ZRANGE', SPACE .. 'circle:' .. name, 0, LOOK_MOST - 1)
    local shelves = many(SPACE .. 'shelves:' .. name, groups)
    for i, group in ipairs(groups) do
        for _, kind in ipairs(G.list_kinds(shelves[i] or '')) do
            local rank = SPACE .. 'rank:' .. lane_of(name, kind, group)
            local ready = call('ZCARD', rank)
            kinds[kind] = (kinds[kind] or 0) + ready
            oldest = smaller(oldest_ranked(rank, math.max(left, 1)), oldest)
            left = left - ready
        end
    end
    return oldest
end

-- Delayed rows whose time has come and that no claim has met yet.
local function look_at_delayed(name, kinds)
    local oldest = nil
    local come = call('ZRANGEBYSCORE', SPACE .. 'later:' .. name, '-inf', now, 'LIMIT', 0, LOOK_MOST)
    for i = 1, #come do
        local row = open(sub(come[i], 9))
        if row then
            kinds[row.kind] = (kinds[row.kind] or 0) + 1
            oldest = smaller(row.run_at, oldest)
        end
    end
    return oldest
end

local function say_queue(name, record)
    local q, kinds = read_queue(name, record), {}
    local later = call('ZCARD', SPACE .. 'later:' .. name)
    local come = later > 0 and call('ZCOUNT', SPACE .. 'later:' .. name, '-inf', now) or 0
    local oldest = smaller(look_at_lanes(name, kinds), look_at_delayed(name, kinds))
    if q.met_groups then
        oldest = look_at_groups(name, kinds, oldest)
    end
    say(name, pack('>I6I6I6I6I6I6I6I6I6I6I6I6I6I6I6I6BB', q[1], math.max(q[2] - later + come, 0), q[3], q[4], q[5],
        q[6], q[7], q[8], q[9], q[10], q[11], q[12], q[13], q[14], later - come, stuck[name] or 0, q.paused and 1 or 0,
        0) .. give(oldest or 0), call('GET', SPACE .. 'figures:' .. name) or '')
    queue_count = queue_count + 1
    return kinds
end

local function say_kinds(name, kinds)
    for kind, ready in pairs(kinds) do
        if ready > 0 then
            say(name, kind, pack('>I4', math.min(ready, KIND_MOST)))
            kind_count = kind_count + 1
        end
    end
end

local function say_queues()
    local all, kinds = { only, what == 0 and call('HGET', META, 'q' .. only) }, {}
    if what == 1 then
        all = all_queues()
    end
    find_stuck()
    for i = 1, #all, 2 do
        if all[i + 1] then
            kinds[i] = say_queue(all[i], all[i + 1])
        end
    end
    for i = 1, #all, 2 do
        say_kinds(all[i], kinds[i] or {})
    end
end

say_queues()
local all = call('HGETALL', WORKERS)
for i = 1, #all, 2 do
    if not is_forgotten(all[i + 1]) then
        say(all[i], all[i + 1])
        worker_count = worker_count + 1
    end
end
out[1] = give(now) .. pack('>I4I4I4', queue_count, kind_count, worker_count)
return out
