-- SPDX-License-Identifier: MIT
-- Rows that retention takes away, and results that it takes away before their rows. ARGV: I4 limit, then for completed,
-- dead, cancelled i8 count, and i8 age of each, i8 age of results; I4 part of the count and I4 number that may wait
-- for each other. The hash "results" has for a queue the place that it came to: when the row ended (i8), its id.

local trim, trims_none
if has_part(HAS_TRIM) then

local SLACK_AT = 61
-- the reason that events tell; COMPLETED is 4, the number of those that were trimmed 12
local RETENTION, TRIMMED = 40, 8

local function drop_plain(q, place, ids, state)
    if #ids == 0 then
        return
    end
    in_pieces('HDEL', COLD, ids)
    in_pieces('HDEL', HOT, ids)
    in_pieces('ZREM', place, ids)
    q[state], q[state + TRIMMED], q.dirty = math.max(q[state] - #ids, 0), q[state + TRIMMED] + #ids, true
end

-- Nothing hangs on it but its two strings? Asked once for each hot string: those of one batch are alike.
local function is_plain(hot)
    return band(cut('>I4', hot, 4), F_KIDS + F_PARENTS + F_KEYED + F_RESULT + F_PROGRESS + F_DATA + F_ERRORS +
        F_BULK + F_LOG) == 0
end

-- Returns how many may still be removed.
local function drop_some(q, place, state, oldest, left)
    local found, plain, known = many(HOT, oldest), {}, {}
    for i = 1, #oldest do
        local hot = found[i]
        if hot and known[hot] == nil then
            known[hot] = not events and is_plain(hot)
        end
        if hot and known[hot] then
            plain[#plain + 1] = oldest[i]
            left = left - 1
        else
            local row = open(oldest[i])
            if row and not has_kids(row) then
                if events then
                    events.tell(row, GONE, RETENTION)
                end
                remove(row)
                q[state + TRIMMED], q.dirty = q[state + TRIMMED] + 1, true
                left = left - 1
            end
        end
        if left == 0 then
            break
        end
    end
    drop_plain(q, place, plain, state)
    return left
end

local function is_past(at, ms)
    return near(add(at, ms)) < now
end

-- How many are to go.
local function over_count(keep, count)
    return near(keep) >= 0 and math.max(count - near(keep), 0) or 0
end

-- Mostly not even the first one goes. What is not written yet has ended now, and is not old.
local function goes_any(place, over, keep_ms)
    return over > 0
        or (near(keep_ms) > 0 and is_past(tonumber(call('ZRANGE', place, '0', '0', 'WITHSCORES')[2] or now), keep_ms))
end

-- ---- one state of a queue ------------------------------------------------------------------------------------------
-- w: q, state, place, keep_ms; over: how many are over the count; left: how many may still be removed; start: how many
-- of the oldest rows keep their place.

local function is_old(w, at)
    return near(w.keep_ms) > 0 and is_past(tonumber(at), w.keep_ms)
end

-- The oldest rows behind those that keep their place, as far as they are to go; how many were asked for.
local function oldest_rows(w, most)
    local oldest, start = {}, w.start
    if near(w.keep_ms) <= 0 then -- those over the count, however old
        most = math.min(most, w.over)
        return most > 0 and call('ZRANGE', w.place, as_text(start), as_text(start + most - 1)) or oldest, most
    end
    local page = call('ZRANGE', w.place, as_text(start), as_text(start + most - 1), 'WITHSCORES')
    for i = 1, #page, 2 do
        if w.over - #oldest <= 0 and not is_old(w, page[i + 1]) then
            break
        end
        oldest[#oldest + 1] = page[i]
    end
    return oldest, most
end

-- Of the next `number` rows. Those over the count stand first, those over the age too: the walk ends at the first that
-- is neither. Returns whether it came past all of them.
local function trim_rows(w, number)
    while w.left > 0 and number > 0 do
        local oldest, asked = oldest_rows(w, math.min(w.left, 512, number))
        if #oldest == 0 then
            return false
        end
        local before = w.left
        w.left = drop_some(w.q, w.place, w.state, oldest, w.left)
        write_lists()
        w.start = w.start + #oldest - (before - w.left) -- those with open children keep their place
        w.over, number = w.over - #oldest, number - #oldest
        if #oldest < asked then
            return false
        end
    end
    return number == 0
end

-- Members of the oldest record. Returns whether all of them went.
local function trim_members(w, r)
    local size = r.size
    local go = math.min(is_old(w, r.finished_at) and size or math.max(math.min(w.over, size), 0), w.left)
    if go > 0 then
        local ids, q = B.take_first(r, go), w.q
        in_pieces('HDEL', COLD, ids)
        q[COMPLETED], q[COMPLETED + TRIMMED] = math.max(q[COMPLETED] - go, 0), q[COMPLETED + TRIMMED] + go
        q[PAST], q.dirty = q[PAST] - go, true
        w.left, w.over = w.left - go, w.over - go
    end
    return go == size
end

-- Rows and records in turn, as they ended. Where more than one record or rows ended at the same time their ids say who
-- is first: then they are as any other rows.
local function trim_with_records(w)
    while w.left > 0 do
        local r = w.q[PAST] > 0 and B.past_at(w.q.name, 0)
        if not r then
            trim_rows(w, EXACT)
            return
        end
        local at, following = as_text(r.finished_at), B.past_at(w.q.name, 1)
        if (following and following.finished_at == r.finished_at) or call('ZCOUNT', w.place, at, at) > 0 then
            B.leave_all(r)
        elseif not trim_rows(w, call('ZCOUNT', w.place, '-inf', '(' .. at) - w.start) or not trim_members(w, r) then
            return
        end
    end
end

-- Does anything go of the records?
local function goes_any_member(q, over, keep_ms)
    local r = over <= 0 and near(keep_ms) > 0 and B.past_at(q.name, 0)
    return r and is_past(r.finished_at, keep_ms)
end

-- Returns how many may still be removed.
local function trim_state(q, state, keep, keep_ms, left)
    local place, over = SPACE .. 'ended:' .. state .. ':' .. q.name, over_count(keep, q[state])
    local w = { q = q, state = state, place = place, keep_ms = keep_ms, over = over, left = left, start = 0 }
    local with_records = state == COMPLETED and q[PAST] > 0
    if not goes_any(place, over, keep_ms) and not (with_records and goes_any_member(q, over, keep_ms)) then
        return left
    end
    flush()
    if with_records and not events then
        trim_with_records(w)
    else
        trim_rows(w, EXACT)
    end
    return w.left
end

-- How many stand up to the place that it came to; none when the clock says that it cannot have come so far.
local function looked_at(place, said, ms)
    local at = said and near(take(said, 1))
    if not at or not is_past(at, ms) then
        return 0
    end
    local id = sub(said, 9)
    if tonumber(call('ZSCORE', place, id) or -1) == at then
        return call('ZRANK', place, id) + 1
    end
    return call('ZCOUNT', place, '-inf', string.format('(%.0f', at)) -- it is gone, and those before it
end

local function forget_results(ids)
    local found = many(HOT, ids)
    for i, id in ipairs(ids) do
        local row = found[i] and band(cut('>I4', found[i], 4), F_RESULT) ~= 0 and open(id)
        if row then
            set_extra(row, F_RESULT, 'R', nil)
            row.dirty = true
        end
    end
end

-- Returns how many may still be looked at.
local function trim_results(q, ms, left)
    local place, notes, ids, at = SPACE .. 'ended:' .. COMPLETED .. ':' .. q.name, SPACE .. 'results', {}, nil
    local start = looked_at(place, call('HGET', notes, q.name), ms)
    local page = call('ZRANGE', place, start, start + math.min(left, 512) - 1, 'WITHSCORES')
    for i = 1, #page, 2 do
        if not is_past(tonumber(page[i + 1]), ms) then
            break
        end
        ids[#ids + 1], at = page[i], tonumber(page[i + 1])
    end
    if at then
        forget_results(ids)
        call('HSET', notes, q.name, give(at) .. ids[#ids])
    end
    return left - #ids
end

-- Where the counts and ages that hold stand: the queue's own go first.
local function keeps_of(settings, s)
    if band(byte(settings, PARTS_AT), HAS_KEEPS) ~= 0 then
        return settings, KEEPS_AT
    end
    return s, 5
end

-- Is there nothing to do yet in a queue of these settings, with so many completed? Where the next job is claimed as
-- well, a few over the count may wait for each other: taking some away costs hardly more than taking one.
function trims_none(place, settings, s, completed)
    local keeps, at = keeps_of(settings, s)
    local keep = take(keeps, at)
    local over = over_count(keep, completed)
    local part, most = cut('>I4I4', s, SLACK_AT)
    if part > 0 and over <= math.min(math.floor(near(keep) / part), most) then
        over = 0
    end
    return near(take(keeps, at + 48)) <= 0 and not goes_any(place, over, take(keeps, at + 24))
end

-- In order of their bytes: with too small a limit it matters who is first.
local function by_bytes(a, b)
    for i = 1, math.min(#a, #b) do
        if byte(a, i) ~= byte(b, i) then
            return byte(a, i) < byte(b, i)
        end
    end
    return #a < #b
end

function trim(s)
    local left = cut('>I4', s)
    local names = {}
    for name, q in pairs(queues) do
        if q.ended ~= 0 then
            names[#names + 1] = name
        end
    end
    if names[2] then
        table.sort(names, by_bytes)
    end
    for _, name in ipairs(names) do
        local q = queues[name]
        local keeps, at = keeps_of(q.settings, s)
        if events then
            B.settle_past(q, 0) -- of each row its end is told
        end
        for state = COMPLETED, CANCELLED do
            if left > 0 and band(q.ended, 2 ^ state) ~= 0 then
                local count_at = at + 8 * (state - COMPLETED)
                left = trim_state(q, state, take(keeps, count_at), take(keeps, count_at + 24), left)
            end
        end
    end
    for _, name in ipairs(names) do
        local q = queues[name]
        local keeps, at = keeps_of(q.settings, s)
        local ms = band(q.ended, 2 ^ COMPLETED) ~= 0 and take(keeps, at + 48) or 0
        if left > 0 and near(ms) > 0 then
            flush()
            left = trim_results(q, ms, left)
        end
    end
end

end
