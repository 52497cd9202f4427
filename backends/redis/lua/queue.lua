-- SPDX-License-Identifier: MIT
-- Queues: one string each in the hash "queues", with counts by state, totals since creation and settings.

local COUNTS = '>I6I6I6I6I6I6I6I6I6I6I6'
local DEPTH_AT, NO_LIMIT = 67, ('\255'):rep(8)

-- totals follow the states: enqueued, completed, dead, cancelled, failed
local ENQUEUED, FAILED_TOTAL = 7, 11
local queues = {}

local function set_queue(q, settings)
    q.depth, q.paused, q.settings, q.known, q.dirty = take(settings, 1), byte(settings, 9) == 1, settings, true, true
end

local function read_queue(name, record)
    local q = { name = name, ended = 0 }
    if record then
        q[BLOCKED], q[WAITING], q[RUNNING], q[COMPLETED], q[DEAD], q[CANCELLED], q[ENQUEUED], q[8], q[9], q[10], q[11] =
            cut(COUNTS, record)
        set_queue(q, sub(record, DEPTH_AT))
        q.dirty = false
    else
        for i = 1, 11 do
            q[i] = 0
        end
        q.depth, q.paused = -1, false
        q.settings = NO_LIMIT .. '\0\0' -- depth, paused, keeps; with keeps: 3 x i8 count, 3 x i8 ms
    end
    return q
end

local function queue_of(name)
    local q = queues[name]
    if not q then
        q = read_queue(name, call('HGET', QUEUES, name))
        queues[name] = q
    end
    return q
end

-- A row of this queue goes from one state to another; nil: from or to nowhere.
local function count(name, from, to)
    local q = queue_of(name)
    if from then
        q[from] = math.max(q[from] - 1, 0)
    end
    if to then
        q[to] = q[to] + 1
    end
    q.dirty = true
    return q
end

local function count_end(q, state, entered, failed)
    if failed then
        q[FAILED_TOTAL] = q[FAILED_TOTAL] + 1
    end
    if entered then
        q[state + 4] = q[state + 4] + 1 -- COMPLETED is 4, its total 8
        q.ended = bor(q.ended, 2 ^ state)
    end
    q.dirty = true
end

local function pack_queue(q)
    return pack(COUNTS, q[1], q[2], q[3], q[4], q[5], q[6], q[7], q[8], q[9], q[10], q[11]) .. q.settings
end

local function write_queues()
    local list = {}
    for name, q in pairs(queues) do
        if q.dirty then
            list[#list + 1] = name
            list[#list + 1] = pack_queue(q)
        end
    end
    in_pieces('HSET', QUEUES, list)
end
