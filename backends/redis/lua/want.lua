-- SPDX-License-Identifier: MIT
-- Taking rows out. ARGV: B mode, I4 limit, i8 bytes, i8 lease, B others, mint (8), I4 queues, I4 kinds, I4 share, B
-- places follow, worker; the queues, each with its place if they do; the kinds.
--
-- A queue's ready rows stand in lanes, one for each kind, and in each lane in a list (as they came, by far the most)
-- and a sorted set (whatever was delayed, given back or has a priority). With one lane and nothing in its sorted set
-- the claim is one LPOP; otherwise the heads are compared by rank, then arrival.

local take_rows, worker_in
if has_part(HAS_WANT) then

local DUE, OVERDUE, ALONE = 1, 2, 3
local WANT_FORMAT = '>BI4c8c8Bc8I4I4I4B'

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
                G.count_starts(q, row.group, row.group and G.limits_of(row.group), 1)
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
            G.count_starts(q, nil, nil, #claimed - before)
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

-- The leases of a batch run out together, and its rows are as any others then.
local function late_rows()
    while true do
        local late, batch = call('ZRANGEBYSCORE', CLOCK, '(-inf', now, 'LIMIT', 0, 2 * want.limit + 1), nil
        for i = 1, #late do
            local mint = B.mint_in(late[i])
            batch = mint and B.running(mint)
            if batch then
                break
            end
        end
        if not batch then
            return late
        end
        B.leave_all(batch)
    end
end

local function take_overdue()
    local late, looked_at = late_rows(), 0
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
        write_claims()
        note_company()
    end
end

end
