-- SPDX-License-Identifier: MIT
-- Sources of ready rows: a list or a sorted set of a lane. Of several the smallest rank goes first, then arrival.

local look_list, look_set, list_set, note_unread, read_ready, first_of, take_some, clean_lists
local source_of, sources_of, kinds_of
if has_part(HAS_WANT) then

local LOOK, BURIED_MOST = 64, 10000

-- Entries of a list that were left behind by rows that went another way.
local function is_buried(source, id)
    local tomb = SPACE .. 'tomb:' .. source.lane
    if not source.tombs then
        source.tombs = call('EXISTS', tomb) == 1 and {} or false
    end
    if not source.tombs then
        return false
    end
    local left = source.tombs[id]
    if left == nil then
        left = tonumber(call('HGET', tomb, id) or 0)
    end
    source.tombs[id] = math.max(left - 1, 0)
    return left > 0
end

function look_list(source)
    local ids = call('LRANGE', source.key, source.at, source.at + LOOK - 1)
    local cold_of = many(COLD, ids)
    for i = 1, #ids do
        local entry = { id = ids[i], listed = true }
        if is_buried(source, ids[i]) or not cold_of[i] then
            entry.dead = true
        else
            entry.cold, entry.rank, entry.arrival = cold_of[i], cut('>i8I8', cold_of[i], 2)
        end
        source[#source + 1] = entry
    end
    source.at = source.at + #ids
    source.dry = #ids < LOOK
end

-- About as many as may be taken, then more. Ranks are asked for when there is another source to compare with.
function list_set(source)
    local from, each = source.at, source.only and 1 or 2
    local first, last = as_text(from), as_text(from + source.step - 1)
    local page = source.only and call('ZRANGE', source.key, first, last)
        or call('ZRANGE', source.key, first, last, 'WITHSCORES')
    for i = 1, #page, each do
        local member = page[i]
        source[#source + 1] = { id = sub(member, 9), member = member, rank = tonumber(page[i + each - 1]),
            arrival = (cut('>I8', member)) }
    end
    source.at = from + #page / each
    source.dry = #page < each * source.step
    source.step = math.min(4 * source.step, LOOK)
end

-- The strings of these rows, which stand among the ready ones.
function read_ready(ids)
    local cold_of, hot_of = many(COLD, ids), many(HOT, ids)
    for i = 1, #ids do
        colds[ids[i]], hots[ids[i]], found_due[ids[i]] = cold_of[i], hot_of[i], true
    end
end

-- Those of its entries up to this one that have not been read are put on the list.
function note_unread(source, most, ids)
    for i = (source.read or 0) + 1, math.min(most, #source) do
        if rows[source[i].id] == nil then
            ids[#ids + 1] = source[i].id
        end
        source.read = i
    end
    return ids
end

function look_set(source)
    list_set(source)
    read_ready(note_unread(source, #source, {}))
end

-- The first entry that is alive, or nil.
local function head_of(source)
    while true do
        local entry = source[source.next]
        if not entry and source.dry then
            return nil
        elseif not entry then
            source.look(source)
        elseif entry.dead then
            source.passed = source.passed + 1
            source.next = source.next + 1
            if source.passed > BURIED_MOST then
                want.more = true
                return nil
            end
        else
            return entry
        end
    end
end

function first_of(sources)
    local best, from
    for _, source in ipairs(sources) do
        local entry = head_of(source)
        if entry and (not best or entry.rank < best.rank
            or (entry.rank == best.rank and entry.arrival < best.arrival)) then
            best, from = entry, source
        end
    end
    return best, from
end

-- Take the entries that were passed off the front of a list, and put back those that stay.
local function clean_list(source)
    local passed = source.next - 1
    if not source.listed or passed == 0 then
        return
    end
    call('LPOP', source.key, passed)
    local tomb = SPACE .. 'tomb:' .. source.lane
    for i = passed, 1, -1 do
        local entry = source[i]
        if entry.stays then
            call('LPUSH', source.key, entry.id)
        elseif entry.dead and call('HINCRBY', tomb, entry.id, -1) <= 0 then
            call('HDEL', tomb, entry.id)
        end
    end
end

-- Was it never changed since it was put? Then its cold string.
local function fresh_cold(entry)
    local id = entry.id
    if rows[id] ~= nil then
        return nil
    elseif entry.listed then
        return (lacks_some(LACKS_EDITED) or not call('HGET', HOT, id)) and entry.cold
    end
    return hots[id] == false and colds[id]
end

-- A row that was never claimed and has nothing special about it. 1 claimed, 0 there is no room, nil: it has.
local function take_fresh(source, entry)
    local id, cold, q = entry.id, fresh_cold(entry), source.queue
    if not cold then
        return nil
    end
    local size, timeout, since, group = plain_parts(cold)
    if not size then
        return nil
    elseif not has_room(size) then
        return 0
    end
    if entry.member then
        zrem(source.key, entry.member)
    end
    if group then
        G.leave_shelf(source.shelf, q.name, group)
    end
    claim_fresh(q, id, cold, size, timeout, since, group)
    return 1
end

-- Any other. 1 given, 0 there is no room, nil: it is not there.
local function take_row(entry)
    local row = open(entry.id)
    if not row then
        return nil
    elseif not has_room(row.payload_bytes) then
        return 0
    end
    row.popped = entry.listed
    entry.stays = not claim_or_give(row)
    return 1
end

-- At most so many rows by rank. Returns how many were given, claimed or not.
function take_some(sources, most)
    local count = 0
    while not full and count < most do
        local entry, source = first_of(sources)
        if not entry then
            break
        elseif entry.member and source.next > source.read then
            read_ready(note_unread(source, #source, {}))
        end
        local taken = take_fresh(source, entry) or take_row(entry)
        if taken == 0 then
            break
        end
        source.next = source.next + 1
        count = count + (taken or 0)
    end
    return count
end

function clean_lists(sources)
    for _, source in ipairs(sources) do
        clean_list(source)
    end
end

-- ---- those of a queue -----------------------------------------------------------------------------------------------

function source_of(queue, prefix, lane, look, most)
    return { queue = queue_of(queue), key = SPACE .. prefix .. lane, lane = lane, look = look, at = 0, next = 1,
        passed = 0, listed = look == look_list, step = math.min(math.max(most or want.limit - #given, 2), LOOK) }
end

function kinds_of(queue)
    return #want.kinds > 0 and want.kinds or call('SMEMBERS', SPACE .. 'kinds:' .. queue)
end

-- Of rows without a group.
function sources_of(queue, kinds)
    local sources, plain = {}, true
    for _, kind in ipairs(kinds) do
        local lane = lane_of(queue, kind)
        local list = call('EXISTS', SPACE .. 'list:' .. lane)
        local others = call('EXISTS', SPACE .. 'rank:' .. lane, SPACE .. 'tomb:' .. lane)
        if list == 1 then
            sources[#sources + 1] = source_of(queue, 'list:', lane, look_list)
        end
        if others > 0 then
            plain = false
            sources[#sources + 1] = source_of(queue, 'rank:', lane, look_set)
        elseif list == 0 and call('EXISTS', SPACE .. 'alone:' .. lane) == 0 then
            call('SREM', SPACE .. 'kinds:' .. queue, kind)
        end
    end
    return sources, plain
end

end
