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
    return pack('>BBI4I8I8', r.leaves, r.flags, r.size, r.first, r.last) .. r.hot
end

-- ---- those that run -------------------------------------------------------------------------------------------------

-- Of each its length, then the group.
local function packed_groups(groups)
    for i = 1, #groups do
        groups[i] = char(#groups[i]) .. groups[i]
    end
    return concat(groups)
end

-- Plain rows are claimed: way.ids, which arrived from way.first to way.last, of way.groups, if any of them has one.
-- False: there is one of this half of a token.
function B.claim(mint, way)
    local r = { leaves = 0, flags = way.groups and GROUPED or 0, size = #way.ids, first = way.first, last = way.last,
        hot = way.hot }
    if call('HSETNX', B.key, mint, head(r)) == 0 then
        return false
    end
    call('HSET', B.members, mint, concat(way.ids))
    if way.groups then
        call('HSET', B.grouped, mint, packed_groups(way.groups))
    end
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

local function write_running(r, groups)
    if r.size > 0 then
        call('HSET', B.key, r.mint, head(r))
        call('HSET', B.members, r.mint, r.ids)
    else
        call('HDEL', B.key, r.mint)
        call('HDEL', B.members, r.mint)
        call('ZREM', CLOCK, B.mark .. r.mint)
    end
    if r.grouped and r.size > 0 then
        call('HSET', B.grouped, r.mint, packed_groups(groups))
    elseif r.grouped then
        call('HDEL', B.grouped, r.mint)
    end
end

-- ---- those that have completed --------------------------------------------------------------------------------------

-- Some of a record, which have this hot string then.
function B.complete(queue, hot, ids, number, from)
    call('RPUSH', SPACE .. 'past:' .. queue, head({ leaves = 0, flags = from.grouped and GROUPED or 0, size = number,
        first = from.first, last = from.last, hot = hot }))
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

-- What is left of it; `groups`: of those that run, if they have any.
function B.write_rest(r, ids, groups)
    r.ids, r.size = ids, #ids / 16
    if r.mint then
        write_running(r, groups)
    else
        write_past(r)
    end
    B.forget()
end

-- ---- leaving --------------------------------------------------------------------------------------------------------

-- The hot string of a row by itself names its group.
function B.hot_with_group(hot, group)
    local at = QUEUE_AT + byte(hot, QUEUE_AT)
    return sub(hot, 1, 3) .. pack('>I4', bor(cut('>I4', hot, 4), F_GROUPED)) .. sub(hot, 8, at) .. char(#group) ..
        group .. sub(hot, at + 1)
end

local function group_in_cold(cold)
    local row = {}
    read_cold(row, cold)
    return row.group
end

local function note_hots(r, ids)
    local n, cold_of = #new_hot, r.grouped and many(COLD, ids)
    for i = 1, #ids do
        local group = cold_of and group_in_cold(cold_of[i])
        new_hot[n + 1], new_hot[n + 2], n = ids[i], group and B.hot_with_group(r.hot, group) or r.hot, n + 2
    end
end

-- As rows that run, or as rows that have completed.
local function write_rows(r, ids)
    local queue = B.queue_in(r.hot)
    note_hots(r, ids)
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

-- Which of these are members: `members`, in the order of the record, and `mine` as a set; `rest`: the ids of the other
-- members. Of a record that runs and has groups those of both: `groups`, `rest_groups`.
function B.part(r, ids)
    local members, mine, rest, groups = {}, {}, {}, r.mint and B.groups_of(r)
    local part = { members = members, mine = mine, groups = groups and {}, rest_groups = groups and {} }
    for i = 1, #ids do
        mine[ids[i]] = false
    end
    for i, id in ipairs(B.list(B.ids_of(r))) do
        local is_other = mine[id] == nil
        if is_other then
            rest[#rest + 1] = id
        else
            members[#members + 1], mine[id] = id, true
        end
        if groups then
            table.insert(is_other and part.rest_groups or part.groups, groups[i])
        end
    end
    part.rest = concat(rest)
    return part
end

function B.leave_all(r)
    local ids = B.list(B.ids_of(r))
    B.write_rest(r, '')
    write_rows(r, ids)
end

-- The members of this part do; all of them where that happens often.
function B.leave_some(r, part)
    if r.leaves >= LEAVES_MOST or #part.rest < 16 * BATCH_LEAST then
        B.leave_all(r)
        return
    end
    r.leaves = r.leaves + 1
    B.write_rest(r, part.rest, part.rest_groups)
    write_rows(r, part.members)
end

function B.leave(r, id)
    if leaving then
        B.leave_some(r, B.part(r, { id }))
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

local NUMBERS, NUMBERS_AT = { '>I6', '>I5', '>I5' }, { 1, 7, 12 }

-- By one of their three numbers, those that have it in common by the next. Strings are compared by the server's locale,
-- numbers are not; and numbers alone are sorted without a function that compares them.
local function sort_by(number, list)
    local form, at, numbers, ids_of = NUMBERS[number], NUMBERS_AT[number], {}, {}
    for i = 1, #list do
        local key = cut(form, list[i], at)
        local same = ids_of[key]
        if not same then
            numbers[#numbers + 1], ids_of[key] = key, { list[i] }
        else
            same[#same + 1] = list[i]
        end
    end
    table.sort(numbers)
    local out, n = {}, 0
    for i = 1, #numbers do
        local same = ids_of[numbers[i]]
        if same[2] and number < 3 then
            same = sort_by(number + 1, same)
        end
        for k = 1, #same do
            n = n + 1
            out[n] = same[k]
        end
    end
    return out
end

local function sorted(ids)
    return concat(sort_by(1, B.list(ids)))
end

-- The first members of the oldest record go with it, or with what they leave of it: they are no more.
function B.take_first(r, number)
    local ids = B.ids_of(r)
    if number < r.size and band(r.flags, SORTED) == 0 then
        ids, r.flags = is_sorted(ids) and ids or sorted(ids), r.flags + SORTED
    end
    B.write_rest(r, sub(ids, 16 * number + 1))
    return B.list(sub(ids, 1, 16 * number))
end

end
