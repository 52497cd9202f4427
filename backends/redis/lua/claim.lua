-- SPDX-License-Identifier: MIT
-- What a want takes: a token for all of its rows, the room that is left, and claiming: of a row that was opened, and of
-- fresh rows, which are only strings. Those of a list that is the only source are claimed as they come out of it.

local want, token, fence, given, claimed -- `token` once the want has given a row
local full, bytes_left -- there is no room for the next row; for so many bytes of payload there is
local rows_given
local plain_parts, hot_of_fresh, make_token, draw_token, has_room, give_row, claim_or_give, claim_fresh, take_from_list
local write_claims, claim_run, count_given
if has_part(HAS_WANT) then

local O_LEASE, O_TIMEOUT, O_CALLBACK, O_EXPIRED, O_EDGES = 1, 2, 3, 4, 5 -- why a row is overdue

-- each call
given, claimed = {}, {} -- what the answer says of each row; ids that were claimed
want, token, fence, full, rows_given, bytes_left = nil, nil, nil, false, 0, 0
-- end of each call

-- One token for all rows of the want: the caller's random half and a fence that rises, also across a wipe or a
-- failover.
function make_token(mint)
    fence = math.max(last_fence + 1, math.min(micros, EXACT / 2))
    token = mint .. pack('>I8', fence)
end

function draw_token()
    if not token then
        make_token(want.mint)
    end
end

-- Room for one more row of this size?
function has_room(size)
    if rows_given >= want.limit then
        full = true
    elseif rows_given > 0 and size > bytes_left then
        full, want.more = true, true
    end
    return not full
end

function count_given(size)
    rows_given, bytes_left = rows_given + 1, size < bytes_left and bytes_left - size or 0
end

