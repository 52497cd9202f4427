-- SPDX-License-Identifier: MIT
-- Rows that retention takes away. ARGV: I4 limit, then for completed, dead, cancelled i8 count, and i8 age of each.

local trim
if has_part(HAS_TRIM) then

local RETENTION, TRIMMED = 40, 8 -- the reason that events tell; COMPLETED is 4, the number of those that were trimmed 12

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

-- Those over the count stand first, those over the age too: the walk ends at the first that is neither. Returns how many may
-- still be removed.
local function trim_state(q, state, keep, keep_ms, left)
    local place, start = SPACE .. 'ended:' .. state .. ':' .. q.name, 0
    local over = near(keep) >= 0 and math.max(q[state] - near(keep), 0) or 0
    while left > 0 do
        local page = call('ZRANGE', place, start, start + math.min(left, 512) - 1, 'WITHSCORES')
        local oldest = {}
        for i = 1, #page, 2 do
            local old = near(keep_ms) > 0 and near(add(tonumber(page[i + 1]), keep_ms)) < now
            if over <= 0 and not old then
                break
            end
            over = over - 1
            oldest[#oldest + 1] = page[i]
        end
        if #oldest == 0 then
            return left
        end
        local before = left
        left = drop_some(q, place, state, oldest, left)
        write_lists()
        start = start + #oldest - (before - left) -- those with open children keep their place
        if 2 * #oldest < #page then
            return left
        end
    end
    return left
end

function trim(s)
    local left = cut('>I4', s)
    local names = {}
    for name, q in pairs(queues) do
        if q.ended ~= 0 then
            names[#names + 1] = name
        end
    end
    -- In order of their bytes: with too small a limit it matters who is first.
    table.sort(names, function(a, b)
        for i = 1, math.min(#a, #b) do
            if byte(a, i) ~= byte(b, i) then
                return byte(a, i) < byte(b, i)
            end
        end
        return #a < #b
    end)
    for _, name in ipairs(names) do
        local q = queues[name]
        local from, at = s, 5
        if band(byte(q.settings, PARTS_AT), HAS_KEEPS) ~= 0 then
            from, at = q.settings, KEEPS_AT
        end
        for state = COMPLETED, CANCELLED do
            if left > 0 and band(q.ended, 2 ^ state) ~= 0 then
                local i = at + 8 * (state - COMPLETED)
                left = trim_state(q, state, take(from, i), take(from, i + 24), left)
            end
        end
    end
end

end
