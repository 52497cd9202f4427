-- SPDX-License-Identifier: MIT
-- Rows. A row is two strings: what the put said ("cold", in one hash by id) and what changes ("hot", in another). A row
-- without a hot string is as it was put: waiting, never claimed; or it is one of a batch (batch.lua). So a backlog
-- costs one string and one list entry a job.
--
-- Cold:  B parts, i8 created, I8 arrival, [i8 run_at], [i8 expires_at], [i8 window end], then as request.c made it:
--        I2 mask, I4 payload size, queue, kind (B length each), [i8 rank_add], [i8 timeout], [B hold, scope, digest],
--        [i4 priority], [group], [policy], [key], [trace] (I4 length each), and the payload up to the end.
-- Hot:   see pack_hot. QUEUE_AT is where the queue's name begins; guards are read without taking all of it apart.
--        Larger and rarer things are in "extra" under id .. letter: P payload above the inline bound, R result,
--        D data, S progress, E errors, U the row's parents. Lines of log are a list of the row's own, log:ID.
--
-- Exchanges open the rows that they touch, change them as tables, and flush writes all of them with their places:
--        waiting   list:LANE (put due, plain, in order), rank:LANE, alone:LANE or later:QUEUE; a lane is queue
--                  and kind, for rows with a group, which stand in rank: only, also the group
--        circle    a queue's groups that have rows in rank:, by bytes; the hash shelves:QUEUE has the same groups, and
--                  of each the kinds of these rows, B length and kind
--        ended     ended:STATE:QUEUE by finished_at
--        clock     whatever falls overdue, by when, and one entry that never does (open.lua)
--        held      running rows by token

local PART_RUN_AT, PART_EXPIRES, PART_WINDOW = 1, 2, 4
local MASK_RANK, MASK_TIMEOUT, MASK_KEY, MASK_PAYLOAD, MASK_BULK, MASK_PRIORITY, MASK_GROUP = 1, 2, 4, 8, 16, 32, 64
local F_CANCEL, F_HELD, F_ALONE, F_RAN_ALONE, F_RESUMED, F_USED = 1, 2, 4, 8, 16, 32
local F_SWEPT_LEASE, F_SWEPT_TIMEOUT, F_KIDS, F_PARENTS = 64, 128, 256, 512
local F_RESULT, F_PROGRESS, F_DATA, F_ERRORS = 1024, 2048, 4096, 8192
local F_LISTED, F_DIGEST, F_KEYED, F_OWN_TIMES, F_BULK, F_GROUPED = 16384, 32768, 65536, 131072, 262144, 524288
local F_LOG = 1048576
local REASON_PARENTS, REASON_CALLBACK, REASON_HOLD, REASON_DEPENDENCY = 1, 2, 3, 15
local VOID, FAILED, RELEASED = 6, 2, 3

-- What this exchange knows of rows: strings read or written, rows opened, ids that a short way has dealt with whose
-- writes are still to come, and ids that were found where ready rows stand.
local hots, colds, rows, opened, touched, found_due
-- each call
hots, colds, rows, opened, touched, found_due = {}, {}, {}, {}, {}, {}
-- end of each call
local write_lists, write_dirty_parents

local function has(row, flag)
    return band(row.flags, flag) ~= 0
end

local function set(row, flag, on)
    row.flags = on and bor(row.flags, flag) or band(row.flags, bnot(flag))
end

-- All lanes of a group in a queue are its shelf.
if with_groups then