function give_row(row, overdue, children)
    draw_token()
    count_given(row.payload_bytes)
    given[#given + 1] = char(overdue, 0)
    view(row, VIEW_PAYLOAD, children)
end

-- ---- claiming -------------------------------------------------------------------------------------------------------

local function claim_row(row)
    draw_token()
    local key_rule = row.key_at and own_key(row)
    count(row, row.state, RUNNING)
    row.state, row.reason, row.due, row.dirty = RUNNING, 0, false, true
    row.attempt = add(row.attempt, 1)
    row.token, row.outcome, row.worker = token, 0, want.worker
    row.flags = band(row.flags, bnot(F_LISTED + F_RESUMED + F_SWEPT_LEASE + F_SWEPT_TIMEOUT))
    set(row, F_RAN_ALONE, want.only and #claimed == 0)
    note_waited(row.queue, less(row.created, row.run_at) and row.run_at or row.created)
    row.started_at = now
    row.stop_at = near(row.timeout) > 0 and add(now, row.timeout) or 0
    row.lease_until = lease_end(0, row.stop_at, want.lease_ms)
    set_extra(row, F_PROGRESS, 'S', nil)
    if events then
        events.tell(row, RUNNING)
    end
    if key_rule and key_rule ~= HOLD_LIVE then
        settle_key(row, RUNNING)
    end
    claimed[#claimed + 1] = row.id
end

function claim_or_give(row)
    if row.expires_at ~= 0 and near(row.expires_at) <= now then
        give_row(row, O_EXPIRED)
        return false
    end
    claim_row(row)
    give_row(row, 0)
    return true
end

do

local ways, last_way
local one_id, one_cold -- lists of one
-- each call
ways, last_way, one_id, one_cold = {}, nil, {}, {}
-- end of each call

-- The hot string of a fresh row without a group that is claimed, and when its lease ends.
function hot_of_fresh(queue, timeout, only, lease_ms, worker)
    local ms = timeout ~= '' and take(timeout, 1) or 0
    local stop_at = near(ms) > 0 and add(now, ms) or 0
    local lease_until = lease_end(0, stop_at, lease_ms)
    return pack_claimed(only and F_RAN_ALONE or 0, token, lease_until, stop_at, pack_names(queue, nil, worker)),
        near(lease_until)
end

-- How fresh rows of this queue are claimed, by timeout (eight bytes or none). `groups`: of each row, '' where it has
-- none; nil: none has one. Whoever is shown a row knows its group from its cold string.
local function way_of(queue, timeout)
    local name = #timeout .. timeout .. queue
    local way = ways[name]
    if not way then
        local hot, lease = hot_of_fresh(queue, timeout, want.only, want.lease_ms, want.worker)
        way = { hot = hot, lease = lease, ids = {}, groups = nil, plain = timeout == '' and lease < EXACT,
            first = EXACT, last = 0 }
        ways[name] = way
    end
    return way
end

-- Of the cold string of a row that has nothing special about it: the size of its payload, its timeout, since when it
-- could run, its group. Else nil.
function plain_parts(cold)
    local parts, at = byte(cold, 1), 18
    local since, timeout, group, length = sub(cold, 2, 9), '', nil, nil
    if parts > PART_RUN_AT then
        return nil
    elseif parts == PART_RUN_AT then
        local run_at = sub(cold, 18, 25)
        since, at = less(take(since, 1), take(run_at, 1)) and run_at or since, 26
    end
    local mask, size, queue_bytes = cut('>I2I4B', cold, at)
    if mask == MASK_PAYLOAD then -- by far the most
        return size, timeout, since, group
    end
    local rest = at + 8 + queue_bytes + byte(cold, at + 7 + queue_bytes)
    if band(mask, MASK_KEY + MASK_BULK) ~= 0 then
        return nil
    elseif band(mask, MASK_RANK) ~= 0 then
        rest = rest + 8
    end
    if band(mask, MASK_TIMEOUT) ~= 0 then
        timeout, rest = sub(cold, rest, rest + 7), rest + 8
    end
    if band(mask, MASK_GROUP) ~= 0 then
        length, rest = cut('>I4', cold, band(mask, MASK_PRIORITY) ~= 0 and rest + 4 or rest)
        group = length > 0 and sub(cold, rest, rest + length - 1) or nil
    end
    return size, timeout, since, group
end

-- Of rows that this way has had so far none has a group.
local function meet_group(way)
    way.groups = {}
    for i = 1, #way.ids do
        way.groups[i] = ''
    end
end

-- Fresh rows of one timeout, for which there is room: from one number of the lists to another. They are of one group or
-- none, or `group_of` says of which each is, and the numbers `first` and `last` of them when they arrived.
function claim_run(q, ids, cold_of, from, to, timeout, group, group_of, first, last)
    if from > to then
        return
    end
    draw_token()
    local way, v = way_of(q.name, timeout), #views
    if (group or group_of) and not way.groups then
        meet_group(way)
    end
    local groups = way.groups
    local g, c, w, hot, list = #given - from + 1, #claimed - from + 1, #way.ids - from + 1, way.hot, way.ids
    for i = from, to do
        local id = ids[i]
        views[v + 1], views[v + 2], v = id, cold_of[i], v + 2
        given[g + i], claimed[c + i], list[w + i] = '\0\1', id, id
        if groups then
            groups[w + i] = group or group_of and group_of[i] or ''
        end
        if way ~= last_way then -- the first of them shows the hot string of all
            given[g + i], views[v + 1], v, last_way = '\0\2', hot, v + 1, way
        end
        if events then
            events.tell_strings(id, cold_of[i], hot)
        end
    end
    -- in a list they stand as they arrived
    way.first = math.min(way.first, first or (cut('>I8', cold_of[from], 10)))
    way.last = math.max(way.last, last or (cut('>I8', cold_of[to], 10)))
    local number = to - from + 1
    q[WAITING], q[RUNNING], q.dirty = math.max(q[WAITING] - number, 0), q[RUNNING] + number, true
    if group then
        G.count_slot(q, group, number)
    elseif group_of then
        G.count_slots(q, group_of, 1)
    end
end

-- One that stood among others in order, and for which there is room.
function claim_fresh(q, id, cold, size, timeout, since, group)
    count_given(size)
    note_waited(q.name, since)
    one_id[1], one_cold[1] = id, cold
    claim_run(q, one_id, one_cold, 1, 1, timeout, group)
end

-- The most that are plain become a batch, if they are enough.
local function batch_of_all()
    local best, most = nil, BATCH_LEAST - 1
    for _, way in pairs(ways) do
        if way.plain and #way.ids > most then
            best, most = way, #way.ids
        end
    end
    return best
end

local function write_batch_of(way)
    return B.claim(sub(token, 1, 8), way)
end

local function write_rows_of(way)
    local n, ids, hot, groups = #new_hot, way.ids, way.hot, way.groups
    for i = 1, #ids do
        local group = groups and groups[i] or ''
        new_hot[n + 1], new_hot[n + 2], n = ids[i], group ~= '' and B.hot_with_group(hot, group) or hot, n + 2
    end
    zadd_all(CLOCK, as_text(way.lease), ids, 1, #ids)
    hold_all(held_in, token, ids, 1, #ids)
end

-- What was claimed as fresh rows is written.
function write_claims()
    local batch = not events and batch_of_all()
    for _, way in pairs(ways) do
        if way ~= batch or not write_batch_of(way) then
            write_rows_of(way)
        end
    end
end

end

do

-- Any other row that was taken out of a list; it goes to `back` when it is given and not claimed.
local function take_special(id, cold, hot, back)
    colds[id], hots[id] = cold, hot
    local row = open(id)
    if has_room(row.payload_bytes) then
        row.popped = true
        if not claim_or_give(row) then
            back[#back + 1] = id
        end
    end
end

-- By far the most rows are of one form: put due, with a payload and nothing else. Room is taken for those that stand
-- first; returns the number of the first that is not such a one, or has none.
local function room_for_plain(q, cold_of, hot_of, number)
    local i, left, since, since_then = 1, bytes_left, nil, 0
    while i <= number and cold_of[i] and not hot_of[i] do
        local parts, at, _, mask, size = cut('>Bi8dI2I4', cold_of[i])
        if parts ~= 0 or mask ~= MASK_PAYLOAD then
            break
        elseif size > left and (rows_given > 0 or i > 1) then
            full, want.more = true, true
            break
        elseif at ~= since then
            if since then
                note_waited(q.name, since, since_then)
            end
            since, since_then = at, 0
        end
        i, left, since_then = i + 1, size < left and left - size or 0, since_then + 1
    end
    if since then
        note_waited(q.name, since, since_then)
    end
    rows_given, bytes_left = rows_given + i - 1, left
    return i
end

-- Rows that were taken out of a list. Returns the number of the first for which there was no room.
local function claim_page(q, ids, back)
    local cold_of, hot_of = many(COLD, ids), lacks_some(LACKS_EDITED) and {} or many(HOT, ids)
    local from, run_timeout = room_for_plain(q, cold_of, hot_of, #ids), nil
    claim_run(q, ids, cold_of, 1, from - 1, '')
    if full then
        return from
    end
    for i = from, #ids do
        local cold, size, timeout, since = cold_of[i], nil, nil, nil
        if cold and not hot_of[i] then
            size, timeout, since = plain_parts(cold)
        end
        if timeout ~= run_timeout then -- nil: it is not plain
            claim_run(q, ids, cold_of, from, i - 1, run_timeout)
            from, run_timeout = i, timeout
        end
        if size and has_room(size) then
            count_given(size)
            note_waited(q.name, since)
        elseif cold and not size then
            take_special(ids[i], cold, hot_of[i], back)
        end
        if full then
            claim_run(q, ids, cold_of, from, i - 1, run_timeout)
            return i
        elseif not size then
            from = i + 1
        end
    end
    claim_run(q, ids, cold_of, from, #ids, run_timeout)
    return #ids + 1
end

-- At most so many, from a list that is the only source. What was taken out and is not claimed goes back to its front.
-- Returns whether anything stood there.
function take_from_list(queue, key, most)
    local goal = math.min(want.limit, #given + most)
    local back, q, some = {}, queue_of(queue), false
    while not full and #given < goal do
        local ids = call('LPOP', key, math.min(goal - #given, 1000))
        if not ids then
            break
        end
        some = true
        for i = claim_page(q, ids, back), #ids do
            back[#back + 1] = ids[i]
        end
    end
    for i = #back, 1, -1 do
        call('LPUSH', key, back[i])
    end
    return some
end

end

end
