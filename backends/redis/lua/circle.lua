-- SPDX-License-Identifier: MIT
-- Groups in turn, and what limits leave of a queue.
--
-- A circle is read as far as it is needed, 64 groups at a time; what is asked of the groups that may have their turn
-- next is asked for all of them at once. What was read is kept until the end of the want: nothing is written meanwhile.

if has_part(HAS_WANT) and with_groups then

function G.read_circle(circle, from)
    circle.page, circle.at, circle.from = call('ZRANGEBYLEX', circle.key, from, '+', 'LIMIT', 0, LOOK), 1, from
end

-- The rows of a group, of which some are read already.
local function open_shelf(queue, group, ids)
    local shelf = { name = G.shelf_of(queue, group), starts = 0, others = 0 }
    local kinds = call('SMEMBERS', SPACE .. 'kinds;' .. shelf.name)
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
        note_unread(shelf[i], want.share, ids)
    end
    shelf.one_kind = #kinds == 1
    return shelf
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
    local groups, ids, last = {}, {}, math.min(#circle.page, circle.at + want.limit - #given - 1)
    for i = circle.at, last do
        local group = circle.page[i]
        if not circle.seen[group] then
            circle.seen[group], groups[#groups + 1] = true, group
        end
    end
    G.read_groups(q, groups)
    for _, group in ipairs(groups) do
        if G.has_slots(q, group) then
            circle.shelves[group] = open_shelf(q.name, group, ids)
        end
    end
    read_ready(ids)
end

-- The first group not less than (after: greater than) this one that has rows left; nil: none up to the end.
function G.circle_from(circle, name, after)
    while true do
        local group = circle.page[circle.at]
        if not group and #circle.page < LOOK then
            return nil
        elseif not group then
            G.read_circle(circle, '(' .. circle.page[LOOK])
        else
            local shelf, order = circle.shelves[group], G.bytes_order(group, name)
            if (order > 0 or (order == 0 and not after)) and not (shelf and not has_left(shelf)) then
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

function G.take_turn(circle, q, group, most)
    local before, shelf = #claimed, circle.shelves[group]
    local count = take_some(shelf, most)
    local starts = #claimed - before
    shelf.starts = shelf.starts + starts
    if shelf.name then
        G.keep_shelf(shelf.name, shelf.one_kind and seen_left(shelf) > 0)
    end
    G.count_starts(q, group ~= '' and group or nil, starts)
    return count
end

function G.take_turns(q, turn)
    local circle, room = { queue = q.name, key = SPACE .. 'circle:' .. q.name, shelves = {}, seen = {} },
        G.queue_room(q)
    while not full and #given < want.limit and room > 0 do
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
        local can = math.min(most, room, group ~= '' and G.group_room(q, group) or room)
        local count = can > 0 and G.take_turn(circle, q, group, can) or 0
        room = room - count
        G.turn_gave(turn, group, count, want.share, full or room == 0)
    end
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
