-- SPDX-License-Identifier: MIT
-- A lease for a batch. Plain rows that one want takes are not written one by one: what happened to them stands in one
-- record, and their own strings stay as they were put. A row is plain that is as it was put and has no key, no timeout,
-- no expiry and no payload apart; the rows of a record have one hot string, which it has for all of them and which
-- names no group.
--
--   batches        hash of those that run, by the random half of their token: the head of each
--   members        hash of the same: the ids of their rows, one behind the other
--   grouped        hash of those whose rows have groups: B length and the group of each, in the order of the ids, so
--                  that who ends them need not read them to count what runs of each group
--   past:QUEUE     list of those that have completed, in the order of their end: the head of each
--   members:QUEUE  list of the same: the ids
--
-- In the clock one that runs is one entry, B.mark and its half of the token, where all others have an id.
--
-- The head of a record: B how often rows have left it, B whether its ids are known to be in order (1) and whether rows
-- of it may have groups (2), I4 how many they are, I8 and I8 the least and the greatest arrival among them, and the hot
-- string.
--
-- So a row without a hot string waits as it was put, or is a member of a record. Whoever opens it sees it with the hot
-- string that it has there; where it may be changed it leaves the record first (leave.lua), and is as any other.

local BATCH_LEAST = 8 -- fewer rows than this are written by themselves
local PAST_MOST = 4096 -- members of records of a queue that have completed
local LEAVES_MOST = 8 -- more often than this rows do not leave by themselves: all of them do
local FINISHED_AT, LEASE_AT = 76, 84
local SORTED, GROUPED = 1, 2
B.mark = '\0b' -- before the ids of the same instant

do

local known -- the records of each queue
-- each call
known = {}
B.key, B.members, B.grouped = SPACE .. 'batches', SPACE .. 'members', SPACE .. 'grouped'
-- end of each call

local function read_head(s)
    local r, at = {}, nil
    r.leaves, r.flags, r.size, r.first, r.last, at = cut('>BBI4I8I8', s)
    r.grouped, r.hot = band(r.flags, GROUPED) ~= 0, sub(s, at)
    return r
end

function B.queue_in(hot)
    return sub(hot, QUEUE_AT + 1, QUEUE_AT + byte(hot, QUEUE_AT))
end

function B.token_of(r)
    return sub(r.hot, 12, 27)
end

-- The record of this half of a token, or nil.
function B.running(mint)
    local s = call('HGET', B.key, mint)
    local r = s and read_head(s) or nil
    if r then
        r.mint = mint
    end
    return r
end

local function entry_of(list, place)
    local text = as_text(place)
    return call('LRANGE', list, text, text)[1]
end

-- One that has completed: 0 the oldest, -1 the newest; it is there.
function B.past_at(queue, place)
    local s = entry_of(SPACE .. 'past:' .. queue, place)
    if not s then
        return nil
    end
    local r = read_head(s)
    r.queue, r.place, r.finished_at = queue, place, take(r.hot, FINISHED_AT)
    return r
end

function B.ids_of(r)
    r.ids = r.ids or (r.mint and call('HGET', B.members, r.mint)
        or entry_of(SPACE .. 'members:' .. r.queue, r.place))
    return r.ids
end

function B.all_past(queue)
    local heads, all = call('LRANGE', SPACE .. 'past:' .. queue, '0', '-1'), {}
    for i = 1, #heads do
        local r = read_head(heads[i])
        r.queue, r.place, all[i] = queue, i - 1, r
    end
    return all
end

-- What an entry of the clock says of a record: its half of a token; nil: it is a row.
function B.mint_in(entry)
    return #entry == 10 and sub(entry, 3) or nil
end

local AT_A_TIME = 250
local ID_FORMAT = ('c16'):rep(AT_A_TIME)

-- Ids that stand one behind the other, as a list.
function B.list(ids)
    local list, n = {}, 0
    for at = 1, #ids - 16 * AT_A_TIME + 1, 16 * AT_A_TIME do
        local some = { cut(ID_FORMAT, ids, at) }
        for i = 1, AT_A_TIME do
            list[n + i] = some[i]
        end
        n = n + AT_A_TIME
    end
    for at = 16 * n + 1, #ids, 16 do
        n = n + 1
        list[n] = sub(ids, at, at + 15)
    end
    return list
end

-- Groups that stand one behind the other, as a list; '': none.
local function group_list(s)
    local list, n, at, group = {}, 0, 1, nil
    while at <= #s do
        group, at = cut('Bc0', s, at)
        n = n + 1
        list[n] = group
    end
    return list
end

-- The groups of those that run, in the order of their ids; nil: none of them has one.
function B.groups_of(r)
    return r.grouped and group_list(call('HGET', B.grouped, r.mint)) or nil
end

-- ---- whose member is a row? -----------------------------------------------------------------------------------------

local function records_of(queue)
    local all = known[queue]
    if all then
        return all
    end
    all = B.all_past(queue)
    local heads = call('HGETALL', B.key)
    for i = 1, #heads, 2 do
        local r = read_head(heads[i + 1])
        if B.queue_in(r.hot) == queue then
            r.mint, all[#all + 1] = heads[i], r
        end
    end
    known[queue] = all
    return all
end

-- They have changed.
function B.forget()
    known = {}
end

local function stands_in(ids, id)
    local at = string.find(ids, id, 1, true)
    while at and at % 16 ~= 1 do
        at = string.find(ids, id, at + 1, true)
    end
    return at
end

-- When a record is asked for more than a few, all of its members are put in a table.
local LOOKS_FEW = 4
local function has_member(r, id)
    r.looks = (r.looks or 0) + 1
    if r.looks <= LOOKS_FEW then
        return stands_in(B.ids_of(r), id)
    elseif not r.by_id then
        r.by_id = {}
        for _, member in ipairs(B.list(B.ids_of(r))) do
            r.by_id[member] = true
        end
    end
    return r.by_id[id]
end

-- The record of a row, or nil. Most came later than all that was claimed: only heads are read for them.
local function record_of(queue, id, arrival)
    local all = records_of(queue)
    for i = 1, #all do
        local r = all[i]
        if arrival >= r.first and arrival <= r.last and has_member(r, id) then
            return r
        end
    end
    return nil
end

-- The queue of a row that may be a member.
local function plain_queue(cold)
    local parts = byte(cold)
    if parts > PART_RUN_AT then
        return nil
    end
    local mask, _, queue = cut('>I2I4Bc0', cold, parts == PART_RUN_AT and 26 or 18)
    return band(mask, MASK_KEY + MASK_BULK + MASK_TIMEOUT) == 0 and queue or nil
end

-- The hot string of a row that has none of its own, or nil.
function B.hot_of(id, cold)
    local queue = not lacks_some(LACKS_BATCHES) and plain_queue(cold)
    local r = queue and record_of(queue, id, (cut('>I8', cold, 10)))
    if r and B.leave then
        B.leave(r, id)
    end
    return r and r.hot
end

end
