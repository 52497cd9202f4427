-- SPDX-License-Identifier: MIT
-- Looking for rows by a filter. There is no order by id in the store (it would cost a third of the memory of a job), so
-- a listing walks: over the rows that run, over those of a queue that ended, or over all; some at a time, so that no
-- other client waits long. The client keeps the smallest ids that match.
--
-- ARGV: B way (0 all, 1 running, 2 ended), cursor, I4 how many, the filter: I4 states as shown (0 all), i4 reason, i8
-- older, B queue given, B kind given, B group given, after (16); queue, kind, group. Answer: i8 now, the next cursor,
-- the ids that match, one behind the other.

local way, states, reason, older, some_queue, some_kind, some_group, after, number =
    byte(ARGV[1]), nil, nil, nil, nil, nil, nil, nil, nil
number, states, reason, older, some_queue, some_kind, some_group, after = cut('>I4I4i4c8BBBc16', ARGV[3])
local cursor, queue, kind, group = ARGV[2], ARGV[4], ARGV[5], ARGV[6]
older = take(older, 1)
now = read_clock(call('HGET', META, 'offset'))
local after_1, after_2, after_3 = cut('>I6I5I5', after)

-- Strings are compared by the server's locale, numbers are not.
local function is_after(id)
    local a, b, c = cut('>I6I5I5', id)
    if a ~= after_1 then
        return a > after_1
    elseif b ~= after_2 then
        return b > after_2
    end
    return c > after_3
end

local function group_of(row)
    return row.group or (band(row.mask, MASK_GROUP) ~= 0 and '' or nil)
end

local SHOWN_BLOCKED, SHOWN_SCHEDULED, SHOWN_READY, SHOWN_RUNNING = 1, 2, 3, 4 -- enum jobq_state
local function shown(row)
    if row.state == WAITING then
        return near(row.run_at) <= now and SHOWN_READY or SHOWN_SCHEDULED
    end
    return row.state == BLOCKED and SHOWN_BLOCKED or row.state + SHOWN_RUNNING - RUNNING
end

local function matches(row)
    if (some_queue == 1 and row.queue ~= queue) or (some_kind == 1 and row.kind ~= kind)
        or (some_group == 1 and group_of(row) ~= group) then
        return false
    elseif (states ~= 0 and band(states, 2 ^ shown(row)) == 0) or (reason ~= 0 and row.reason ~= reason) then
        return false
    end
    local since = is_ended(row.state) and row.finished_at or row.created
    return near(older) <= 0 or near(since) <= now - near(older)
end

-- Those of a batch stand in its record; it is shown what they have there.
local function add_members(ids, r)
    for _, id in ipairs(B.list(B.ids_of(r))) do
        ids[#ids + 1], hots[id] = id, r.hot
    end
end

local function with_members(entries)
    local ids = {}
    for i = 1, #entries do
        local mint = B.mint_in(entries[i])
        local batch = mint and B.running(mint)
        if batch then
            add_members(ids, batch)
        elseif not mint then
            ids[#ids + 1] = entries[i]
        end
    end
    return ids
end

local function page()
    if way == 1 then
        local from = tonumber(cursor)
        local entries = call('ZRANGE', CLOCK, from, from + number - 1)
        return #entries < number and '0' or tostring(from + number), with_members(entries)
    elseif way == 2 then
        local from, ids, longest = tonumber(cursor), {}, 0
        for state = COMPLETED, CANCELLED do
            local some = call('ZRANGE', SPACE .. 'ended:' .. state .. ':' .. queue, from, from + number - 1)
            longest = math.max(longest, #some)
            for i = 1, #some do
                ids[#ids + 1] = some[i]
            end
        end
        for _, r in ipairs(from == 0 and B.all_past(queue) or {}) do
            add_members(ids, r)
        end
        return longest < number and '0' or tostring(from + number), ids
    end
    local found, ids = call('HSCAN', COLD, cursor, 'COUNT', number), {}
    for i = 1, #found[2], 2 do
        if is_after(found[2][i]) then
            ids[#ids + 1] = found[2][i]
            colds[found[2][i]] = found[2][i + 1]
        end
    end
    return found[1], ids
end

local next_cursor, ids = page()
local hot_of, out = many(HOT, ids), {}
for i = 1, #ids do
    local id = ids[i]
    hots[id] = hot_of[i] or hots[id] or (colds[id] and B.hot_of(id, colds[id])) or false
    local row = id ~= '' and is_after(id) and open(id)
    if row and matches(row) then
        out[#out + 1] = ids[i]
    end
end
return { give(now), next_cursor, concat(out) }
