-- SPDX-License-Identifier: MIT
-- Groups in turn, and what limits leave of a queue.
--
-- A circle is read as far as it is needed, 64 groups at a time; what is asked of the groups that may have their turn
-- next is asked for all of them at once. What was read is kept until the end of the want: nothing is written meanwhile.

if has_part(HAS_WANT) and with_groups then

function G.read_circle(circle, from)
    circle.page, circle.at, circle.from = call('ZRANGEBYLEX', circle.key, from, '+', 'LIMIT', 0, LOOK), 1, from
end

-- ---- the rows of a group --------------------------------------------------------------------------------------------
--
-- Nearly always they are of one kind, and those that have their turn are fresh and nothing is special about them. Then
-- `members` are the first entries of their sorted set, one more than have a turn at once if there are so many; `starts`
-- of them are taken. What asks for more is served by sources, as rows without a group are.

local SHORT_MOST = 64
local PLAIN_GROUPED = 72 -- MASK_PAYLOAD + MASK_GROUP

local function open_sources(shelf, queue, kinds)
    for _, kind in ipairs(kinds) do
        local lane = shelf.name .. ':' .. kind
        if #want.kinds == 0 or want.is_wanted[kind] then
            local source = source_of(queue, 'rank:', lane, look_set, want.share + 1)
            source.shelf = shelf.name
            shelf[#shelf + 1] = source
        else
            shelf.others = shelf.others + call('ZCARD', SPACE .. 'rank:' .. lane)
        end
    end
    for i = 1, #shelf do
        shelf[i].only = #shelf == 1
        list_set(shelf[i])
    end
end

-- What was taken of it by `members` stays taken.
local function close_members(shelf, queue)
    if not shelf.members then
        return
    end
    shelf.members = nil
    open_sources(shelf, queue, shelf.kinds)
    local source = shelf[1]
    while #source < shelf.starts do
        list_set(source)
    end
    source.next, source.read = shelf.starts + 1, shelf.starts
    if shelf.starts > 0 then
        G.leave_shelf(shelf.name, queue, shelf.group)
    end
end

-- Some of them are read with those of other groups: `ids`.
local function open_shelf(queue, group, room, limits, kinds, ids)
    local name = G.shelf_of(queue, group)
    local shelf = { name = name, group = group, kinds = kinds, starts = 0, others = 0, room = room, limits = limits,
        one_kind = #kinds == 1, key = false, members = false }
    if shelf.one_kind and want.share <= SHORT_MOST and (#want.kinds == 0 or want.is_wanted[kinds[1]]) then
        local key, n = SPACE .. 'rank:' .. name .. ':' .. kinds[1], #ids
        local members = call('ZRANGE', key, '0', as_text(want.share))
        shelf.key, shelf.members = key, members
        for i = 1, math.min(#members, want.share) do
            ids[n + i] = sub(members[i], 9)
        end
        return shelf
    end
    open_sources(shelf, queue, kinds)
    for i = 1, #shelf do
        note_unread(shelf[i], want.share, ids)
    end
    return shelf
end

-- Rows of several groups that are claimed at once.
local run_ids, run_colds, run_groups, run_first, run_last
-- each call
run_ids, run_colds, run_groups, run_first, run_last = {}, {}, {}, EXACT, 0
-- end of each call

local function claim_taken(q)
    if run_ids[1] then
        claim_run(q, run_ids, run_colds, 1, #run_ids, '', nil, run_groups, run_first, run_last)
        run_ids, run_colds, run_groups, run_first, run_last = {}, {}, {}, EXACT, 0
    end
end

-- Of a fresh row with a group: the size of its payload, since when it could run, when it arrived; nil: it is not, or it
-- has something special.
local function plain_member(id)
    local cold = hots[id] == false and rows[id] == nil and colds[id]
    if not cold then
        return nil
    end
    local parts, created, arrival, mask, size = cut('>Bi8I8I2I4', cold)
    if parts == 0 and mask == PLAIN_GROUPED then
        return cold, size, created, arrival
    end
    local payload, timeout, since = plain_parts(cold)
    if payload and timeout == '' then
        return cold, payload, since, arrival
    end
end

-- At most so many from the front, as far as they are plain and there is room.
local function take_members(shelf, q, most)
    local members, group, count = shelf.members, shelf.group, 0
    for i = shelf.starts + 1, math.min(shelf.starts + most, #members, want.share) do
        local id = sub(members[i], 9)
        local cold, size, since, arrival = plain_member(id)
        if not cold or not has_room(size) then
            break
        end
        count_given(size)
        note_waited(q.name, since)
        local n = #run_ids + 1
        run_ids[n], run_colds[n], run_groups[n] = id, cold, group
        if arrival < run_first then
            run_first = arrival
        end
        if arrival > run_last then
            run_last = arrival
        end
        count = count + 1
    end
    if count > 0 then
        shelf.starts = shelf.starts + count
        G.take_front(shelf.key, count)
        if shelf.starts == #members then
            G.empty_shelf(q.name, group)
        end
    end
    return count
end

-- Rows without a group.
local function open_loose(queue)
    local shelf = { starts = 0, counted = 0 }
    for _, kind in ipairs(call('SMEMBERS', SPACE .. 'kinds:' .. queue)) do
        local lane = lane_of(queue, kind)
        local listed, ranked = G.list_size(lane), call('ZCARD', SPACE .. 'rank:' .. lane)
        local wanted = #want.kinds == 0 or want.is_wanted[kind]
        shelf.counted = shelf.counted + listed + ranked
        if wanted and listed > 0 then
            shelf[#shelf + 1] = source_of(queue, 'list:', lane, look_list)
        end
        if wanted and ranked > 0 then
            shelf[#shelf + 1] = source_of(queue, 'rank:', lane, look_set)
        end
    end
    return shelf
end

-- How many rows are there that were not claimed, as far as they were looked at?
local function seen_left(shelf)
    if shelf.members then
        return #shelf.members - shelf.starts
    end
    local left = (shelf.counted or shelf.others) - shelf.starts
    for i = 1, shelf.counted and 0 or #shelf do
        left = left + shelf[i].at
    end
    return left
end

local function has_left(shelf)
    for i = 1, shelf.counted and 0 or #shelf do
        while seen_left(shelf) <= 0 and not shelf[i].dry do
            look_set(shelf[i])
        end
    end
    return seen_left(shelf) > 0
end

function G.has_loose(circle)
    circle.shelves[''] = circle.shelves[''] or open_loose(circle.queue)
    return has_left(circle.shelves[''])
end

-- The group at hand, and those behind it that may have their turn in this want: their limits, what of them runs, and
-- their rows where there is room for some.
function G.look_ahead(circle, q)
    local groups, ids, last = {}, {}, math.min(#circle.page, circle.at + want.limit - rows_given - 1)
    for i = circle.at, last do
        local group = circle.page[i]
        if not circle.seen[group] then
            circle.seen[group], groups[#groups + 1] = true, group
        end
    end
    local rooms, limits = G.rooms(q, groups)
    local shelves, kinds_in = many(SPACE .. 'shelves:' .. q.name, groups), {} -- most of them say the same
    for i = 1, #groups do
        local s = rooms[i] > 0 and (shelves[i] or '')
        if s then
            kinds_in[s] = kinds_in[s] or G.list_kinds(s)
            circle.shelves[groups[i]] = open_shelf(q.name, groups[i], rooms[i], limits[i], kinds_in[s], ids)
        end
    end
    read_ready(ids)
end

-- The first group not less than (after: greater than) this one that has rows left; nil: none up to the end. The circle
-- is read from this one on, so no other is less.
function G.circle_from(circle, name, after)
    while true do
        local group = circle.page[circle.at]
        if not group and #circle.page < LOOK then
            return nil
        elseif not group then
            G.read_circle(circle, '(' .. circle.page[LOOK])
        else
            local shelf = circle.shelves[group]
            if not (after and group == name) and not (shelf and not has_left(shelf)) then
                return group
            end
            circle.at = circle.at + 1
        end
    end
end

function G.next_group(circle, turn)
    local after, group = turn.given == 0, nil
    if not circle.page then
        G.read_circle(circle, turn.group and (after and '(' or '[') .. turn.group or '-')
    end
    if turn.group then
        group = G.circle_from(circle, turn.group, after)
        if group and (turn.group ~= '' or after) then
            return group
        end
    end
    if circle.from == '-' then
        circle.at = 1
    else
        G.read_circle(circle, '-')
    end
    return G.has_loose(circle) and '' or G.circle_from(circle, '', false)
end

-- By sources. Those that were taken before are claimed before.
local function take_by_sources(q, shelf, most)
    claim_taken(q)
    close_members(shelf, q.name)
    local before = #claimed
    local count = take_some(shelf, most)
    local starts = #claimed - before
    shelf.starts = shelf.starts + starts
    if shelf.name then
        G.keep_shelf(shelf.name, shelf.one_kind and seen_left(shelf) > 0)
    end
    return count, starts
end

-- How many were given.
local function take_turn(q, shelf, most)
    local count = shelf.members and take_members(shelf, q, most) or 0
    local starts = count
    if count < most and not full and not (shelf.members and seen_left(shelf) == 0) then
        local more, more_starts = take_by_sources(q, shelf, most - count)
        count, starts = count + more, starts + more_starts
    end
    if shelf.name then
        shelf.room = shelf.room - starts
    end
    G.count_starts(q, shelf.group, shelf.limits, starts)
    return count
end

-- How many of this group may start.
local function room_of(group, shelf, room)
    if group == '' then
        return room
    elseif not shelf then
        return 0
    end
    return math.min(room, shelf.limits.rate < 0 and shelf.room or G.rate_leaves(shelf.room, group, shelf.limits))
end

function G.take_turns(q, turn)
    local circle, room = { queue = q.name, key = SPACE .. 'circle:' .. q.name, shelves = {}, seen = {} },
        G.queue_room(q)
    while not full and rows_given < want.limit and room > 0 do
        local group = G.next_group(circle, turn)
        local most, more = 0, false
        if group then
            most, more = G.turn_look(turn, group, want.share)
        end
        if most > 0 and group ~= '' and not circle.seen[group] then
            G.look_ahead(circle, q)
        end
        want.more = want.more or more == true
        if most == 0 then
            break
        end
        local shelf = circle.shelves[group]
        local can = math.min(most, room_of(group, shelf, room))
        local count = can > 0 and take_turn(q, shelf, can) or 0
        room = room - count
        G.turn_gave(turn, group, count, want.share, full or room == 0)
    end
    claim_taken(q)
    clean_lists(circle.shelves[''] or {})
end

-- ---- limits of a queue without groups in turn -----------------------------------------------------------------------

function G.is_there(queue, alone)
    for _, kind in ipairs(call('SMEMBERS', SPACE .. 'kinds:' .. queue)) do
        local lane = lane_of(queue, kind)
        if call('ZCARD', SPACE .. (alone and 'alone:' or 'rank:') .. lane) + (alone and 0 or G.list_size(lane)) > 0 then
            return true
        end
    end
    return false
end

-- How many may start; 0 where there is nothing that could.
function G.limited_room(q)
    return G.is_there(q.name, want.mode == ALONE) and G.queue_room(q) or 0
end

function G.is_held_back(q, row)
    return row.group and G.group_room(q, row.group) == 0
end

end
