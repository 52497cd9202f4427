-- SPDX-License-Identifier: MIT
-- Queues: one string each (all_queues says where), with counts by state, totals since creation and settings.

local COUNTS = '>' .. ('I6'):rep(15)
local DEPTH_AT, PARTS_AT = 91, 10
local COUNTS_TO_ENQUEUED = '>I6I6I6I6I6I6I6'
local NEW_QUEUE = ('\0'):rep(90) .. ('\255'):rep(8) .. '\0\0' -- nothing counted, no limit

-- Behind the counts: i8 depth, B paused, B what follows (1 keeps, 2 limits) and whether rows with a group were met (4);
-- keeps: 3 x i8 count, 3 x i8 ms, i8 ms of results; limits: i8 at once, i8 at once of a group, i8 starts, i8 in so many
-- ms; each -1 for none.
local HAS_KEEPS, HAS_LIMITS, MET_GROUPS, KEEPS_AT, KEEPS_SIZE = 1, 2, 4, 11, 56

-- totals follow the states: enqueued, completed, dead, cancelled, failed; completed, dead, cancelled that were trimmed;
-- rows that stand in records of batches that have completed
local ENQUEUED, FAILED_TOTAL, PAST = 7, 11, 15
local queues, wake -- wake: something may be taken that could not be before
-- each call
queues, wake = {}, false
-- end of each call

local function set_queue(q, settings)
    local parts = byte(settings, PARTS_AT)
    q.depth, q.paused, q.settings, q.known, q.dirty = take(settings, 1), byte(settings, 9) == 1, settings, true, true
    q.at_once, q.met_groups, q.limited = -1, band(parts, MET_GROUPS) ~= 0, band(parts, HAS_LIMITS) ~= 0
    if q.limited then
        local at = KEEPS_AT + (band(parts, HAS_KEEPS) ~= 0 and KEEPS_SIZE or 0)
        q.at_once, q.group_at_once, q.rate, q.period = cut('>i8i8i8i8', settings, at)
    end
end

-- Some of the settings anew: those of the parts are given whole, nil: as they were.
local function change_queue(q, depth, paused, keeps, limits)
    local old = q.settings
    local parts, at = byte(old, PARTS_AT), KEEPS_AT
    if band(parts, HAS_KEEPS) ~= 0 then
        keeps, at = keeps or sub(old, at, at + KEEPS_SIZE - 1), at + KEEPS_SIZE
    end
    limits = limits or sub(old, at)
    set_queue(q, (depth or sub(old, 1, 8)) .. (paused or sub(old, 9, 9)) .. char((keeps and HAS_KEEPS or 0) +
        (limits ~= '' and HAS_LIMITS or 0) + band(parts, MET_GROUPS)) .. (keeps or '') .. limits)
end

local function meet_groups(q)
    set_queue(q, sub(q.settings, 1, PARTS_AT - 1) .. char(bor(byte(q.settings, PARTS_AT), MET_GROUPS)) ..
        sub(q.settings, KEEPS_AT))
end

-- All that it may have is named at once: a table that grows is made anew each time.
local function read_queue(name, found)
    local record = found or NEW_QUEUE
    local q = { name = name, ended = 0, depth = 0, paused = false, settings = '', known = false, named = false,
        met_past = false, dirty = false, at_once = -1, met_groups = false, limited = false, cut(COUNTS, record) }
    set_queue(q, sub(record, DEPTH_AT))
    q.known, q.named, q.dirty = found and true or false, found and true or false, false
    return q
end

local function queue_of(name)
    local q, record = queues[name], first_record
    if not q then
        if name ~= first_queue then
            record = call('HGET', META, 'q' .. name)
        end
        q = read_queue(name, record)
        queues[name] = q
    end
    return q
end

-- The row goes from one state to another; nil: from or to nowhere.
local function count(row, from, to)
    local q = queue_of(row.queue)
    if from then
        q[from] = math.max(q[from] - 1, 0)
    end
    if to then
        q[to] = q[to] + 1
    end
    if row.group and (from == RUNNING or to == RUNNING) then
        G.count_slot(q, row.group, to == RUNNING and 1 or -1)
    end
    wake = wake or (from == RUNNING and q.at_once >= 0)
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
    return pack(COUNTS, unpack(q, 1, 15)) .. q.settings
end

-- The record of a queue with one more row that waits; nil: the queue is full.
local function with_one_more(record)
    local blocked, waiting, _, _, _, _, enqueued = cut(COUNTS_TO_ENQUEUED, record)
    local depth = cut('>i8', record, DEPTH_AT)
    if depth >= 0 and blocked + waiting >= depth then
        return nil
    end
    return sub(record, 1, 6) .. pack('>I6', waiting + 1) .. sub(record, 13, 36) .. pack('>I6', enqueued + 1) ..
        sub(record, 43)
end

-- Those that changed, for META.
local function note_queues(list)
    for name, q in pairs(queues) do
        if q.dirty then
            if not q.named then
                call('SADD', QUEUES, name)
            end
            list[#list + 1], list[#list + 2] = 'q' .. name, pack_queue(q)
        end
    end
    return list
end
