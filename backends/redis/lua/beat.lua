-- SPDX-License-Identifier: MIT
-- Heartbeats. ARGV: token (16), B flags, lease (8).

local lease_end, is_stopped, beat_all, shown_again
do

local BEAT_RELEASE, BEAT_MINT = 1, 2
local MOST_INT = 2147483647

-- The end of a lease asked for now; never behind stop_at, never earlier than it was.
function lease_end(lease_until, stop_at, lease_ms)
    local at = add(now, lease_ms)
    if stop_at ~= 0 and less(stop_at, at) then
        at = stop_at
    end
    return less(lease_until, at) and at or lease_until
end

function is_stopped(row)
    return row.stop_at ~= 0 and near(row.stop_at) <= now
end

local function give_back(row)
    count(row, RUNNING, WAITING)
    wait(row)
    row.outcome = RELEASED
    row.releases = math.min(row.releases + 1, MOST_INT)
    if events then
        events.tell(row, WAITING)
    end
end

local function by_token(a, b)
    if a.fence ~= b.fence then
        return a.fence < b.fence
    end
    return a.order < b.order
end

local function mark(marks, row)
    row.fence, row.order = cut('>I8', row.token, 9), cut('>I8', row.arrival)
    marks[#marks + 1] = row
end

-- what a repeat of this request shows: id, I2 length and the hot string as it was; 0: as it is then
-- each call
shown_again = {}
-- end of each call

-- All of a batch by one write. Returns how many.
local function beat_batch(r, lease_ms)
    local was = take(r.hot, LEASE_AT)
    local lease = lease_end(was, 0, lease_ms)
    if near(lease) >= EXACT then
        B.leave_all(r)
        return 0
    elseif lease ~= was then
        B.extend(r, lease)
    end
    return r.size
end

local function beat_one(s)
    local token, flags, lease_ms = sub(s, 1, 16), byte(s, 17), take(s, 18)
    local release, by_mint = band(flags, BEAT_RELEASE) ~= 0, band(flags, BEAT_MINT) ~= 0
    local held, batch, marks, released = 0, not lacks_some(LACKS_BATCHES) and B.running(sub(token, 1, 8)), {}, {}
    if batch and (by_mint or B.token_of(batch) == token) then
        if release then
            B.leave_all(batch)
        else
            held = beat_batch(batch, lease_ms)
        end
    end
    local entries = call('HGET', HELD, sub(token, 1, 8)) or ''
    for at = 1, #entries, 24 do
        local row = (by_mint or sub(entries, at, at + 7) == sub(token, 9)) and open(sub(entries, at + 8, at + 23))
        if row and row.state == RUNNING and row.outcome == 0 and sub(row.token, 9) == sub(entries, at, at + 7) then
            held, row.dirty = held + 1, true
            if release then
                mark(released, row)
            else
                if has(row, F_CANCEL) or is_stopped(row) then
                    mark(marks, row)
                end
                if not is_stopped(row) then
                    row.lease_until = lease_end(row.lease_until, row.stop_at, lease_ms)
                end
            end
        end
    end
    if events then
        table.sort(released, by_token)
    end
    for _, row in ipairs(released) do
        give_back(row)
    end
    table.sort(marks, by_token)
    answer[#answer + 1] = pack('>I4I4', held, #marks)
    for _, row in ipairs(marks) do
        local hot = pack_hot(row)
        shown_again[#shown_again + 1] = row.id .. pack('>I2', #hot) .. hot
        view(row, 0)
    end
end

function beat_all(number)
    for _ = 1, number do
        beat_one(argument())
    end
end

end

-- ---- for changes and puts -------------------------------------------------------------------------------------------

local not_ok -- changes of this exchange whose verdict is not OK
-- each call
not_ok = {}
-- end of each call
local T_NOW, T_LATER, T_ABS, T_ROW = 1, 2, 3, 4

local function time_of(base, offset, own)
    if base == T_NOW then
        return add(now, offset)
    elseif base == T_LATER then
        return add(near(own) > now and own or now, offset)
    elseif base == T_ABS then
        return offset
    elseif base == T_ROW then
        return add(own, offset)
    end
    return own
end
