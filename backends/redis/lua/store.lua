-- SPDX-License-Identifier: MIT
-- A row comes into being: by a put, or because the holder of its key has let go.

local read_put, first_run_at, next_arrival, store_row, keep_successor, push
if puts > 0 or uses_some(USES_SUCCESSORS) then

local KEEP_TIME = 0

function next_arrival()
    seq = seq + 1
    return pack('>I8', seq)
end

-- s: as the client said it, but for its parents, the part that is stored as it is, and a payload that is stored apart.
function read_put(s, parents, rest, bulk)
    local p, run_offset, expires_offset = {}, nil, nil
    p.id, p.queue, p.kind, p.run_base, run_offset, p.expires_base, expires_offset, p.held, p.only_if, p.has_key,
        p.scope, p.digest, p.hold, p.conflict, p.window, p.bulk = cut('>c16Bc0Bc0Bc8Bc8BI4Bc32c32BBc8B', s, 2)
    p.run_offset, p.expires_offset, p.window = take(run_offset, 1), take(expires_offset, 1), take(p.window, 1)
    p.said, p.parents, p.rest, p.bulk = s, parents, rest, bulk
    return p
end

function first_run_at(p)
    return p.run_base == KEEP_TIME and now or time_of(p.run_base, p.run_offset, 0)
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

-- At the end of its list. A list that is there has its kind in the set.
function push(list, id, queue, kind)
    if call('RPUSH', list, id) == 1 then
        call('SADD', SPACE .. 'kinds:' .. queue, kind)
    end
    top = math.max(top, now)
end

-- A new row that waits gets its place with the others that this exchange changes, but needs no hot string; an entry of
-- a list is made at once, because a list has an order.
local function place_new(row)
    wake, row.unplaced = true, true
    if has(row, F_LISTED) then
        row.was_key, row.was_score, row.was_member = place_of(row)
        push(row.was_key, row.id, row.queue, row.kind)
    end
end

function store_row(p)
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
    local q = count(row, nil, row.state)
    if row.group and not q.met_groups then
        meet_groups(q)
    end
    q[ENQUEUED] = q[ENQUEUED] + 1
    if events then
        events.tell(row, row.state)
    end
    return row
end

-- ---- successors -----------------------------------------------------------------------------------------------------
-- One string each in the hash "after" by scope: for each part of the put I4 length + 1 (0: absent) and the part.

local function part(s)
    return s and pack('>I4', #s + 1) .. s or '\0\0\0\0'
end

-- Kept with the key that is held; the newest wins.
function keep_successor(k, p)
    call('HSET', AFTER, k.scope, part(p.said) .. part(p.rest) .. part(p.bulk))
    k.successor = true
    write_key(k)
end

-- As if it had arrived now. One whose id came to exist is dropped.
function put_successor(kept)
    local parts, at, length = {}, 1, nil
    for i = 1, 3 do
        length, at = cut('>I4', kept, at)
        parts[i] = length > 0 and sub(kept, at, at + length - 2)
        at = at + math.max(length - 1, 0)
    end
    local p = read_put(parts[1], '', parts[2], parts[3])
    if not open(p.id) then
        store_row(p)
    end
end

end