function G.shelf_of(queue, group)
    return as_text(#queue) .. ';' .. as_text(#group) .. ':' .. queue .. group
end

-- The kinds that a string of a shelf names.
function G.list_kinds(s)
    local kinds, at, n = {}, 1, 0
    while at <= #s do
        n = n + 1
        kinds[n], at = cut('Bc0', s, at)
    end
    return kinds
end

local function names_kind(s, kind)
    for _, known in ipairs(G.list_kinds(s)) do
        if known == kind then
            return true
        end
    end
    return false
end

-- Rows of this kind are ready, of each of these groups: the circle is joined by those that are not there.
function G.join_circle(queue, groups, kind)
    local entry, key, shelves, circle = char(#kind) .. kind, SPACE .. 'shelves:' .. queue, {}, {}
    local found = many(key, groups)
    for i = 1, #groups do
        local known, n = found[i], #shelves
        if not known then
            circle[#circle + 1], circle[#circle + 2] = '0', groups[i]
        end
        if known ~= entry and not (known and names_kind(known, kind)) then
            shelves[n + 1], shelves[n + 2] = groups[i], (known or '') .. entry
        end
    end
    in_pieces('HSET', key, shelves)
    in_pieces('ZADD', SPACE .. 'circle:' .. queue, circle)
end

end

local function read_cold(row, cold)
    local parts, at = byte(cold, 1), 18
    row.cold, row.created, row.arrival = cold, take(cold, 2), sub(cold, 10, 17)
    row.run_at, row.expires_at, row.window = row.created, 0, 0
    if band(parts, PART_RUN_AT) ~= 0 then
        row.run_at, at = take(cold, at), at + 8
    end
    if band(parts, PART_EXPIRES) ~= 0 then
        row.expires_at, at = take(cold, at), at + 8
    end
    if band(parts, PART_WINDOW) ~= 0 then
        row.window, at = take(cold, at), at + 8
    end
    row.rest = at
    row.mask, row.payload_bytes, row.queue, row.kind, at = cut('>I2I4Bc0Bc0', cold, at)
    row.rank_add, row.timeout = 0, 0
    if band(row.mask, MASK_RANK) ~= 0 then
        row.rank_add, at = take(cold, at), at + 8
    end
    if band(row.mask, MASK_TIMEOUT) ~= 0 then
        row.timeout, at = take(cold, at), at + 8
    end
    if band(row.mask, MASK_KEY) ~= 0 then
        row.key_at, at = at, at + 65
    end
    if band(row.mask, MASK_GROUP) ~= 0 then
        local length
        length, at = cut('>I4', cold, band(row.mask, MASK_PRIORITY) ~= 0 and at + 4 or at)
        row.group = length > 0 and sub(cold, at, at + length - 1) or nil
    end
end

local QUEUE_AT, STARTED_AT = 116, 68
local ONE8 = ('\0'):rep(7) .. '\1'
local HOT_FORMAT = '>BBBI4I4c16c8i4i4i4i4i4I4c8c8c8c8c8c8c8'

local function read_hot(row, hot)
    local at, run_at, started, finished, lease, stop, expires, callback, length
    row.state, row.reason, row.outcome, row.flags, row.edits, row.token, row.attempt, row.failures, row.crashes,
        row.snoozes, row.releases, row.redrives, row.pending, run_at, started, finished, lease, stop, expires,
        callback, at = cut(HOT_FORMAT, hot)
    row.attempt = take(row.attempt, 1)
    row.started_at, row.finished_at, row.lease_until = take(started, 1), take(finished, 1), take(lease, 1)
    row.stop_at, row.callback_until = take(stop, 1), take(callback, 1)
    if has(row, F_OWN_TIMES) then
        row.run_at, row.expires_at = take(run_at, 1), take(expires, 1)
    end
    at = at + 1 + byte(hot, at)
    if has(row, F_GROUPED) then
        at = at + 1 + byte(hot, at)
    end
    length, at = cut('>I2', hot, at)
    if length > 0 then
        row.worker, at = sub(hot, at, at + length - 2), at + length - 1
    end
    if has(row, F_DIGEST) then
        row.digest = sub(hot, at, at + 31)
    end
end

-- The group in a hot string that has one.
if with_groups then

function G.group_in(hot)
    local at = QUEUE_AT + 1 + byte(hot, QUEUE_AT)
    return sub(hot, at + 1, at + byte(hot, at))
end

end

local function read_fresh(row)
    row.state, row.reason, row.outcome, row.flags, row.edits = WAITING, 0, 0, 0, 0
    row.token, row.attempt, row.pending = NO_TOKEN, 0, 0
    row.failures, row.crashes, row.snoozes, row.releases, row.redrives = 0, 0, 0, 0, 0
    row.started_at, row.finished_at, row.lease_until, row.stop_at, row.callback_until = 0, 0, 0, 0, 0
    if row.key_at then
        row.flags = F_KEYED
    end
    if band(byte(row.cold, 1), PART_RUN_AT) == 0 and band(row.mask, MASK_RANK) == 0 and not row.group then
        row.flags = bor(row.flags, F_LISTED)
    end
end

-- What stands behind the numbers.
local function pack_names(queue, group, worker)
    return char(#queue) .. queue .. (group and char(#group) .. group or '') ..
        (worker and pack('>I2', #worker + 1) .. worker or '\0\0')
end

local function pack_hot(row)
    row.flags = bor(row.flags, F_OWN_TIMES)
    set(row, F_BULK, band(row.mask or 0, MASK_BULK) ~= 0)
    set(row, F_GROUPED, row.group ~= nil)
    return pack(HOT_FORMAT, row.state, row.reason, row.outcome, row.flags, row.edits, row.token, give(row.attempt),
        row.failures, row.crashes, row.snoozes, row.releases, row.redrives, row.pending, give(row.run_at),
        give(row.started_at), give(row.finished_at), give(row.lease_until), give(row.stop_at), give(row.expires_at),
        give(row.callback_until)) .. pack_names(row.queue, row.group, row.worker) .. (row.digest or '')
end

-- Of a row that is claimed for the first time, with nothing special about it: what it has depends on its queue, its
-- timeout and its group alone. Its run_at is the one it was put with, and not said again.
local function pack_claimed(flags, token, lease_until, stop_at, names)
    return pack(HOT_FORMAT, RUNNING, 0, 0, flags, 0, token, ONE8, 0, 0, 0, 0, 0, 0, ZERO8, now8, ZERO8,
        give(lease_until), give(stop_at), ZERO8, ZERO8) .. names
end

-- ---- places ---------------------------------------------------------------------------------------------------------

local function has_kids(row)
    return has(row, F_KIDS) and call('ZCARD', SPACE .. 'kids:' .. row.id) > 0
end

-- When it falls overdue; nil: never.
local function overdue_at(row)
    if row.state == RUNNING then
        return row.lease_until
    elseif is_ended(row.state) then
        return has_kids(row) and row.finished_at or nil
    end
    local at = row.expires_at ~= 0 and row.expires_at or nil
    if row.state == BLOCKED and row.reason == REASON_CALLBACK and row.callback_until ~= 0
        and (not at or less(row.callback_until, at)) then
        at = row.callback_until
    end
    return at
end

-- Where it stands: key, score, member. Those of a list have no score.
local function place_of(row)
    if row.state == WAITING then
        local alone = has(row, F_ALONE)
        local lane = lane_of(row.queue, row.kind, not alone and row.group)
        if has(row, F_LISTED) then
            return SPACE .. 'list:' .. lane, nil, row.id
        elseif not row.due then
            return SPACE .. 'later:' .. row.queue, near(row.run_at), row.arrival .. row.id
        end
        return SPACE .. (alone and 'alone:' or 'rank:') .. lane, near(add(row.run_at, row.rank_add)),
            row.arrival .. row.id
    elseif is_ended(row.state) then
        return SPACE .. 'ended:' .. row.state .. ':' .. row.queue, near(row.finished_at), row.id
    end
end

local function note_place(row)
    row.was_key, row.was_score, row.was_member = place_of(row)
    row.was_at = overdue_at(row)
    row.was_token = row.state == RUNNING and row.token or nil
    row.was_state = row.state
end

-- The row of this id as it is by now, or false.
local function open(id)
    local row = rows[id]
    if row ~= nil then
        return row
    end
    if touched[id] then
        write_lists()
    end
    local cold, hot = colds[id], hots[id]
    if cold == nil then
        cold = call('HGET', COLD, id)
    end
    if not cold then
        rows[id] = false
        return false
    end
    if hot == nil then
        hot = call('HGET', HOT, id) or B.hot_of(id, cold)
    end
    row = { id = id, hot = hot }
    read_cold(row, cold)
    if hot then
        read_hot(row, hot)
    else
        read_fresh(row)
    end
    if row.state == WAITING then
        row.due = has(row, F_LISTED) or found_due[id]
            or not call('ZSCORE', SPACE .. 'later:' .. row.queue, row.arrival .. row.id)
    end
    note_place(row)
    rows[id] = row
    opened[#opened + 1] = row
    return row
end

-- ---- writing --------------------------------------------------------------------------------------------------------

local held_in, held_out, new_cold, new_hot
-- each call
held_in, held_out, new_cold, new_hot = {}, {}, {}, {}
-- end of each call
local zadd, zadd_all, zrem, zrem_all, hold_all, write_new_held, leave_place, drop_held, flush, is_open
do

local added, taken, laters, left_shelves, kept_shelves, fronts, emptied
-- each call
added, taken, laters, left_shelves, kept_shelves, fronts, emptied = {}, {}, {}, {}, {}, {}, {}
-- end of each call

function zadd(key, score, member)
    local list = added[key]
    local text = score == now and now_text or as_text(score)
    if not list then
        added[key] = { text, member }
        return
    end
    local n = #list
    list[n + 1], list[n + 2] = text, member
end

-- Those from one number of the list to another.
function zadd_all(key, text, members, from, to)
    local list = added[key] or {}
    local n = #list
    for i = from, to do
        list[n + 1], list[n + 2], n = text, members[i], n + 2
    end
    added[key] = list
end

function zrem(key, member)
    local list = taken[key]
    if list then
        list[#list + 1] = member
    else
        taken[key] = { member }
    end
end

function zrem_all(key, members)
    local list = taken[key] or {}
    local n = #list
    for i = 1, #members do
        list[n + i] = members[i]
    end
    taken[key] = list
end

-- Rows that begin or end to be held by this token, from one number of the list to another.
function hold_all(book, token, ids, from, to)
    local list = book[token] or {}
    local n = #list - from + 1
    for i = from, to do
        list[n + i] = ids[i]
    end
    book[token] = list
end

local function hold(book, token, id)
    local list = book[token]
    if list then
        list[#list + 1] = id
    else
        book[token] = { id }
    end
end

-- Running rows by the random half of their token: fence and id of each.
function write_new_held(mint, entries)
    if call('HSETNX', HELD, mint, entries) == 0 then
        call('HSET', HELD, mint, call('HGET', HELD, mint) .. entries)
    end
end

local function without(entries, fence, ids)
    local gone, left = {}, {}
    for i = 1, #ids do
        gone[fence .. ids[i]] = true
    end
    for at = 1, #entries, 24 do
        local entry = sub(entries, at, at + 23)
        if not gone[entry] then
            left[#left + 1] = entry
        end
    end
    return concat(left)
end

local function write_held()
    for token, ids in pairs(held_out) do
        local mint = sub(token, 1, 8)
        local old = call('HGET', HELD, mint) or ''
        local left = #old > 24 * #ids and without(old, sub(token, 9), ids) or ''
        if left ~= '' then
            call('HSET', HELD, mint, left)
        else
            call('HDEL', HELD, mint)
        end
        held_out[token] = nil
    end
    for token, ids in pairs(held_in) do
        local fence = sub(token, 9)
        write_new_held(sub(token, 1, 8), fence .. concat(ids, fence))
        held_in[token] = nil
    end
end

-- A list entry cannot be taken out of the middle. It stays, and this counts how many of an id are to be passed by.
local function bury(key, id)
    local lane = sub(key, #SPACE + 6)
    call('HINCRBY', SPACE .. 'tomb:' .. lane, id, 1)
end

-- The row is held no more by the token that it had.
function drop_held(row)
    if row.was_token then
        hold(held_out, row.was_token, row.id)
    end
end

function leave_place(row)
    if not row.was_key then
        return
    elseif row.was_score then
        zrem(row.was_key, row.was_member)
        if sub(row.was_key, 1, #SPACE + 6) == SPACE .. 'later:' then
            laters[row.queue] = true
        elseif row.group then
            G.leave_shelf(G.shelf_of(row.queue, row.group), row.queue, row.group)
        end
    elseif not row.popped then
        bury(row.was_key, row.id)
    end
end

local function enter_place(row, key, score, member)
    zadd(key, score, member)
    if row.state ~= WAITING then
        return
    elseif row.due and row.group and not has(row, F_ALONE) then
        G.join_circle(row.queue, { row.group }, row.kind)
    elseif row.due then
        call('SADD', SPACE .. 'kinds:' .. row.queue, row.kind)
    else
        laters[row.queue] = true
    end
end

local function write_places(row)
    local key, score, member = place_of(row)
    if key ~= row.was_key then
        leave_place(row)
        if key then
            enter_place(row, key, score, member)
        end
    elseif score ~= row.was_score then
        enter_place(row, key, score, member)
    end
    local at = overdue_at(row)
    if at and (not row.was_at or at ~= row.was_at) then
        zadd(CLOCK, near(at), row.id)
    elseif not at and row.was_at then
        zrem(CLOCK, row.id)
    end
    local token = row.state == RUNNING and row.token or nil
    if token ~= row.was_token then
        drop_held(row)
        if token then
            hold(held_in, token, row.id)
        end
    end
end

-- For each queue with delayed rows, when the first of them is due: what next_due looks at.
local function write_next()
    if not next(laters) then
        return
    end
    for queue in pairs(laters) do
        local first = call('ZRANGE', SPACE .. 'later:' .. queue, 0, 0, 'WITHSCORES')
        if first[2] then
            has_met(LACKS_DELAYS)
            call('ZADD', NEXT, first[2], queue)
        else
            call('ZREM', NEXT, queue)
        end
    end
    laters = {}
end

-- A group that has no ready rows in a queue any more leaves its circle.
if with_groups then

function G.leave_shelf(shelf, queue, group)
    left_shelves[shelf] = { queue = queue, group = group }
end

-- Is it known that rows of it stay, and that all of them are of one kind?
function G.keep_shelf(shelf, stays)
    kept_shelves[shelf] = stays
end

-- The first so many entries of a sorted set go.
function G.take_front(key, number)
    local n = #fronts
    fronts[n + 1], fronts[n + 2] = key, number
end

-- It is known that none of its rows stays.
function G.empty_shelf(queue, group)
    local n = #emptied
    emptied[n + 1], emptied[n + 2] = queue, group
end

local function is_empty(shelf, queue, group)
    local key, left = SPACE .. 'shelves:' .. queue, {}
    local known = call('HGET', key, group) or ''
    for _, kind in ipairs(G.list_kinds(known)) do
        if call('EXISTS', SPACE .. 'rank:' .. shelf .. ':' .. kind) == 1 then
            left[#left + 1] = char(#kind) .. kind
        end
    end
    local kinds = concat(left)
    if kinds ~= '' and kinds ~= known then
        call('HSET', key, group, kinds)
    end
    return kinds == ''
end

local function note_leave(leave, queue, group)
    local groups = leave[queue]
    if groups then
        groups[#groups + 1] = group
    else
        leave[queue] = { group }
    end
end

function G.write_circles()
    local leave = {}
    for i = 1, #emptied, 2 do
        note_leave(leave, emptied[i], emptied[i + 1])
    end
    for shelf, of in pairs(left_shelves) do
        if not kept_shelves[shelf] and is_empty(shelf, of.queue, of.group) then
            note_leave(leave, of.queue, of.group)
        end
    end
    for queue, groups in pairs(leave) do
        in_pieces('ZREM', SPACE .. 'circle:' .. queue, groups)
        in_pieces('HDEL', SPACE .. 'shelves:' .. queue, groups)
    end
    left_shelves, kept_shelves, emptied = {}, {}, {}
end

function G.write_fronts()
    for i = 1, #fronts, 2 do
        call('ZREMRANGEBYRANK', fronts[i], '0', as_text(fronts[i + 1] - 1))
    end
    fronts = {}
end

end

write_lists = function()
    if new_cold[1] then
        in_pieces('HSET', COLD, new_cold)
        new_cold = {}
    end
    if new_hot[1] then
        in_pieces('HSET', HOT, new_hot)
        new_hot = {}
    end
    if fronts[1] then
        G.write_fronts()
    end
    for key, list in pairs(taken) do
        in_pieces('ZREM', key, list)
        taken[key] = nil
    end
    for key, list in pairs(added) do
        in_pieces('ZADD', key, list)
        added[key] = nil
    end
    write_held()
    write_next()
    if next(left_shelves) or emptied[1] then
        G.write_circles()
    end
    if next(touched) then
        touched = {}
    end
end

-- Everything that was changed, with as few commands as there are keys.
function flush()
    for i = 1, #opened do
        local row = opened[i]
        if row.unplaced and not row.dirty and not row.gone then
            write_places(row)
        elseif row.dirty and not row.gone then
            if row.parents_dirty then
                write_dirty_parents(row)
            end
            if row.new_cold then
                new_cold[#new_cold + 1] = row.id
                new_cold[#new_cold + 1] = row.cold
            end
            write_places(row)
            local hot = pack_hot(row)
            if hot ~= row.hot then
                new_hot[#new_hot + 1] = row.id
                new_hot[#new_hot + 1] = hot
                if row.state == WAITING and has(row, F_LISTED) then
                    has_met(LACKS_EDITED)
                end
            end
        end
    end
    write_lists()
    if next(rows) or next(hots) or next(colds) or next(found_due) then
        rows, opened, hots, colds, found_due = {}, {}, {}, {}, {}
    end
end

-- Have rows been opened that are to be written? What ends in the short way stands in no place where ready rows do: it
-- can be written with what is claimed behind it.
function is_open()
    return opened[1] ~= nil
end

end

-- ---- bytes ----------------------------------------------------------------------------------------------------------

local function set_extra(row, flag, letter, value)
    if value then
        call('HSET', EXTRA, row.id .. letter, value)
        set(row, flag, true)
    elseif has(row, flag) then
        call('HDEL', EXTRA, row.id .. letter)
        set(row, flag, false)
    end
end

-- The payload stands at the end of the cold string, or in extra when it is large. `bulk`: this one is.
local function set_payload(row, value, bulk)
    local cold, old = row.cold, 0
    if band(row.mask, MASK_BULK) ~= 0 then
        if not bulk then
            call('HDEL', EXTRA, row.id .. 'P')
        end
    else
        old = row.payload_bytes
    end
    local mask = band(row.mask, bnot(bor(MASK_PAYLOAD, MASK_BULK)))
    if value then
        mask = bor(mask, bulk and bor(MASK_PAYLOAD, MASK_BULK) or MASK_PAYLOAD)
    end
    if value and bulk then
        call('HSET', EXTRA, row.id .. 'P', value)
    end
    row.payload_bytes, row.mask = value and #value or 0, mask
    row.cold = sub(cold, 1, row.rest - 1) .. pack('>I2I4', mask, row.payload_bytes) ..
        sub(cold, row.rest + 6, #cold - old) .. (value and not bulk and value or '')
    row.new_cold = true
end

local function payload_of(row)
    if band(row.mask, MASK_PAYLOAD) == 0 then
        return false
    elseif band(row.mask, MASK_BULK) ~= 0 then
        return call('HGET', EXTRA, row.id .. 'P')
    end
    return sub(row.cold, #row.cold - row.payload_bytes + 1)
end

-- ---- answers --------------------------------------------------------------------------------------------------------

local answer, views -- the verdicts; the answer's strings, of which the first is made last
-- each call
answer, views = {}, { '' }
-- end of each call

local VIEW_PAYLOAD, VIEW_RESULT, VIEW_ERRORS, VIEW_PARENTS, VIEW_LOG, VIEW_EDGES = 1, 2, 4, 8, 16, 32
local parents_shown

-- In place of a row that is not there.
local function view_none()
    local n = #views
    views[n + 1], views[n + 2], views[n + 3], views[n + 4] = '\0\0', '', '', ''
end

-- A row as it is: its cold and hot strings, what is in extra as far as asked for, and one string that says what
-- follows.
local function view(row, asked, children)
    local info, extras = 0, {}
    local function extra(flag, letter, bit_of_it)
        if has(row, flag) then
            extras[#extras + 1] = call('HGET', EXTRA, row.id .. letter) or ''
            info = bor(info, bit_of_it)
        end
    end
    extra(F_PROGRESS, 'S', 1)
    if band(asked, VIEW_PAYLOAD) ~= 0 then
        if band(row.mask, MASK_BULK) ~= 0 then
            extras[#extras + 1] = call('HGET', EXTRA, row.id .. 'P') or ''
            info = bor(info, 2)
        end
        extra(F_DATA, 'D', 4)
    end
    if band(asked, VIEW_RESULT) ~= 0 then
        extra(F_RESULT, 'R', 8)
    end
    if band(asked, VIEW_ERRORS) ~= 0 then
        extra(F_ERRORS, 'E', 16)
    end
    if band(asked, VIEW_PARENTS) ~= 0 and has(row, F_PARENTS) then
        extras[#extras + 1] = parents_shown(row.id)
        info = bor(info, 32)
    end
    if band(asked, VIEW_EDGES) ~= 0 then
        extra(F_PARENTS, 'U', 128)
    end
    if children then
        extras[#extras + 1] = children
        info = bor(info, 64)
    end
    local logged = band(asked, VIEW_LOG) ~= 0 and has(row, F_LOG)
    if logged then
        local lines = call('LRANGE', SPACE .. 'log:' .. row.id, 0, -1)
        extras[#extras + 1] = char(#lines) .. concat(lines)
    end
    local n = #views
    views[n + 1] = char(info, (row.due and 1 or 0) + (logged and 2 or 0))
    views[n + 2], views[n + 3], views[n + 4] = row.id, row.cold, row.dirty and pack_hot(row) or row.hot or ''
    for i = 1, #extras do
        views[n + 4 + i] = extras[i]
    end
end
