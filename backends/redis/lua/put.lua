-- SPDX-License-Identifier: MIT
-- New rows.
--
-- Answer of one: DONE (stored, ready, the same payload), or B verdict, B state, B its time has come, B same payload,
-- B a holder follows.

local put_all, seq, top -- arrivals so far; the newest time that stands in a list
do

local KEEP_TIME = 0
local REPLACE, EXTEND = 2, 3

local function answer_put(verdict, row, same, holder, ended)
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

local function is_full(q)
    return near(q.depth) >= 0 and q[BLOCKED] + q[WAITING] >= near(q.depth)
end

local function next_arrival()
    seq = seq + 1
    return pack('>I8', seq)
end

-- ---- a run of plain ones: due now, of one lane, nothing else said ---------------------------------------------------------

local function store_plain(lane, listed, stored, places)
    in_pieces('HSET', COLD, stored)
    if listed then
        for from = 1, #places, AT_ONCE do
            call('RPUSH', SPACE .. 'list:' .. lane, unpack(places, from, math.min(from + AT_ONCE - 1, #places)))
        end
    else
        in_pieces('ZADD', SPACE .. 'rank:' .. lane, places)
    end
end

local function put_run(s)
    local number, queue, kind = cut('>I2Bc0Bc0', s, 2)
    local ids, rests, mine, stored, places, n = {}, {}, {}, {}, {}, 0
    for i = 1, number do
        ids[i], rests[i] = argument(), argument()
    end
    local found, q = many(COLD, ids), queue_of(queue)
    local listed = now >= top
    local head, middle = listed and '\0' .. now8 or char(PART_RUN_AT) .. now8, listed and '' or now8
    local again = {} -- ids that come twice: answered when the first is stored
    for i = 1, number do
        local id = ids[i]
        if found[i] or mine[id] then
            answer[#answer + 1] = ''
            again[#again + 1] = { #answer, i }
        elseif is_full(q) then
            answer_put(V_FULL)
        else
            local arrival = next_arrival()
            mine[id], n = true, n + 1
            stored[2 * n - 1], stored[2 * n] = id, head .. arrival .. middle .. rests[i]
            if listed then
                places[n] = id
            else
                places[2 * n - 1], places[2 * n] = now, arrival .. id
            end
            q[WAITING], q[ENQUEUED] = q[WAITING] + 1, q[ENQUEUED] + 1
            rows[id], colds[id], hots[id] = nil, nil, nil
            answer[#answer + 1] = DONE
        end
    end
    if n > 0 then
        store_plain(lane_of(queue, kind), listed, stored, places)
        call('SADD', SPACE .. 'kinds:' .. queue, kind)
        top, wake, q.dirty = math.max(top, now), true, true
    end
    for _, one in ipairs(again) do
        local at, i = one[1], one[2]
        answer_already(open(ids[i]), rests[i])
        answer[at] = table.remove(answer)
    end
end

-- ---- one of any kind ----------------------------------------------------------------------------------------------------------

local function read_put(s)
    local p, run_offset, expires_offset = {}, nil, nil
    p.id, p.queue, p.kind, p.run_base, run_offset, p.expires_base, expires_offset, p.held, p.only_if, p.has_key, p.scope,
        p.digest, p.hold, p.conflict, p.window, p.bulk = cut('>c16Bc0Bc0Bc8Bc8BI4Bc32c32BBc8B', s, 2)
    p.run_offset, p.expires_offset, p.window = take(run_offset, 1), take(expires_offset, 1), take(p.window, 1)
    p.parents, p.rest = argument(), argument()
    p.bulk = p.bulk ~= 0 and argument() or false
    return p
end

local function first_run_at(p)
    return p.run_base == KEEP_TIME and now or time_of(p.run_base, p.run_offset, 0)
end

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
        if row.key_at then -- a key may outlive its job, and another job of that id may have none
            row.cold = sub(row.cold, 1, row.key_at + 32) .. p.digest .. sub(row.cold, row.key_at + 65)
        end
        k.digest = p.digest
        write_key(k)
    elseif waits and p.conflict == EXTEND then
        verdict = V_EXTENDED
        row.run_at = first_run_at(p)
        set(row, F_LISTED, false)
        if row.state == WAITING then
            wait(row)
        end
    end
    if verdict ~= V_DUPLICATE then
        row.edits, row.dirty = math.min(row.edits + 1, ANY_EDITS), true
    end
    answer_put(verdict, row, same, k.job, k.ended)
end

local function make_cold(p)
    local parts, times = 0, ''
    local expires_at = time_of(p.expires_base, p.expires_offset, 0)
    if p.run_base ~= KEEP_TIME or now < top then
        parts, times = PART_RUN_AT, give(first_run_at(p))
    end
    if expires_at ~= 0 then
        parts, times = parts + PART_EXPIRES, times .. give(expires_at)
    end
    if p.has_key ~= 0 then
        parts, times = parts + PART_WINDOW, times .. give(add(now, p.window))
    end
    return char(parts) .. now8 .. next_arrival() .. times .. p.rest
end

-- A new row that waits gets its place with the others that this exchange changes, but needs no hot string; an entry of a
-- list is made at once, because a list has an order.
local function place_new(row)
    wake, row.unplaced = true, true
    if has(row, F_LISTED) then
        row.was_key, row.was_score, row.was_member = place_of(row)
        call('RPUSH', row.was_key, row.id)
        call('SADD', SPACE .. 'kinds:' .. row.queue, row.kind)
        top = math.max(top, now)
    end
end

local function store_row(p)
    local row = { id = p.id }
    read_cold(row, make_cold(p))
    read_fresh(row)
    call('HSET', COLD, row.id, row.cold)
    if p.bulk then
        call('HSET', EXTRA, row.id .. 'P', p.bulk)
    end
    rows[row.id], opened[#opened + 1] = row, row
    row.due = near(row.run_at) <= now
    if p.parents ~= '' then
        put_edges(row, p.parents)
    end
    if p.held ~= 0 or row.pending > 0 then
        row.state, row.reason = BLOCKED, p.held ~= 0 and REASON_HOLD or REASON_PARENTS
        row.due, row.dirty = false, true
        set(row, F_LISTED, false)
        set(row, F_HELD, p.held ~= 0)
    else
        place_new(row)
    end
    take_key(row)
    local q = count(row.queue, nil, row.state)
    q[ENQUEUED] = q[ENQUEUED] + 1
    answer_put(V_OK, row, true)
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
    elseif parents_missing(p.parents) then
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
    if is_full(queue_of(p.queue)) then
        answer_put(V_FULL)
    else
        store_row(p)
    end
end

function put_all(number)
    local done = 0
    fade_keys()
    while done < number do
        local s = argument()
        if byte(s) == 1 then
            put_run(s)
            done = done + cut('>I2', s, 2)
        else
            put_one(read_put(s))
            done = done + 1
        end
    end
end

end
