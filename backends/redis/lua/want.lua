-- SPDX-License-Identifier: MIT
-- Taking rows out. ARGV: B mode, I4 limit, i8 bytes, i8 lease, B others, mint (8), I4 queues, I4 kinds, I4 share, B
-- places follow, worker; the queues, each with its place if they do; the kinds.
--
-- A queue's ready rows stand in lanes, one for each kind, and in each lane in a list (as they came, by far the most)
-- and a sorted set (whatever was delayed, given back or has a priority). With one lane and nothing in its sorted set
-- the claim is one LPOP; otherwise the heads are compared by rank, then arrival.

-- `token` once the want has given a row
local take_rows, plain_parts, hot_of_fresh, make_token, worker_in, want, token, fence, given, claimed
if has_part(HAS_WANT) then

local DUE, OVERDUE, ALONE = 1, 2, 3
local WANT_FORMAT = '>BI4c8c8Bc8I4I4I4B'
local O_LEASE, O_TIMEOUT, O_CALLBACK, O_EXPIRED, O_EDGES = 1, 2, 3, 4, 5
local LOOK, BURIED_MOST = 64, 10000

local full, rows_given, bytes_left
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

local function draw_token()
    if not token then
        make_token(want.mint)
    end
end

-- Room for one more row of this size?
local function has_room(size)
    if rows_given >= want.limit then
        full = true
    elseif rows_given > 0 and size > bytes_left then
        full, want.more = true, true
    end
    return not full
end

local function count_given(size)
    rows_given, bytes_left = rows_given + 1, size < bytes_left and bytes_left - size or 0
end

