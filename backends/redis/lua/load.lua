-- SPDX-License-Identifier: MIT
-- Rows, keys, schedules and settings as they are in another store. ARGV: handle (16); then of each item
--   a queue   \1, the name, 5 totals (I6 each), settings as queue.lua has them
--   a group or a plan  \5, its name and its string as group.lua has them
--   a schedule  \2, the name, its numbers as schedule.lua has them, the core's bytes
--   a row     \3, id, B parts, created, [run_at], [expires_at], [window end] as row.lua has them; B its due
--             bit, B extras that follow; the part that is stored as it is; the hot string, '' when it is as a put
--             makes it; the extras, of the log B count, then each line
--   a key     \4, scope, its string
-- Answer: B status (0 done, 2 the store is gone, 3 of another version) and for each item B whether it was there.

local meta = call('HMGET', META, 'version', 'offset', 'fence', 'seq', 'top', 'uses', 'lacks')
if not meta[1] or meta[1] ~= SCHEMA then
    return char(meta[1] and 3 or 2)
end
now, micros = read_clock(meta[2])
B.begin()
local fence, seq, top = tonumber(meta[3] or 0), tonumber(meta[4] or 0), tonumber(meta[5] or 0)
local uses = tonumber(meta[6] or 0)
lacks = tonumber(meta[7] or 0)
local handle, was_there = argument(), {}

local function note(there)
    was_there[#was_there + 1] = there and '\1' or '\0'
end

-- ---- settings -------------------------------------------------------------------------------------------------------

local function load_queue()
    local name, totals, settings = argument(), argument(), argument()
    local q = queue_of(name)
    note(q.known)
    if not q.known then
        q[7], q[8], q[9], q[10], q[11], q[12], q[13], q[14] = cut('>I6I6I6I6I6I6I6I6', totals)
        set_queue(q, settings)
    end
    uses = bor(uses, q.limited and USES_LIMITS or 0)
end

local function load_limits()
    local name, s = argument(), argument()
    local there = call('HEXISTS', SPACE .. 'limits', name) == 1
    note(there)
    if not there then
        write_limits(name, G.parse_limits(s))
        uses = bor(uses, USES_LIMITS)
    end
end

local function load_schedule()
    local name, numbers, bytes = argument(), argument(), argument()
    local there = read_schedule(name)
    note(there)
    if not there then
        call('HSET', SCHEDULE_BYTES, name, bytes)
        call('ZADD', SCHEDULE_NAMES, 0, name)
        write_schedule({ name = name, version = take(numbers, 1), paused = byte(numbers, 9) == 1,
            fired = take(numbers, 10), next = take(numbers, 18) })
    end
end

-- ---- rows -----------------------------------------------------------------------------------------------------------

local EXTRA_LETTERS = { 'P', 'R', 'D', 'S', 'E', 'U' }
local EXTRA_LOG = 64

-- A list is in the order of run_at, then arrival: only what is not earlier than all before may join it.
local function cold_of(s, due, rest, fresh)
    seq = seq + 1
    local parts, created = byte(s, 17), take(s, 18)
    local times, arrival = sub(s, 26, #s - 2), pack('>I8', seq)
    local listed = fresh and due and near(created) >= top and near(created) <= now
    if fresh and not listed and band(parts, PART_RUN_AT) == 0 then
        parts, times = parts + PART_RUN_AT, give(created) .. times
    end
    return char(parts) .. give(created) .. arrival .. times .. rest
end

-- Edges stand in a string of their own by now; those that are open stand with their parents too.
local function open_edges(row)
    local edges = has(row, F_PARENTS) and call('HGET', EXTRA, row.id .. 'U') or ''
    for at = 1, #edges, 18 do
        if byte(edges, at + 17) == 1 then
            open_edge(sub(edges, at, at + 15), row.id, byte(edges, at + 16))
        end
    end
    if call('EXISTS', SPACE .. 'kids:' .. row.id) == 1 then
        set(row, F_KIDS, true)
        row.dirty = true
    end
end

local function place_loaded(row)
    row.unplaced = true
    if has(row, F_LISTED) then
        row.was_key, row.was_score, row.was_member = place_of(row)
        call('RPUSH', row.was_key, row.id)
        call('SADD', SPACE .. 'kinds:' .. row.queue, row.kind)
        top = math.max(top, near(row.created))
    end
end

local function load_log(id, there)
    local lines = {}
    for i = 1, byte(argument()) do
        lines[i] = argument()
    end
    if not there then
        call('RPUSH', SPACE .. 'log:' .. id, unpack(lines))
    end
end

local function load_row()
    local s, rest, hot = argument(), argument(), argument()
    local id, due, extras = sub(s, 1, 16), byte(s, #s - 1) == 1, byte(s, #s)
    local there = open(id)
    note(there)
    for i, letter in ipairs(EXTRA_LETTERS) do
        local value = band(extras, 2 ^ (i - 1)) ~= 0 and argument()
        if value and not there then
            call('HSET', EXTRA, id .. letter, value)
        end
    end
    if band(extras, EXTRA_LOG) ~= 0 then
        load_log(id, there)
    end
    if there then
        return
    end
    local row = { id = id, due = due }
    read_cold(row, cold_of(s, due, rest, hot == ''))
    call('HSET', COLD, id, row.cold)
    if hot == '' then
        read_fresh(row)
    else
        read_hot(row, hot)
        row.dirty = true
        fence = math.max(fence, (cut('>I8', row.token, 9)))
    end
    rows[id], opened[#opened + 1] = row, row
    place_loaded(row)
    open_edges(row)
    local q = count(row, nil, row.state)
    if row.state == COMPLETED then
        call('HDEL', SPACE .. 'results', row.queue) -- trim.lua begins anew
    end
    uses = bor(uses, row.group and USES_GROUPS or 0)
    if row.group and not q.met_groups then
        meet_groups(q)
    end
end

-- ---- keys -----------------------------------------------------------------------------------------------------------

local function load_key()
    local scope, s = argument(), argument()
    local held = key_held(scope)
    note(held)
    if not held then
        load_key_string(scope, s)
    end
end

-- ---- all of them: checked one by one, and nothing can fail behind the first write -----------------------------------

call('HSET', META, 'seq', string.format('%.0f', seq + #ARGV))
local load_one = { load_queue, load_schedule, load_row, load_key, load_limits }
while at_argument < #ARGV do
    load_one[byte(argument())]()
end
flush()
in_pieces('HSET', META, note_queues({}))
G.write_groups()
call('HSET', META, 'seq', string.format('%.0f', seq), 'top', string.format('%.0f', top), 'fence',
    string.format('%.0f', fence), 'uses', uses, 'lacks', lacks)
redis.pcall('PUBLISH', SPACE .. 'wake', handle)
return '\0' .. concat(was_there)
