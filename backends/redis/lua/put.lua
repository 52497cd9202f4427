-- SPDX-License-Identifier: MIT
-- New rows.
--
-- Answer of one: DONE (stored, ready, the same payload), or B verdict, B state, B its time has come, B same payload,
-- B a holder follows.

local put_all
if puts > 0 then

local REPLACE, EXTEND, SUCCESSOR = 2, 3, 4
local RUN, WITH_TICK = 1, 3
local RUN_KEYED, RUN_GROUPED = 1, 2

local given_verdict -- to the put at hand
local batch -- what the run at hand stores: strings, places, keys
-- each call
given_verdict, batch = nil, nil
-- end of each call

local function answer_put(verdict, row, same, holder, ended)
    given_verdict = verdict
    local state = row and row.state or ended or 0
    answer[#answer + 1] = char(verdict, state, row and near(row.run_at) <= now and 1 or 0, same and 1 or 0,
        holder and 1 or 0) .. (holder or '')
end

-- The payload in the part that the client made: present, and what it is.
local function payload_in(rest, bulk)
    local mask, size = cut('>I2I4', rest)
    if band(mask, MASK_PAYLOAD) == 0 then
        return false
    end
    return bulk or sub(rest, #rest - size + 1)
end

-- The id exists: this request was made before.
local function answer_already(row, rest, bulk)
    answer_put(V_ALREADY, row, payload_of(row) == payload_in(rest, bulk))
end

-- Until its group may put one more; 0: at once.
local function wait_of(p)
    if not with_limits or band(cut('>I2', p.rest), MASK_GROUP) == 0 then
        return 0
    end
    local row = {}
    read_cold(row, '\0' .. ZERO8 .. ZERO8 .. p.rest)
    return row.group and G.quota_wait(row.group) or 0
end

local function is_full(q)
    return near(q.depth) >= 0 and q[BLOCKED] + q[WAITING] >= near(q.depth)
end

-- ---- one of any kind ------------------------------------------------------------------------------------------------

local function parents_missing(parents)
    for at = 1, #parents, 17 do
        if not open(sub(parents, at, at + 15)) then
            return true
        end
    end
    return false
end

local function meet_holder(p, k, row)
    local waits = row and (row.state == WAITING or row.state == BLOCKED)
    local same, verdict = k.digest == p.digest, V_DUPLICATE
    if waits and p.conflict == REPLACE then
        verdict = V_REPLACED
        set_payload(row, payload_in(p.rest, p.bulk), p.bulk and true)
        row.cold = sub(row.cold, 1, row.key_at + 32) .. p.digest .. sub(row.cold, row.key_at + 65)
        k.digest = p.digest
        write_key(k)
    elseif waits and p.conflict == EXTEND then
        verdict = V_EXTENDED
        row.run_at = first_run_at(p)
        set(row, F_LISTED, false)
        if row.state == WAITING then
            wait(row)
        end
    elseif p.conflict == SUCCESSOR and (k.hold == HOLD_LIVE or k.hold == HOLD_UNRESOLVED) then
        verdict = V_SUCCESSOR
        keep_successor(k, p)
    end
    if verdict == V_REPLACED or verdict == V_EXTENDED then
        row.edits, row.dirty = math.min(row.edits + 1, ANY_EDITS), true
    end
    answer_put(verdict, row, same, k.job, k.ended)
end

-- Its id is new.
local function put_new(p)
    if parents_missing(p.parents) then
        answer_put(V_NO_PARENT)
        return
    end
    if p.has_key ~= 0 then
        local k, row = key_held(p.scope)
        if k then
            meet_holder(p, k, row)
            return
        end
    end
    local wait_ms = 0
    if is_full(queue_of(p.queue)) then
        answer_put(V_FULL)
        return
    elseif with_limits then
        wait_ms = wait_of(p)
    end
    if near(wait_ms) > 0 then
        answer_put(V_LIMITED)
        answer[#answer + 1] = give(wait_ms)
        return
    end
    local row = store_row(p)
    answer_put(V_OK, row, true)
    if with_limits and row.group then
        G.count_put(row.group)
    end
end

-- With these its nominal time is settled; with the others it can be tried again.
local function settles(verdict)
    return verdict < V_SKIPPED and verdict ~= V_ALREADY
end

local function put_one(p)
    if p.only_if > 0 and not_ok[p.only_if] then
        answer_put(V_SKIPPED)
        return
    end
    local same = open(p.id)
    if same then
        answer_already(same, p.rest, p.bulk)
        return
    end
    if p.tick then
        local verdict, goes_on = guard_tick(p.tick)
        if not goes_on then
            answer_put(verdict)
            return
        end
    end
    put_new(p)
    if p.tick and settles(given_verdict) then
        settle_tick(p.tick)
    end
end

-- ---- a run of plain ones: due now, of one queue and kind, with groups or without, with keys of one rule or without -

local function begin_batch(run)
    local listed = not run.grouped and now >= top
    local parts, times = run.keyed and PART_WINDOW or 0, run.keyed and run.window_end or ''
    if not listed and not run.grouped then
        parts, times = parts + PART_RUN_AT, now8 .. times
    end
    batch = { cold = {}, keys = {}, count = 0, listed = listed, places = {}, groups = {}, head = char(parts) .. now8,
        times = times }
end

-- Each group has a lane of its own; all of them join the circle together.
local function write_groups_of(run, q)
    local circle = {}
    for group, places in pairs(batch.groups) do
        in_pieces('ZADD', SPACE .. 'rank:' .. lane_of(run.queue, run.kind, group), places)
        circle[#circle + 1] = group
    end
    G.join_circle(run.queue, circle, run.kind)
    if not q.met_groups then
        meet_groups(q)
    end
end

local function write_batch(run, q)
    if batch.count == 0 then
        return
    end
    in_pieces('HSET', COLD, batch.cold)
    in_pieces('HSET', KEY, batch.keys)
    local lane, length = lane_of(run.queue, run.kind), 0
    if run.grouped then
        write_groups_of(run, q)
    elseif batch.listed then
        length = in_pieces('RPUSH', SPACE .. 'list:' .. lane, batch.places)
    else
        in_pieces('ZADD', SPACE .. 'rank:' .. lane, batch.places)
    end
    if not run.grouped and length <= batch.count then -- a list that is there has its kind in the set
        call('SADD', SPACE .. 'kinds:' .. run.queue, run.kind)
    end
    top, wake, q.dirty = math.max(top, now), true, true
    begin_batch(run)
end

local function add_place(id, arrival, group)
    local places = batch.places
    if group then
        places = batch.groups[group] or {}
        batch.groups[group] = places
    end
    local n = #places
    places[n + 1], places[n + 2] = now_text, arrival .. id
end

local function add_to_batch(run, q, i)
    local id, arrival, n = run.ids[i], next_arrival(), batch.count + 1
    if run.keyed then
        batch.keys[2 * n - 1], batch.keys[2 * n] = run.scopes[i], id
    end
    local cold = batch.head .. arrival .. batch.times .. ARGV[run.before + i]
    batch.cold[2 * n - 1], batch.cold[2 * n], batch.count = id, cold, n
    if batch.listed then
        batch.places[n] = id
    else
        add_place(id, arrival, run.groups[i])
    end
    q[WAITING], q[ENQUEUED] = q[WAITING] + 1, q[ENQUEUED] + 1
    rows[id], colds[id], hots[id] = nil, nil, nil
    if events then
        events.tell_strings(id, cold)
    end
    answer[#answer + 1] = DONE
end

local function put_of_run(run, i)
    local p = { id = run.ids[i], queue = run.queue, kind = run.kind, run_base = KEEP_TIME, run_offset = 0,
        expires_base = KEEP_TIME, expires_offset = 0, held = 0, only_if = 0, has_key = 0, parents = '',
        rest = ARGV[run.before + i], bulk = false }
    if run.keyed then
        p.has_key, p.hold, p.conflict, p.window = 1, run.hold, run.conflict, run.window
        p.scope, p.digest = cut('c32c32', p.rest, run.key_places[i])
    end
    return p
end

-- Where the key stands in the part of a row of this mask that the client made, behind its rule; and the group.
local function places_in(run, mask)
    local key_at = 10 + #run.queue + #run.kind + (band(mask, MASK_TIMEOUT) ~= 0 and 8 or 0)
    return { key = key_at,
        group = key_at - 1 + (band(mask, MASK_KEY) ~= 0 and 65 or 0) + (band(mask, MASK_PRIORITY) ~= 0 and 4 or 0) }
end

-- What the rows say themselves of keys and groups.
local function read_rests(run)
    local before, scopes, groups, key_places, places = run.before, run.scopes, run.groups, run.key_places, {}
    for i = 1, run.count do
        local rest = ARGV[before + i]
        local mask = byte(rest, 2)
        local at = places[mask]
        if not at then
            at = places_in(run, mask)
            places[mask] = at
        end
        if run.keyed then
            scopes[i], key_places[i] = sub(rest, at.key, at.key + 31), at.key
        end
        if run.grouped then
            groups[i] = cut('>I4c0', rest, at.group)
        end
    end
end

-- ARGV: I2 how many, I4 only_if, B flags, B length, queue, B length, kind, with keys B rule, B conflict, i8 window; the
-- ids, one behind the other; of each its rest.
local function read_run(s)
    local run = { ids = {}, groups = {}, scopes = {}, key_places = {} }
    local flags, at
    run.count, run.only_if, flags, run.queue, run.kind, at = cut('>I2I4BBc0Bc0', s, 2)
    run.keyed, run.grouped = band(flags, RUN_KEYED) ~= 0, band(flags, RUN_GROUPED) ~= 0
    if run.keyed then
        run.hold, run.conflict, run.window = byte(s, at), byte(s, at + 1), take(s, at + 2)
        run.window_end = give(add(now, run.window))
    end
    run.ids, run.before = B.list(argument()), argument(run.count)
    if run.keyed or run.grouped then
        read_rests(run)
    end
    return run
end

local function has_quota(group)
    return group and with_limits and G.limits_of(group).quota >= 0
end

-- Are all of them to be stored, and nothing else? Nearly always.
local function is_simple(run, q, found, held)
    local ids, scopes, groups, mine = run.ids, run.scopes, run.groups, {}
    local depth = near(q.depth)
    if depth >= 0 and q[BLOCKED] + q[WAITING] + run.count > depth then
        return false
    end
    for i = 1, run.count do
        local id, scope = ids[i], scopes[i]
        if found[i] or mine[id] or held[i] or (scope and mine[scope]) then
            return false
        end
        mine[id] = true
        if scope then
            mine[scope] = true
        end
    end
    if with_limits and run.grouped then
        G.read_records(groups)
        for i = 1, run.count do
            if has_quota(groups[i]) then
                return false
            end
        end
    end
    return true
end

local function forget_rows(ids)
    if next(rows) or next(colds) or next(hots) then
        for i = 1, #ids do
            rows[ids[i]], colds[ids[i]], hots[ids[i]] = nil, nil, nil
        end
    end
end

local function put_simple(run, q)
    begin_batch(run)
    local ids, before, count, cold, keys = run.ids, run.before, run.count, batch.cold, batch.keys
    local head, times, listed, number = batch.head, batch.times, batch.listed, seq
    for i = 1, count do
        local arrival, id = pack('>I8', number + i), ids[i]
        cold[2 * i - 1], cold[2 * i] = id, head .. arrival .. times .. ARGV[before + i]
        if not listed then
            add_place(id, arrival, run.groups[i])
        end
    end
    if run.keyed then
        local scopes = run.scopes
        for i = 1, count do
            keys[2 * i - 1], keys[2 * i] = scopes[i], ids[i]
        end
    end
    seq, batch.count = number + count, count
    if listed then
        batch.places = ids
    end
    if events then
        for i = 1, count do
            events.tell_strings(ids[i], cold[2 * i])
        end
    end
    q[WAITING], q[ENQUEUED] = q[WAITING] + count, q[ENQUEUED] + count
    forget_rows(ids)
    answer[#answer + 1] = DONE:rep(count)
    write_batch(run, q)
end

-- Those whose id or key somebody has go the long way, when what stands before them is stored.
local function put_run(s)
    local run = read_run(s)
    local q, mine = queue_of(run.queue), {}
    if run.only_if > 0 and not_ok[run.only_if] then
        for _ = 1, run.count do
            answer_put(V_SKIPPED)
        end
        return run.count
    end
    local found, held = many(COLD, run.ids), many(KEY, run.scopes)
    if is_simple(run, q, found, held) then
        put_simple(run, q)
        return run.count
    end
    begin_batch(run)
    for i = 1, run.count do
        local id, scope = run.ids[i], run.scopes[i]
        if found[i] or mine[id] or (scope and (held[i] or mine[scope])) or has_quota(run.groups[i]) then
            write_batch(run, q)
            put_one(put_of_run(run, i))
        elseif is_full(q) then
            answer_put(V_FULL)
        else
            add_to_batch(run, q, i)
        end
        mine[id] = true
        if scope then
            mine[scope] = true
        end
    end
    write_batch(run, q)
    return run.count
end

function put_all(number)
    local done = 0
    fade_keys()
    while done < number do
        local s = argument()
        if byte(s) == RUN then
            done = done + put_run(s)
        else
            local parents, rest = argument(), argument()
            local p = read_put(s, parents, rest, byte(s, #s) ~= 0 and argument() or false)
            p.tick = byte(s) == WITH_TICK and read_tick(argument())
            put_one(p)
            done = done + 1
        end
    end
end

end
