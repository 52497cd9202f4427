-- SPDX-License-Identifier: MIT
-- Groups: who has which limits, and how many more of them may start.
--
-- limits    hash, 'g' .. group ('g' alone: of every group) and 'p' .. plan: i8 at once, i8 starts, i8 in so many ms,
--           i8 puts, i8 in so many ms, and the name of the plan; -1: none, -2: no value of its own
-- limited   sorted set of the same names with one score, so in order of bytes
-- slots     hash, 'g' .. group: its running rows; 'q', B length, queue, group: those in one queue

if with_groups then

local HUGE = 9007199254740992
local UNSET = -2
local SLOTS, LIMITS
local slots, moved -- as they are stored; by how much they change: by queue and group
local records, limits_known, any_own -- limits as they are stored; what holds for a group; has any one its own?
-- each call
if with_groups then
    SLOTS, LIMITS, slots, moved, records, limits_known = SPACE .. 'slots', SPACE .. 'limits', {}, {}, {}, {}
end
any_own = nil
G.rate_ms = nil -- until a rate that held something back lets one more start
-- end of each call

-- ---- what holds -----------------------------------------------------------------------------------------------------

local NOTHING = { at_once = UNSET, rate = UNSET, period = 0, quota = UNSET, quota_period = 0, plan = '' }

function G.parse_limits(s)
    if not s then
        return NOTHING
    end
    local l, at = {}, nil
    l.at_once, l.rate, l.period, l.quota, l.quota_period, at = cut('>i8i8i8i8i8', s)
    l.plan = sub(s, at)
    return l
end

function G.read_limits(name)
    if not records[name] then
        records[name] = G.parse_limits(call('HGET', LIMITS, name))
    end
    return records[name]
end

local function take_over(into, from)
    if into.at_once == UNSET then
        into.at_once = from.at_once
    end
    if into.rate == UNSET then
        into.rate, into.period = from.rate, from.period
    end
    if into.quota == UNSET then
        into.quota, into.quota_period = from.quota, from.quota_period
    end
end

-- Is there any record but that of every group?
local function has_own()
    if any_own == nil then
        any_own = call('HLEN', LIMITS) > (G.read_limits('g') == NOTHING and 0 or 1)
    end
    return any_own
end

-- Its own values, then those of its plan, then those of every group.
function G.limits_of(group)
    local known = limits_known[group] or (any_own == false and limits_known[''])
    if not with_limits then
        return NOTHING
    elseif known then
        return known
    end
    local own = has_own() and G.read_limits('g' .. group) or NOTHING
    if own == NOTHING and limits_known[''] then
        return limits_known['']
    end
    known = { at_once = UNSET, rate = UNSET, quota = UNSET }
    take_over(known, own)
    if own.plan ~= '' then
        take_over(known, G.read_limits('p' .. own.plan))
    end
    take_over(known, G.read_limits('g'))
    limits_known[own == NOTHING and '' or group] = known -- '': of those that have none of their own
    return known
end

-- ---- slots ----------------------------------------------------------------------------------------------------------

local function as_count(found)
    return found and tonumber(found) or 0
end

