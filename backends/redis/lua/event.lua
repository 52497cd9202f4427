-- SPDX-License-Identifier: MIT
-- What happened, while events are kept. The stream "events" has an entry for each, named by its cursor; meta.event is
-- the last cursor, meta.events how many are kept. An exchange gathers and writes at its end: the cursors follow one
-- another because a script runs alone. While none are kept `events` is nil and each step that could tell something asks
-- that only.
--
-- An entry: i8 at, id (16), B state, B reason, i8 attempt, i8 run_at, B length and queue, B length and kind, [\1 and
-- worker].

if uses_some(USES_EVENTS) then

local told

-- `row` has come to this state; `reason`: another one than the row has.
local function tell(row, state, reason)
    local by = state == RUNNING and row.worker
    told[#told + 1] = now8 .. row.id .. char(state, reason or row.reason) .. give(row.attempt) .. give(row.run_at) ..
        char(#row.queue) .. row.queue .. char(#row.kind) .. row.kind .. (by and '\1' .. by or '')
end

-- The same of a row that is only strings.
local function tell_strings(id, cold, hot)
    local row = { id = id }
    read_cold(row, cold)
    if hot then
        read_hot(row, hot)
    else
        read_fresh(row)
    end
    tell(row, row.state)
end

-- A stream gives up whole nodes of entries fast, and the few of the first node one by one.
local function write()
    if #told == 0 then
        return
    end
    local kept = call('HMGET', META, 'events', 'event')
    local stream, cursor = SPACE .. 'events', tonumber(kept[2] or 0)
    for i = 1, #told do
        call('XADD', stream, string.format('%d-0', cursor + i), 'e', told[i])
    end
    call('XTRIM', stream, 'MAXLEN', kept[1])
    call('HSET', META, 'event', string.format('%d', cursor + #told))
end

local kept_events = { tell = tell, tell_strings = tell_strings, write = write }
-- each call
events = nil
if uses_some(USES_EVENTS) then
    told, events = {}, kept_events
end
-- end of each call

end
