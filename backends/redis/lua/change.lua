-- SPDX-License-Identifier: MIT
-- Changes: what happens to a row that is there. The guards are those of jobq_change_guard of <jobq/backend.h>, which a
-- script cannot call.
--
-- Answer of one: DONE, or B verdict, B stale, B what follows (1 lease end, 2 holder, 4 a view).

local change_all, remove, plain_end, hot_with_result
if changes > 0 or has_part(HAS_TRIM) then

local V_OK, V_ALREADY, V_DUPLICATE, V_REPLACED, V_EXTENDED, V_SUCCESSOR = 0, 1, 2, 3, 4, 5
local V_SKIPPED, V_NO_PARENT, V_FULL, V_STALE, V_OUTDATED, V_LIMITED = 10, 11, 12, 13, 14, 15
local ANY_EDITS = 4294967295
local BY_TOKEN, BY_CALLBACK, BY_OPERATOR = 1, 2, 3
local SET_RUN_AT, SET_COUNTERS, SET_RESULT, SET_PROGRESS, SET_DATA, SET_PAYLOAD = 1, 2, 4, 8, 16, 32
local SET_CALLBACK, SET_DEADLINE, SET_CANCEL_ASKED, SET_ALONE, SET_LEASE = 64, 128, 256, 512, 1024
local SET_RESUMED, ADD_ERROR, TAKE_KEY, LIFT_HOLD, CLEAR_CANCEL, BLOCK_AGAIN = 2048, 4096, 8192, 16384, 32768, 65536
local ADD_LOG = 131072
local ERRORS_KEPT, LOG_KEPT = 10, 100

local change_index -- the number of the change at hand
-- each call
change_index = 0
-- end of each call

-- ---- guards ---------------------------------------------------------------------------------------------------------

local function guard_state(c, row)
    if band(c.allowed, 2 ^ row.state) == 0 then
        return V_STALE, 5
    elseif c.edits ~= ANY_EDITS and c.edits ~= row.edits then
        return V_OUTDATED, 0
    end
    return V_OK, 0
end

local function guard_token(c, row)
    if row.token ~= c.token then
        return V_STALE, 2
    elseif row.outcome ~= 0 and row.outcome == c.outcome then
        return V_ALREADY, 0
    elseif row.outcome == VOID then
        return V_STALE, 3
    elseif row.outcome ~= 0 or row.state ~= RUNNING then
        return V_STALE, 4
    elseif c.edits ~= ANY_EDITS and c.edits ~= row.edits then
        return V_OUTDATED, 0
    end
    return V_OK, 0
end

local function guard(c, row)
    if not row then
        return V_STALE, 1
    elseif c.by == BY_TOKEN then
        return guard_token(c, row)
    elseif c.by == BY_CALLBACK then
        if not row.digest or row.digest ~= c.digest then
            return V_STALE, 6
        elseif has(row, F_USED) then
            return V_ALREADY, 0
        end
        return guard_state(c, row)
    elseif c.by == BY_OPERATOR then
        return guard_state(c, row)
    end
    return V_STALE, 5
end

-- What the guards cannot know: edges and the key.
local function refusal(c, row)
    if c.state == GONE and has_kids(row) then
        return V_STALE, 5
    elseif band(c.set, TAKE_KEY) == 0 or not row.key_at then
        return V_OK, 0
    end
    local _, scope = own_key(row)
    local k = key_held(scope)
    if k and k.job ~= row.id then
        c.holder = k.job
        return V_DUPLICATE, 0
    end
    return V_OK, 0
end

-- ---- values ---------------------------------------------------------------------------------------------------------