local function slot_in(queue, group)
    return 'q' .. char(#queue) .. queue .. group
end

local function stored(name)
    if not slots[name] then
        slots[name] = as_count(call('HGET', SLOTS, name))
    end
    return slots[name]
end

-- Running rows of a group in a queue, and in all of them.
local function running_in(queue, group)
    local of_queue = moved[queue]
    return math.max(stored(slot_in(queue, group)) + (of_queue and of_queue[group] or 0), 0)
end

function G.running(group)
    local running = stored('g' .. group)
    for _, of_queue in pairs(moved) do
        running = running + (of_queue[group] or 0)
    end
    return math.max(running, 0)
end

-- Somebody may wait for a slot that becomes free.
local function is_awaited(q, group)
    return (q.limited and q.group_at_once >= 0) or G.limits_of(group).at_once >= 0
end

local function moved_in(queue)
    local of_queue = moved[queue]
    if not of_queue then
        of_queue = {}
        moved[queue] = of_queue
    end
    return of_queue
end

function G.count_slot(q, group, by)
    local of_queue = moved_in(q.name)
    of_queue[group] = (of_queue[group] or 0) + by
    wake = wake or (by < 0 and is_awaited(q, group))
end

-- The same of a list of groups, '' of none: each entry is one row more, or less.
function G.count_slots(q, groups, by)
    local of_queue, awaited = moved_in(q.name), wake or by > 0
    if not awaited then
        G.read_records(groups)
    end
    for i = 1, #groups do
        local group = groups[i]
        if group ~= '' then
            of_queue[group] = (of_queue[group] or 0) + by
            awaited = awaited or is_awaited(q, group)
        end
    end
    wake = wake or (by < 0 and awaited)
end

-- ---- room -----------------------------------------------------------------------------------------------------------

local function at_most(room, limit, running)
    if limit < 0 or limit - running >= room then
        return room
    end
    return limit > running and limit - running or 0
end

local function rate_room(room, gauge, n, period)
    if n < 0 or room == 0 then
        return room
    end
    local left = n - G.gauge_used(gauge)
    if left > 0 then
        return math.min(left, room)
    end
    G.rate_ms = math.min(G.rate_ms or HUGE, G.gauge_wait(gauge, n, period))
    return 0
end

function G.queue_room(q)
    if not q.limited then
        return HUGE
    end
    return rate_room(at_most(HUGE, q.at_once, q[RUNNING]), 'starts:q' .. q.name, q.rate, q.period)
end

-- By how many of it run.
local function slots_left(q, group, limits)
    local room = HUGE
    if q.limited and q.group_at_once >= 0 then
        room = at_most(room, q.group_at_once, running_in(q.name, group))
    end
    return limits.at_once < 0 and room or at_most(room, limits.at_once, G.running(group))
end

function G.group_room(q, group)
    local limits = G.limits_of(group)
    return rate_room(slots_left(q, group, limits), 'starts:g' .. group, limits.rate, limits.period)
end

-- So many could start by how many run: how many of them may by these limits?
function G.rate_leaves(room, group, limits)
    return rate_room(room, 'starts:g' .. group, limits.rate, limits.period)
end

local function read_unknown(key, into, names, value)
    local unknown, n = {}, 0
    for i = 1, #names do
        if into[names[i]] == nil then
            n = n + 1
            unknown[n] = names[i]
        end
    end
    local found = many(key, unknown)
    for i = 1, n do
        into[unknown[i]] = value(found[i])
    end
end

-- What limits_of asks of these, all at once.
function G.read_records(groups)
    local names = {}
    if with_limits and has_own() then
        for i = 1, #groups do
            names[i] = 'g' .. groups[i]
        end
        read_unknown(LIMITS, records, names, G.parse_limits)
    end
end

-- The same of slots_left.
local function read_slots(q, groups, limits)
    local names, of_queue = {}, q.limited and q.group_at_once >= 0
    for i = 1, #groups do
        if limits[i].at_once >= 0 then
            names[#names + 1] = 'g' .. groups[i]
        end
        if of_queue then
            names[#names + 1] = slot_in(q.name, groups[i])
        end
    end
    if names[1] then
        read_unknown(SLOTS, slots, names, as_count)
    end
end

-- Of each of these how many more could start by how many of it run, and its limits.
function G.rooms(q, groups)
    local rooms, limits = {}, {}
    G.read_records(groups)
    for i = 1, #groups do
        limits[i] = G.limits_of(groups[i])
    end
    read_slots(q, groups, limits)
    for i = 1, #groups do
        rooms[i] = slots_left(q, groups[i], limits[i])
    end
    return rooms, limits
end

-- group, limits: nil for none.
function G.count_starts(q, group, limits, starts)
    if starts == 0 then
        return
    elseif q.limited and q.rate >= 0 then
        G.gauge_add('starts:q' .. q.name, q.period, starts)
    end
    if group and limits.rate >= 0 then
        G.gauge_add('starts:g' .. group, limits.period, starts)
    end
end

-- ---- puts -----------------------------------------------------------------------------------------------------------

-- 0: one more may be put.
function G.quota_wait(group)
    local limits = G.limits_of(group)
    return limits.quota >= 0 and G.gauge_wait('puts:g' .. group, limits.quota, limits.quota_period) or 0
end

function G.count_put(group)
    local limits = G.limits_of(group)
    if limits.quota >= 0 then
        G.gauge_add('puts:g' .. group, limits.quota_period, 1)
    end
end

-- ---- written at the end, once each ----------------------------------------------------------------------------------

-- Of a group in a queue the name and by how much it changed, then of each group the sum of them.
local function all_moved()
    local names, by, total, n = {}, {}, {}, 0
    for queue, of_queue in pairs(moved) do
        local prefix = slot_in(queue, '')
        for group, change in pairs(of_queue) do
            if change ~= 0 then
                n = n + 1
                names[n], by[n], total[group] = prefix .. group, change, (total[group] or 0) + change
            end
        end
    end
    for group, change in pairs(total) do
        n = n + 1
        names[n], by[n] = 'g' .. group, change
    end
    return names, by
end

function G.write_groups()
    local names, by = all_moved()
    local some, none = {}, {}
    read_unknown(SLOTS, slots, names, as_count)
    for i = 1, #names do
        local name = names[i]
        local running = slots[name] + by[i]
        if running > 0 then
            local n = #some
            some[n + 1], some[n + 2] = name, as_text(running)
        else
            none[#none + 1] = name
        end
    end
    in_pieces('HSET', SLOTS, some)
    in_pieces('HDEL', SLOTS, none)
    G.write_gauges()
end

end
