-- SPDX-License-Identifier: MIT
-- What the jobs of a queue took: one string "figures:QUEUE" of numbers of 64 bits. An exchange gathers what it adds and
-- writes it with one BITFIELD a queue, however many jobs there are.
--
--   0 the last end; 1 total of what was waited, 2 .. 65 its buckets; 66 total of what ran, 67 .. 130 its buckets; from
--   131 on the slots of ten seconds, three numbers each: which it is, completed, failed.

local note_waited, note_ran, write_figures, write_figures_of_one
if changes > 0 or has_part(HAS_WANT) then

local WAITED_AT, RAN_AT, SLOTS_AT = 1, 66, 131
local SLOT_MS, SLOT_COUNT, BUCKETS = 10000, 91, 64
local OUTCOME_COMPLETE, OUTCOME_FAIL = 1, 2

local figures -- by queue: index -> what is added there

-- Rows that were put together waited equally long: what the one before came to.
local same_queue, same_since, same_bucket, same_ms, same_figures
-- each call
figures, same_queue, same_since, same_bucket, same_ms, same_figures = {}, nil, nil, nil, nil, nil
-- end of each call

-- As a command names the place of a number.
local function place_of_number(index)
    MEMO[index] = MEMO[index] or format('#%d', index)
    return MEMO[index]
end

-- The milliseconds since then, and the index of their bucket: that of jobq_duration_bucket of <jobq/backend.h>, two to
-- an octave.
local function duration(at, since)
    local ms = now - near(since)
    if ms < 2 then
        ms = ms > 0 and ms or 0
        return ms, at + 1 + ms
    end
    local m, octave = math.frexp(ms) -- ms = m * 2 ^ octave, m from a half on
    return ms, at + 1 + math.min(2 * octave - (m < 0.75 and 2 or 1), BUCKETS - 1)
end

local function note_duration(queue, at, since, number)
    local f, ms, bucket = figures[queue], duration(at, since)
    if not f then
        f = { slot = false, completed = 0, failed = 0, [WAITED_AT] = 0, [RAN_AT] = 0 }
        figures[queue] = f
    end
    f[at] = (f[at] or 0) + number * ms
    f[bucket] = (f[bucket] or 0) + number
    return f, bucket, ms
end

-- A row was claimed, or so many were, that could have run since then.
function note_waited(queue, since, number)
    local n = number or 1
    if queue == same_queue and since == same_since then
        local f = same_figures
        f[WAITED_AT], f[same_bucket] = f[WAITED_AT] + n * same_ms, f[same_bucket] + n
        return
    end
    same_queue, same_since = queue, since
    same_figures, same_bucket, same_ms = note_duration(queue, WAITED_AT, since, n)
end

local function slot_at()
    return SLOTS_AT + 3 * (math.floor(now / SLOT_MS) % SLOT_COUNT)
end

-- So many that began then have ended now.
function note_ran(queue, since, number, outcome)
    if outcome == OUTCOME_COMPLETE or outcome == OUTCOME_FAIL then
        local f = note_duration(queue, RAN_AT, since, number)
        local what = outcome == OUTCOME_COMPLETE and 'completed' or 'failed'
        f.slot = slot_at()
        f[what] = f[what] + number
    end
end

-- Another slot's counts do not stay.
local function begin_slot(key, slot, completed, failed)
    call('BITFIELD', key, 'SET', 'i64', place_of_number(slot + OUTCOME_COMPLETE), format('%d', completed),
        'SET', 'i64', place_of_number(slot + OUTCOME_FAIL), format('%d', failed))
end

-- Numbers go as text: redis.call prints one as the fraction that it could be, which takes three times as long.
local function write_queue(key, f)
    local slot, completed, failed, n = f.slot, f.completed, f.failed, 2
    -- With room for what one job comes to: a table that grows is made anew each time.
    local todo = { 'OVERFLOW', 'SAT', nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil,
        nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil }
    f.slot, f.completed, f.failed = nil, nil, nil
    if slot then
        todo[3], todo[4], todo[5], todo[6] = 'SET', 'i64', place_of_number(slot), format('%d', now / SLOT_MS)
        todo[7], todo[8], todo[9], todo[10] = 'SET', 'i64', '#0', now_text
        f[slot + OUTCOME_COMPLETE], f[slot + OUTCOME_FAIL], n = completed, failed, 10
    end
    for index, value in pairs(f) do
        if value ~= 0 then
            todo[n + 1], todo[n + 2], todo[n + 3], todo[n + 4] =
                'INCRBY', 'i64', MEMO[index] or place_of_number(index), value == 1 and '1' or format('%d', value)
            n = n + 4
        end
    end
    -- The first answer is which slot it was.
    local was = n > 2 and call('BITFIELD', key, unpack(todo, 1, n))[1]
    if slot and was ~= tonumber(todo[6]) then
        begin_slot(key, slot, completed, failed)
    end
end

-- One was claimed that could have run since then, and one has completed that ran since then.
function write_figures_of_one(queue, waited_since, ran_since)
    local key, slot, number = SPACE .. 'figures:' .. queue, slot_at(), format('%d', now / SLOT_MS)
    local waited, waited_at = duration(WAITED_AT, waited_since)
    local ran, ran_at = duration(RAN_AT, ran_since)
    local was = call('BITFIELD', key, 'OVERFLOW', 'SAT', 'SET', 'i64', place_of_number(slot), number, 'SET', 'i64',
        '#0', now_text, 'INCRBY', 'i64', '#1', format('%d', waited), 'INCRBY', 'i64', place_of_number(waited_at), '1',
        'INCRBY', 'i64', '#66', format('%d', ran), 'INCRBY', 'i64', place_of_number(ran_at), '1',
        'INCRBY', 'i64', place_of_number(slot + OUTCOME_COMPLETE), '1')
    if was[1] ~= tonumber(number) then
        begin_slot(key, slot, 1, 0)
    end
end

function write_figures()
    for queue, f in pairs(figures) do
        write_queue(SPACE .. 'figures:' .. queue, f)
    end
end

end