-- An error, or a line of log: i4 attempt, i4 kind, i8 at, I2 length + 1 and the worker, I4 length + 1 and the text.
-- This is all of it but for the text.
local function entry_head(row, kind)
    local worker = row.worker
    return pack('>i4i4', math.min(near(row.attempt), MOST_INT), kind) .. now8 ..
        (worker and pack('>I2', #worker + 1) .. worker or '\0\0')
end

-- B count, then the entries.
local function add_error(row, c)
    local s, n = has(row, F_ERRORS) and call('HGET', EXTRA, row.id .. 'E') or '\0', 0
    n = byte(s)
    local from = 2
    if n == ERRORS_KEPT then
        local worker_bytes = cut('>I2', s, 18)
        local text_at = 20 + math.max(worker_bytes - 1, 0)
        from, n = text_at + 4 + math.max(cut('>I4', s, text_at) - 1, 0), n - 1
    end
    local text = c.error
    set_extra(row, F_ERRORS, 'E', char(n + 1) .. sub(s, from) .. entry_head(row, c.error_kind) ..
        (text and pack('>I4', #text + 1) .. text or '\0\0\0\0'))
end

-- A list, so that a line costs what it is long, whatever stands before it. The client sends no more lines than are
-- kept.
local function add_log(row, lines)
    local key, head = SPACE .. 'log:' .. row.id, entry_head(row, 0)
    for i = 1, #lines do
        lines[i] = head .. lines[i]
    end
    if call('RPUSH', key, unpack(lines)) > LOG_KEPT then
        call('LTRIM', key, -LOG_KEPT, -1)
    end
    set(row, F_LOG, true)
end

local function set_bytes(row, c)
    local asked = c.set
    if band(asked, SET_RESULT) ~= 0 then
        set_extra(row, F_RESULT, 'R', c.result)
    end
    if band(asked, SET_PROGRESS) ~= 0 then
        set_extra(row, F_PROGRESS, 'S', c.progress)
    end
    if band(asked, SET_CALLBACK) ~= 0 then
        set_extra(row, F_DATA, 'D', nil)
    end
    if band(asked, SET_DATA) ~= 0 then
        set_extra(row, F_DATA, 'D', c.data)
    end
    if band(asked, SET_PAYLOAD) ~= 0 then
        set_payload(row, c.payload, c.bulk)
    end
end

local function set_run_at(row, run_at)
    row.run_at = run_at
    row.due = row.state == WAITING and near(run_at) <= now
    wake = wake or row.state == WAITING
    set(row, F_LISTED, false)
end

local function set_callback(row, c)
    local some = c.digest ~= ZERO8 .. ZERO8 .. ZERO8 .. ZERO8
    row.digest = some and c.digest or nil
    set(row, F_DIGEST, some)
    set(row, F_USED, false)
    set(row, F_RESUMED, false)
end

local function set_numbers(row, c)
    local function asked(bit_of_it)
        return band(c.set, bit_of_it) ~= 0
    end
    if asked(SET_COUNTERS) then
        row.failures, row.crashes, row.snoozes, row.releases, row.redrives =
            c.failures, c.crashes, c.snoozes, c.releases, c.redrives
    end
    if asked(SET_RUN_AT) then
        set_run_at(row, time_of(c.run_base, c.run_offset, row.run_at))
    end
    if asked(SET_CALLBACK) then
        set_callback(row, c)
    end
    if asked(SET_DATA) then
        set(row, F_USED, true)
    end
    if asked(SET_DEADLINE) then
        row.callback_until = time_of(c.until_base, c.until_offset, row.callback_until)
    end
    if asked(SET_CANCEL_ASKED) then
        set(row, F_CANCEL, true)
    end
    if asked(CLEAR_CANCEL) then
        set(row, F_CANCEL, false)
    end
    if asked(SET_ALONE) then
        set(row, F_ALONE, c.alone ~= 0)
        set(row, F_LISTED, false)
    end
    if asked(SET_RESUMED) then
        set(row, F_RESUMED, true)
    end
    if asked(SET_LEASE) then
        row.lease_until = lease_end(row.lease_until, row.stop_at, c.lease_ms)
    end
end

-- ---- states ---------------------------------------------------------------------------------------------------------

-- What the change asks for, seen with the row's hold and parents.
local function target_state(row, c)
    local keep = c.state == 0
    local state, reason = keep and row.state or c.state, keep and row.reason or c.reason
    if band(c.set, LIFT_HOLD) ~= 0 then
        set(row, F_HELD, false)
        if row.state == BLOCKED and row.pending == 0 then
            state = WAITING
        elseif state == BLOCKED then
            reason = REASON_PARENTS
        end
    end
    if band(c.set, BLOCK_AGAIN) ~= 0 and row.pending > 0 then
        state, reason = BLOCKED, REASON_PARENTS
    end
    return state, reason
end

local function set_state(row, state, reason)
    local from = row.state
    row.reason = state == WAITING and 0 or reason
    if from == state then
        return
    end
    if from == RUNNING then
        row.lease_until, row.stop_at = 0, 0
    elseif is_ended(from) then
        row.finished_at, row.expires_at = 0, 0
        set_extra(row, F_RESULT, 'R', nil)
    end
    count(row, from, state)
    row.state, row.due = state, false
    set(row, F_LISTED, false)
    if is_ended(state) then
        row.finished_at, row.pending = now, 0
    elseif state == WAITING then
        wait(row)
    end
end

-- What hangs on a row that has left its state: its key; at the end those it waited for and those who wait for it.
local function settle_after(row, before)
    if row.state == before then
        return
    elseif not is_ended(row.state) then
        if is_ended(before) then
            settle_key(row, row.state)
        end
        return
    end
    settle_key(row, row.state)
    close_edges(row, row.reason == REASON_DEPENDENCY)
    if has(row, F_KIDS) then
        resolve_edges(row)
    end
end

-- The row and all that hangs on it. It has no open children.
function remove(row)
    close_edges(row, false)
    settle_key(row, is_ended(row.state) and row.state or GONE)
    count(row, row.state, nil)
    leave_place(row)
    if row.was_at then
        zrem(CLOCK, row.id)
    end
    drop_held(row)
    call('HDEL', COLD, row.id)
    call('HDEL', HOT, row.id)
    local id = row.id
    call('HDEL', EXTRA, id .. 'P', id .. 'R', id .. 'D', id .. 'S', id .. 'E', id .. 'U')
    if has(row, F_LOG) then
        call('DEL', SPACE .. 'log:' .. id)
    end
    row.gone = true
    rows[id], colds[id], hots[id] = false, false, false
end

local function make(c, row)
    local before = row.state
    if c.state == GONE then
        if events then
            events.tell(row, GONE)
        end
        remove(row)
        return
    end
    row.dirty = true
    if band(c.set, BLOCK_AGAIN) ~= 0 then
        row.pending = reopen_edges(row)
    end
    -- A key whose window ran out while its job had ended must not come back to life with the job.
    if is_ended(before) then
        settle_key(row, before)
    end
    if c.by ~= BY_TOKEN then
        row.edits = math.min(row.edits + 1, ANY_EDITS)
    end
    if c.outcome ~= 0 then
        row.outcome = c.outcome
    end
    if band(c.set, ADD_ERROR) ~= 0 then
        add_error(row, c)
    end
    if c.log then
        add_log(row, c.log)
    end
    local state, reason = target_state(row, c)
    set_state(row, state, reason)
    set_bytes(row, c)
    set_numbers(row, c)
    if band(c.set, TAKE_KEY) ~= 0 then
        take_key(row)
    end
    count_end(queue_of(row.queue), state, state ~= before and is_ended(state), c.outcome == FAILED)
    note_ran(row.queue, row.started_at, 1, c.outcome)
    if events and state ~= before then
        events.tell(row, state)
    end
    settle_after(row, before)
end

local function change(c)
    local row = open(c.id)
    local verdict, stale = guard(c, row)
    if verdict == V_OK then
        verdict, stale = refusal(c, row)
    end
    if verdict == V_OK then
        make(c, row)
    else
        not_ok[change_index] = true
    end
    local extended = verdict == V_OK and band(c.set, SET_LEASE) ~= 0 and c.state ~= GONE
    local shown = verdict ~= V_OK or extended
    answer[#answer + 1] = char(verdict, stale, (extended and 1 or 0) + (c.holder and 2 or 0) + (shown and 4 or 0)) ..
        (extended and give(row.lease_until) or '') .. (c.holder or '')
    if shown then
        shown_again[#shown_again + 1] = c.id .. '\0\0'
        if row then
            view(row, 0)
        else
            view_none()
        end
    end
end

-- ---- what is asked --------------------------------------------------------------------------------------------------

-- Lines of log as they are stored behind their heads; nil: none.
local function read_lines(number)
    local lines = {}
    for i = 1, number do
        lines[i] = argument()
    end
    return number > 0 and lines or nil
end

local function read_change(s)
    local c, at, run_offset, until_offset, lease, present = {}, nil, nil, nil, nil, nil
    c.id, c.by, c.token, c.digest, c.allowed, c.edits, c.outcome, c.state, c.reason, c.set, c.run_base, run_offset,
        c.until_base, until_offset, lease, c.failures, c.crashes, c.snoozes, c.releases, c.redrives, c.alone,
        c.error_kind, present, at = cut('>c16Bc16c32I4I4BBBI4Bc8Bc8c8i4i4i4i4i4Bi4B', s, 2)
    c.run_offset, c.until_offset, c.lease_ms = take(run_offset, 1), take(until_offset, 1), take(lease, 1)
    for i, name in ipairs({ 'result', 'progress', 'data', 'payload', 'error' }) do
        if band(present, 2 ^ (i - 1)) ~= 0 then
            c[name] = argument()
        end
    end
    c.bulk = band(present, 32) ~= 0
    if band(c.set, ADD_LOG) ~= 0 then
        c.log = read_lines(byte(s, at))
    end
    return c
end

-- By far the most frequent change: a worker completes what it holds. If the row has nothing hanging on it, its new hot
-- string follows from the old one. Rows of one claim have the same hot string, so this is asked once for all of them.
function plain_end(hot, head, token, edits)
    local flags, has_edits, has_token = cut('>I4I4c16', hot, 4)
    if byte(hot, 1) ~= RUNNING or byte(hot, 3) ~= 0 or has_token ~= token
        or (edits ~= ANY_EDITS and edits ~= has_edits)
        or band(flags, F_KIDS + F_PARENTS + F_KEYED + F_RESULT) ~= 0 then
        return false
    end
    local fresh = head .. sub(hot, 4, 75) .. now8 .. ZERO8 .. ZERO8 .. sub(hot, 100)
    local queue = sub(hot, QUEUE_AT + 1, QUEUE_AT + byte(hot, QUEUE_AT))
    return { hot = fresh, flags = flags, with_result = false, queue = queue,
        group = band(flags, F_GROUPED) ~= 0 and G.group_in(hot) or nil, place = SPACE .. 'ended:4:' .. queue, ids = {},
        outcome = byte(head, 3), started = take(hot, STARTED_AT) }
end

function hot_with_result(way)
    way.with_result = way.with_result or sub(way.hot, 1, 3) .. pack('>I4', bor(way.flags, F_RESULT)) .. sub(way.hot, 8)
    return way.with_result
end

-- So many have ended in this way.
local function count_ends(way, number)
    local q = queue_of(way.queue)
    wake = wake or q.at_once >= 0
    if way.group then
        G.count_slot(q, way.group, -number)
    end
    q[RUNNING], q[COMPLETED] = math.max(q[RUNNING] - number, 0), q[COMPLETED] + number
    q[8], q.ended, q.dirty = q[8] + number, bor(q.ended, 2 ^ COMPLETED), true
    note_ran(way.queue, way.started, number, way.outcome)
    return q
end

-- Of a run: rows that have ended in this way are still to be written.
local function hand_over(way, token)
    local ids, number = way.ids, #way.ids
    if number == 0 then
        return
    end
    zrem_all(CLOCK, ids)
    zadd_all(way.place, now_text, ids, 1, number)
    hold_all(held_out, token, ids, 1, number)
    way.ids = {}
    count_ends(way, number)
end

local function hand_over_all(ways, token)
    for _, way in pairs(ways) do
        if way then
            hand_over(way, token)
        end
    end
end

-- Those that ended in the short way in this exchange: what a run has fetched of them is older, written by now or not.
local ended

local function end_one(id, way, result)
    if result then
        call('HSET', EXTRA, id .. 'R', result)
    end
    local n, hot = #new_hot, result and hot_with_result(way) or way.hot
    new_hot[n + 1], new_hot[n + 2], touched[id], ended[id] = id, hot, true, true
    way.ids[#way.ids + 1], answer[#answer + 1] = id, DONE
    return hot
end

local function read_ends(number, with_results)
    local ids, results = {}, {}
    for i = 1, number do
        ids[i], results[i] = argument(), with_results and argument() or nil
    end
    return ids, results
end

-- Enough members of a batch end together: another record has them then. `rest`: the ids of the others. False: they are
-- to leave it.
local function end_members(r, way, members, number, rest, groups, rest_groups)
    local q = way and number >= BATCH_LEAST and queue_of(way.queue)
    local last = q and q[PAST] > 0 and B.past_at(q.name, -1)
    if not q or (last and less(now, last.finished_at)) then
        return false
    end
    B.write_rest(r, rest, rest_groups)
    B.complete(q.name, way.hot, members, number, r)
    q[PAST], q.met_past = q[PAST] + number, true
    count_ends(way, number)
    if groups then
        G.count_slots(q, groups, -1)
    end
    return true
end

-- The record that may have those of this token, and how they end where that is plain.
local function batch_of(token, head, edits)
    local r = not lacks_some(LACKS_BATCHES) and B.running(sub(token, 1, 8))
    if not r or B.token_of(r) ~= token then
        return nil
    end
    return r, not events and plain_end(r.hot, head, token, edits)
end

-- Which of these are members and have ended now, as a set. Members that have not are members no more.
local function end_some(r, way, ids)
    local part = B.part(r, ids)
    local number = #part.members
    if number == 0 or end_members(r, way, concat(part.members), number, part.rest, part.groups, part.rest_groups) then
        return part.mine
    end
    B.leave_some(r, part)
    return {}
end

local function end_run(s)
    local number, token, edits, outcome, reason, has_results = cut('>I2c16I4BBB', s, 2)
    local head, ids, results = char(COMPLETED, reason, outcome), nil, {}
    local r, way = batch_of(token, head, edits)
    if has_results == 0 then
        local all = argument()
        if r and all == B.ids_of(r) and end_members(r, way, all, number, '', B.groups_of(r)) then
            answer[#answer + 1], change_index = DONE:rep(number), change_index + number
            return
        end
        ids = B.list(all)
    else
        ids, results = read_ends(number, true)
    end
    local mine = r and end_some(r, has_results == 0 and way, ids) or {}
    local found, ways = many(HOT, ids), {}
    local cold_of = events and many(COLD, ids)
    for i = 1, number do
        local id, hot = ids[i], found[i]
        local way = hot and not ended[id] and rows[id] == nil and ways[hot]
        if way == nil and not mine[id] then
            way = plain_end(hot, head, token, edits)
            ways[hot] = way
        end
        change_index = change_index + 1
        if mine[id] then
            answer[#answer + 1], mine[id] = DONE, false -- one that is said twice has ended then
        elseif way then
            hot = end_one(id, way, results[i])
            if events then
                events.tell_strings(id, cold_of[i], hot)
            end
        else
            hand_over_all(ways, token)
            change({ id = id, by = BY_TOKEN, token = token, edits = edits, outcome = outcome, state = COMPLETED,
                reason = reason, set = has_results ~= 0 and SET_RESULT or 0, result = results[i] })
        end
    end
    hand_over_all(ways, token)
end

function change_all(number)
    ended = {}
    while change_index < number do
        local s = argument()
        if byte(s) == 1 then
            end_run(s)
        else
            change_index = change_index + 1
            change(read_change(s))
        end
    end
end

end