local function give_row(row, overdue, children)
    draw_token()
    count_given(row.payload_bytes)
    given[#given + 1] = char(overdue, 0)
    view(row, VIEW_PAYLOAD, children)
end

-- ---- the due bit ----------------------------------------------------------------------------------------------------

local function by_time(a, b)
    if a.at ~= b.at then
        return a.at < b.at
    end
    return a.arrival < b.arrival
end

-- Delayed rows of these queues whose time has come are put among the ready ones, at most 2 x limit + 64, earliest
-- first.
local function set_due_bits()
    if lacks_some(LACKS_DELAYS) then
        return
    end
    local most, list = 2 * want.limit + 64, {}
    for _, queue in ipairs(want.queues) do
        local come = call('ZRANGEBYSCORE', SPACE .. 'later:' .. queue, '-inf', now, 'WITHSCORES', 'LIMIT', 0, most + 1)
        for i = 1, #come, 2 do
            list[#list + 1] = { id = sub(come[i], 9), at = tonumber(come[i + 1]), arrival = cut('>I8', come[i]) }
        end
    end
    if #list == 0 then
        return
    end
    table.sort(list, by_time)
    for i = 1, math.min(#list, most) do
        local row = open(list[i].id)
        if row then
            row.due, row.dirty = true, true
        end
    end
    want.more = #list > most
    flush()
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

local function claim_or_give(row)
    if row.expires_at ~= 0 and near(row.expires_at) <= now then
        give_row(row, O_EXPIRED)
        return false
    end
    claim_row(row)
    give_row(row, 0)
    return true
end

local claim_run, claim_fresh
do

local ways, last_way
local one_id, one_cold -- lists of one
-- each call
ways, last_way, one_id, one_cold = {}, nil, {}, {}
-- end of each call

-- The hot string of a fresh row that is claimed, and when its lease ends.
function hot_of_fresh(queue, timeout, group, only, lease_ms, worker)
    local ms = timeout ~= '' and take(timeout, 1) or 0
    local stop_at = near(ms) > 0 and add(now, ms) or 0
    local lease_until = lease_end(0, stop_at, lease_ms)
    return pack_claimed((group and F_GROUPED or 0) + (only and F_RAN_ALONE or 0), token, lease_until, stop_at,
        pack_names(queue, group, worker)), near(lease_until)
end

-- How fresh rows of this queue and group are claimed, by timeout (eight bytes or none).
local function way_of(queue, timeout, group)
    local name = (group and char(#group) .. group or '\0') .. queue .. timeout
    local way = ways[name]
    if not way then
        local hot, lease = hot_of_fresh(queue, timeout, group, want.only, want.lease_ms, want.worker)
        way = { hot = hot, lease = as_text(lease) }
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

-- Fresh rows of one timeout and group, for which there is room: from one number of the lists to another.
function claim_run(q, ids, cold_of, from, to, timeout, group)
    if from > to then
        return
    end
    draw_token()
    local way, h, v = way_of(q.name, timeout, group), #new_hot, #views
    local g, c, hot = #given - from + 1, #claimed - from + 1, way.hot
    for i = from, to do
        local id = ids[i]
        new_hot[h + 1], new_hot[h + 2], h = id, hot, h + 2
        views[v + 1], views[v + 2], v = id, cold_of[i], v + 2
        given[g + i], claimed[c + i] = '\0\1', id
        if way ~= last_way then -- the first of them shows the hot string of all
            given[g + i], views[v + 1], v, last_way = '\0\2', hot, v + 1, way
        end
        if events then
            events.tell_strings(id, cold_of[i], hot)
        end
    end
    zadd_all(CLOCK, way.lease, ids, from, to)
    hold_all(held_in, token, ids, from, to)
    local number = to - from + 1
    q[WAITING], q[RUNNING], q.dirty = math.max(q[WAITING] - number, 0), q[RUNNING] + number, true
    if group then
        G.count_slot(q, group, number)
    end
end

-- One that stood among others in order, and for which there is room.
function claim_fresh(q, id, cold, size, timeout, since, group)
    count_given(size)
    note_waited(q.name, since)
    one_id[1], one_cold[1] = id, cold
    claim_run(q, one_id, one_cold, 1, 1, timeout, group)
end

end

local take_from_list
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

-- Rows that were taken out of a list. Returns the number of the first for which there was no room.
local function claim_page(q, ids, back)
    local cold_of, hot_of, from, run_timeout = many(COLD, ids), many(HOT, ids), 1, nil
    for i = 1, #ids do
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

-- ---- several sources: the smallest rank, then arrival ---------------------------------------------------------------

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

local function look_list(source)
    local ids = call('LRANGE', source.key, source.at, source.at + LOOK - 1)
    local cold_of = many(COLD, ids)
    for i = 1, #ids do
        local entry = { id = ids[i], listed = true }
        if is_buried(source, ids[i]) or not cold_of[i] then
            entry.dead = true
        else
            entry.rank, entry.arrival = cut('>i8I8', cold_of[i], 2)
        end
        source[#source + 1] = entry
    end
    source.at = source.at + #ids
    source.dry = #ids < LOOK
end

-- About as many as may be taken, then more. Ranks are asked for when there is another source to compare with.
local function list_set(source)
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
local function read_ready(ids)
    local cold_of, hot_of = many(COLD, ids), many(HOT, ids)
    for i = 1, #ids do
        colds[ids[i]], hots[ids[i]], found_due[ids[i]] = cold_of[i], hot_of[i], true
    end
end

-- Those of its entries up to this one that have not been read are put on the list.
local function note_unread(source, most, ids)
    for i = (source.read or 0) + 1, math.min(most, #source) do
        if rows[source[i].id] == nil then
            ids[#ids + 1] = source[i].id
        end
        source.read = i
    end
    return ids
end

local function look_set(source)
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

local function first_of(sources)
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

-- A row of a set that was never claimed and has nothing special about it. 1 claimed, 0 there is no room, nil: it has.
local function take_fresh(source, entry)
    local id = entry.id
    if not entry.member or rows[id] ~= nil or hots[id] ~= false or not colds[id] then
        return nil
    end
    local cold, q = colds[id], source.queue
    local size, timeout, since, group = plain_parts(cold)
    if not size then
        return nil
    elseif not has_room(size) then
        return 0
    end
    zrem(source.key, entry.member)
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
local function take_some(sources, most)
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

local function clean_lists(sources)
    for _, source in ipairs(sources) do
        clean_list(source)
    end
end

-- ---- a queue --------------------------------------------------------------------------------------------------------

local function source_of(queue, prefix, lane, look, most)
    return { queue = queue_of(queue), key = SPACE .. prefix .. lane, lane = lane, look = look, at = 0, next = 1,
        passed = 0, listed = look == look_list, step = math.min(math.max(most or want.limit - #given, 2), LOOK) }
end

local function kinds_of(queue)
    return #want.kinds > 0 and want.kinds or call('SMEMBERS', SPACE .. 'kinds:' .. queue)
end

-- Of rows without a group.
local function sources_of(queue, kinds)
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

if with_groups then

-- ---- groups in turn -------------------------------------------------------------------------------------------------
--
-- A circle is read as far as it is needed, 64 groups at a time; what is asked of the groups that may have their turn
-- next is asked for all of them at once. What was read is kept until the end of the want: nothing is written meanwhile.

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

-- ---- one that runs alone --------------------------------------------------------------------------------------------

-- By rank, past at most 64 that a limit of their group holds back.
local function take_alone(q)
    local sources, passed = {}, 0
    for i, kind in ipairs(kinds_of(q.name)) do
        sources[i] = source_of(q.name, 'alone:', lane_of(q.name, kind), look_set)
    end
    while not full and passed <= LOOK do
        local entry, source = first_of(sources)
        local row = entry and open(entry.id)
        if not entry then
            return
        end
        source.next = source.next + 1
        if row and row.group and G.is_held_back(q, row) then
            passed = passed + 1
        elseif row and has_room(row.payload_bytes) then
            full = true
            if claim_or_give(row) and with_groups then
                G.count_starts(q, row.group, 1)
            end
        end
    end
end

-- ---- a queue --------------------------------------------------------------------------------------------------------

-- Nearly always there is one kind, and nothing of it stands elsewhere than in its list.
local function take_only_list(q, kinds, room)
    local lane = #kinds == 1 and lane_of(q.name, kinds[1])
    return lane and call('EXISTS', SPACE .. 'rank:' .. lane, SPACE .. 'tomb:' .. lane) == 0
        and take_from_list(q.name, SPACE .. 'list:' .. lane, room)
end

local function take_plain(q, room)
    local kinds = kinds_of(q.name)
    if take_only_list(q, kinds, room) then
        return
    end
    local sources, plain = sources_of(q.name, kinds)
    if plain and #sources == 1 then
        take_from_list(q.name, sources[1].key, room)
    elseif #sources > 0 then
        take_some(sources, room)
        clean_lists(sources)
    end
end

local function take_from_queue(number, queue)
    local q = queue_of(queue)
    if q.paused or q[WAITING] == 0 then
        return
    elseif want.mode == DUE and q.met_groups and call('EXISTS', SPACE .. 'circle:' .. queue) == 1 then
        local turn = G.read_turn(want.places[queue])
        G.take_turns(q, turn)
        if turn.group then
            want.turns[#want.turns + 1] = G.say_turn(turn, number)
        end
        return
    end
    local room, before = q.limited and G.limited_room(q) or EXACT, #claimed
    if room > 0 and want.mode == ALONE then
        take_alone(q)
    elseif room > 0 then
        take_plain(q, room)
        if q.limited then
            G.count_starts(q, nil, #claimed - before)
        end
    end
end

local function take_due()
    set_due_bits()
    -- With one row to take and nothing else in hand it runs alone, unless more are taken.
    want.only = want.limit == 1 and want.others == 0
    for i, queue in ipairs(want.queues) do
        if full or #given >= want.limit then
            break
        end
        take_from_queue(want.numbers[i], queue)
    end
end

-- A row claimed by itself by a process that holds no other ran alone: known at the end when more could have come.
local function note_company()
    if #claimed ~= 1 or want.others ~= 0 or want.only then
        return
    end
    flush()
    local row = open(claimed[1])
    set(row, F_RAN_ALONE, true)
    row.dirty = true
    want.ran_alone = true
end

-- ---- overdue: rows that somebody or something has let slip, from the head of the clock ------------------------------

local function reason_of(row)
    if row.state == RUNNING then
        if has(row, F_SWEPT_LEASE) or has(row, F_SWEPT_TIMEOUT) then
            return has(row, F_SWEPT_LEASE) and O_LEASE or O_TIMEOUT
        end
        return is_stopped(row) and O_TIMEOUT or O_LEASE
    elseif is_ended(row.state) then
        return O_EDGES
    end
    local late = row.state == BLOCKED and row.reason == REASON_CALLBACK and row.callback_until ~= 0
        and near(row.callback_until) <= now
    return late and O_CALLBACK or O_EXPIRED
end

-- Token, fence and lease change and nothing else; the reason stays until the next claim.
local function sweep(row, reason)
    draw_token()
    row.token, row.outcome, row.dirty = token, 0, true
    row.lease_until = add(now, want.lease_ms)
    set(row, reason == O_LEASE and F_SWEPT_LEASE or F_SWEPT_TIMEOUT, true)
    claimed[#claimed + 1] = row.id
    give_row(row, reason)
end

local function give_edges(row)
    if resolve_edges(row) then
        want.more = true
    end
    local children = undecided(row)
    if children ~= '' then
        give_row(row, O_EDGES, children)
    end
end

local function take_overdue()
    local late, looked_at = call('ZRANGEBYSCORE', CLOCK, '(-inf', now, 'LIMIT', 0, 2 * want.limit + 1), 0
    for i = 1, #late do
        local row = open(late[i])
        if row then
            if not has_room(row.payload_bytes) then
                break
            end
            local reason = reason_of(row)
            if reason == O_EDGES then
                if looked_at == want.limit then
                    want.more = true
                    break
                end
                looked_at = looked_at + 1 -- most of them need no decision and are not given
                give_edges(row)
            elseif row.state == RUNNING then
                sweep(row, reason)
            else
                give_row(row, reason)
            end
        else
            call('ZREM', CLOCK, late[i])
        end
    end
end

function worker_in(s, at)
    return byte(s, at) == 1 and sub(s, at + 1) or nil
end

local function read_want()
    local s = argument()
    -- All that it may have is named at once: a table that grows is made anew each time.
    local w = { more = false, only = false, ran_alone = false, mode = 0, limit = 0, bytes = 0, lease_ms = 0,
        others = 0, mint = '', share = 1, worker = nil, queues = {}, kinds = {}, numbers = {}, is_wanted = {},
        places = {}, turns = {} }
    local lease, queues_named, kinds_named, places, at
    w.mode, w.limit, w.bytes, lease, w.others, w.mint, queues_named, kinds_named, w.share, places, at =
        cut(WANT_FORMAT, s)
    w.bytes, w.lease_ms = near(take(w.bytes, 1)), take(lease, 1)
    w.worker = worker_in(s, at)
    for i = 1, queues_named do
        local queue, place = argument(), places == 1 and argument() or ''
        if not w.places[queue] then -- one named twice counts once
            w.queues[#w.queues + 1], w.numbers[#w.numbers + 1], w.places[queue] = queue, i - 1, place
        end
    end
    for _ = 1, kinds_named do
        local kind = argument()
        if not w.is_wanted[kind] then
            w.kinds[#w.kinds + 1], w.is_wanted[kind] = kind, true
        end
    end
    return w
end

function take_rows()
    want = read_want()
    bytes_left = want.bytes > 0 and want.bytes or EXACT
    if want.limit == 0 then
        return
    elseif want.mode == OVERDUE then
        flush()
        take_overdue()
    else
        take_due()
        note_company()
    end
end

end
