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
local slots, slots_changed -- as they are stored; by how much they change
local records, limits_known -- limits as they are stored; what holds for a group
-- each call
if with_groups then
    SLOTS, LIMITS, slots, slots_changed, records, limits_known = SPACE .. 'slots', SPACE .. 'limits', {}, {}, {}, {}
end
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

-- Its own values, then those of its plan, then those of every group.
function G.limits_of(group)
    local known = limits_known[group]
    if not with_limits then
        return NOTHING
    elseif known then
        return known
    end
    local own = G.read_limits('g' .. group)
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
    return tonumber(found or 0)
end

function G.slot(name)
    if not slots[name] then
        slots[name] = as_count(call('HGET', SLOTS, name))
    end
    return math.max(slots[name] + (slots_changed[name] or 0), 0)
end

local function slot_in(queue, group)
    return 'q' .. char(#queue) .. queue .. group
end

-- Somebody may wait for a slot that becomes free.
local function is_awaited(q, group)
    return (q.limited and q.group_at_once >= 0) or G.limits_of(group).at_once >= 0
end

function G.count_slot(q, group, by)
    for _, name in ipairs({ 'g' .. group, slot_in(q.name, group) }) do
        slots_changed[name] = (slots_changed[name] or 0) + by
    end
    wake = wake or (by < 0 and is_awaited(q, group))
end

-- The same of a list of groups, '' of none: each entry is one row more, or less.
function G.count_slots(q, groups, by)
    if not wake and by < 0 and with_limits then
        G.read_groups(q, groups)
    end
    for i = 1, #groups do
        if groups[i] ~= '' then
            G.count_slot(q, groups[i], by)
        end
    end
end

-- ---- room -----------------------------------------------------------------------------------------------------------

local function at_most(room, limit, running)
    if limit < 0 then
        return room
    end
    return math.min(math.max(limit - running, 0), room)
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
local function slots_left(q, group)
    local limits, room = G.limits_of(group), HUGE
    if q.limited then
        room = at_most(room, q.group_at_once, q.group_at_once >= 0 and G.slot(slot_in(q.name, group)) or 0)
    end
    return at_most(room, limits.at_once, limits.at_once >= 0 and G.slot('g' .. group) or 0)
end

function G.has_slots(q, group)
    return slots_left(q, group) > 0
end

function G.group_room(q, group)
    local limits = G.limits_of(group)
    return rate_room(slots_left(q, group), 'starts:g' .. group, limits.rate, limits.period)
end

local function read_unknown(key, into, names, value)
    local unknown = {}
    for _, name in ipairs(names) do
        if into[name] == nil then
            unknown[#unknown + 1] = name
        end
    end
    for i, found in ipairs(many(key, unknown)) do
        into[unknown[i]] = value(found)
    end
end

-- What group_room asks of these, all at once.
function G.read_groups(q, groups)
    local names, running = {}, {}
    for i, group in ipairs(groups) do
        names[i] = 'g' .. group
    end
    if with_limits then
        read_unknown(LIMITS, records, names, G.parse_limits)
    end
    for i, group in ipairs(groups) do
        if G.limits_of(group).at_once >= 0 then
            running[#running + 1] = names[i]
        end
        if q.limited and q.group_at_once >= 0 then
            running[#running + 1] = slot_in(q.name, group)
        end
    end
    read_unknown(SLOTS, slots, running, as_count)
end

-- group: nil for none.
function G.count_starts(q, group, starts)
    if starts == 0 then
        return
    elseif q.limited and q.rate >= 0 then
        G.gauge_add('starts:q' .. q.name, q.period, starts)
    end
    local limits = group and G.limits_of(group)
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

function G.write_groups()
    local names, some, none = {}, {}, {}
    for name in pairs(slots_changed) do
        names[#names + 1] = name
    end
    read_unknown(SLOTS, slots, names, as_count)
    for name in pairs(slots_changed) do
        local running = G.slot(name)
        if running > 0 then
            some[#some + 1] = name
            some[#some + 1] = as_text(running)
        else
            none[#none + 1] = name
        end
    end
    in_pieces('HSET', SLOTS, some)
    in_pieces('HDEL', SLOTS, none)
    G.write_gauges()
end

end
