-- SPDX-License-Identifier: MIT
-- Records of batches change, and rows leave them: then they are written as they would have been without a record.

do

local leaving = false -- a script that only reads, or answers again, does not write
-- each call
leaving = false
-- end of each call

-- From here on this script changes rows.
function B.begin()
    leaving = true
end

local function head(r)
    return pack('>BBI4I8I8', r.leaves, r.sorted, r.size, r.first, r.last) .. r.hot
end

-- ---- those that run -------------------------------------------------------------------------------------------------

-- Plain rows are claimed: way.ids, which arrived from way.first to way.last. False: there is one of this half of a
-- token.
function B.claim(mint, way)
    local r = { leaves = 0, sorted = 0, size = #way.ids, first = way.first, last = way.last, hot = way.hot }
    if call('HSETNX', B.key, mint, head(r)) == 0 then
        return false
    end
    call('HSET', B.members, mint, concat(way.ids))
    call('ZADD', CLOCK, as_text(way.lease), B.mark .. mint)
    has_met(LACKS_BATCHES)
    B.forget()
    return true
end

-- All of it has this lease now.
function B.extend(r, lease)
    r.hot = sub(r.hot, 1, LEASE_AT - 1) .. give(lease) .. sub(r.hot, LEASE_AT + 8)
    call('HSET', B.key, r.mint, head(r))
    call('ZADD', CLOCK, as_text(lease), B.mark .. r.mint)
    B.forget()
end

local function write_running(r)
    if r.size > 0 then
        call('HSET', B.key, r.mint, head(r))
        call('HSET', B.members, r.mint, r.ids)
    else
        call('HDEL', B.key, r.mint)
        call('HDEL', B.members, r.mint)
        call('ZREM', CLOCK, B.mark .. r.mint)
    end
end

-- ---- those that have completed --------------------------------------------------------------------------------------

-- Some of a record, which have this hot string then.
function B.complete(queue, hot, ids, number, from)
    call('RPUSH', SPACE .. 'past:' .. queue, head({ leaves = 0, sorted = 0, size = number, first = from.first,
        last = from.last, hot = hot }))
    call('RPUSH', SPACE .. 'members:' .. queue, ids)
    B.forget()
end

local function write_entry(list, place, s)
    if s then
        call('LSET', list, as_text(place), s)
    elseif place == 0 then
        call('LPOP', list)
    else
        call('LSET', list, as_text(place), '')
        call('LREM', list, '1', '')
    end
end

local function write_past(r)
    local some = r.size > 0
    write_entry(SPACE .. 'past:' .. r.queue, r.place, some and head(r))
    write_entry(SPACE .. 'members:' .. r.queue, r.place, some and r.ids)
end

-- What is left of it.
function B.write_rest(r, ids)
    r.ids, r.size = ids, #ids / 16
    if r.mint then
        write_running(r)
    else
        write_past(r)
    end
    B.forget()
end

-- ---- leaving --------------------------------------------------------------------------------------------------------

-- As rows that run, or as rows that have completed.
local function write_rows(r, ids)
    local n, queue = #new_hot, B.queue_in(r.hot)
    for i = 1, #ids do
        new_hot[n + 1], new_hot[n + 2], n = ids[i], r.hot, n + 2
    end
    if r.mint then
        zadd_all(CLOCK, as_text(take(r.hot, LEASE_AT)), ids, 1, #ids)
        hold_all(held_in, B.token_of(r), ids, 1, #ids)
    else
        local q = queue_of(queue)
        q[PAST], q.dirty = q[PAST] - #ids, true
        zadd_all(SPACE .. 'ended:4:' .. queue, as_text(take(r.hot, FINISHED_AT)), ids, 1, #ids)
    end
    write_lists()
end

-- Which of these are members, in the order of the record, and as a set; the ids of the other members.
function B.part(r, ids)
    local members, mine, rest = {}, {}, {}
    for i = 1, #ids do
        mine[ids[i]] = false
    end
    for _, id in ipairs(B.list(B.ids_of(r))) do
        if mine[id] == nil then
            rest[#rest + 1] = id
        else
            members[#members + 1], mine[id] = id, true
        end
    end
    return members, mine, concat(rest)
end

function B.leave_all(r)
    local ids = B.list(B.ids_of(r))
    B.write_rest(r, '')
    write_rows(r, ids)
end

-- These members do; all of them where that happens often.
function B.leave_some(r, members, rest)
    if r.leaves >= LEAVES_MOST or #rest < 16 * BATCH_LEAST then
        B.leave_all(r)
        return
    end
    r.leaves = r.leaves + 1
    B.write_rest(r, rest)
    write_rows(r, members)
end

function B.leave(r, id)
    if leaving then
        local members, _, rest = B.part(r, { id })
        B.leave_some(r, members, rest)
    end
end

-- Of the oldest ones of a queue all rows leave, until no more than so many members are left.
function B.settle_past(q, most)
    while q[PAST] > most do
        B.leave_all(B.past_at(q.name, 0))
    end
end

-- No queue keeps more than so many; and where jobs end by themselves, or few at a time, there is a record less each
-- time: who works so does not pay for looking past them for long.
function B.settle_some()
    for _, q in pairs(queues) do
        if q.ended ~= 0 and q[PAST] > 0 then
            B.settle_past(q, q.met_past and PAST_MOST or math.min(q[PAST] - 1, PAST_MOST))
        end
    end
end

-- ---- in the order of ids --------------------------------------------------------------------------------------------

local function is_sorted(ids)
    local a, b, c = cut('>I6I5I5', ids)
    for at = 17, #ids, 16 do
        local x, y, z = cut('>I6I5I5', ids, at)
        if x < a or (x == a and (y < b or (y == b and z < c))) then
            return false
        end
        a, b, c = x, y, z
    end
    return true
end

local function by_number(a, b)
    if a[1] ~= b[1] then
        return a[1] < b[1]
    elseif a[2] ~= b[2] then
        return a[2] < b[2]
    end
    return a[3] < b[3]
end

-- Strings are compared by the server's locale, numbers are not.
local function sorted(ids)
    local keys, list = {}, B.list(ids)
    for i = 1, #list do
        local a, b, c = cut('>I6I5I5', list[i])
        keys[i] = { a, b, c, list[i] }
    end
    table.sort(keys, by_number)
    for i = 1, #keys do
        list[i] = keys[i][4]
    end
    return concat(list)
end

-- The first members of the oldest record go with it, or with what they leave of it: they are no more.
function B.take_first(r, number)
    local ids = B.ids_of(r)
    if number < r.size and r.sorted == 0 then
        ids, r.sorted = is_sorted(ids) and ids or sorted(ids), 1
    end
    B.write_rest(r, sub(ids, 16 * number + 1))
    return B.list(sub(ids, 1, 16 * number))
end

end
