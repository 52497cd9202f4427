-- SPDX-License-Identifier: MIT
-- What an exchange says at its end, to who asked, to others who wait, and to itself in case it is asked again.
--
-- A receipt stands in META under 'r' and the client: I4 when the client was noted, number (8), shape (12), I4 length
-- and the verdicts, I4 how many rows were shown, id, I2 length and hot string of each, B more, token, the ids that were
-- claimed, in the order in which they were given. The sorted set "clients" has the clients by when they were noted, in
-- seconds of the server's clock. One that kept no receipt for half an hour is forgotten when others come.

local NOTED_FOR, KEPT_FOR, FORGOTTEN_AT_ONCE = 900, 2700, '1000'
local DONE = '\255' -- among the verdicts: what nearly all items come to
local NO_WANT = '\0' .. NO_TOKEN .. '\0\0\0\0\0\0' -- what is said of a want that there is not, or that found nothing

local shape
-- each call
shape = pack('>I4I4I4', beats, changes, puts)
-- end of each call

local function is_repeated()
    return has_part(HAS_RECEIPT) and receipt and sub(receipt, 5, 12) == number
end

local function note_client(seconds)
    local gone = call('ZRANGEBYSCORE', CLIENTS, '-inf', as_text(seconds - KEPT_FOR), 'LIMIT', '0', FORGOTTEN_AT_ONCE)
    for i = 1, #gone do
        call('HDEL', META, 'r' .. gone[i])
    end
    in_pieces('ZREM', CLIENTS, gone)
    call('ZADD', CLIENTS, as_text(seconds), client)
    return seconds
end

-- When this client was noted last: now, if that was long ago.
local function noted_at()
    local seconds, noted = math.floor(micros / 1000000), receipt and cut('>I4', receipt) or 0
    return noted > seconds - NOTED_FOR and noted <= seconds and noted or note_client(seconds)
end

local function make_receipt(verdicts, shown, want_part, ids)
    return pack('>I4', noted_at()) .. number .. shape .. pack('>I4', #verdicts) .. verdicts .. shown ..
        sub(want_part, 1, 17) .. ids
end

local function answer_head(status, next_at, verdicts, want_part, schedules)
    return char(status) .. now8 .. give(next_at or NEVER) .. give(tick or NEVER) .. pack('>I4', #verdicts) ..
        verdicts .. want_part .. char(schedules)
end

local function wake_others()
    redis.pcall('PUBLISH', SPACE .. 'wake', handle)
end

-- ---- when the next thing after now happens by time alone ------------------------------------------------------------

-- nil: never.
local function earlier(a, b)
    return (not a or (b and less(b, a))) and b or a
end

-- The first instant behind now in a sorted set of them. A score is exact up to 2^53; beyond it `exactly` knows.
local function first_behind(key, exactly)
    local first = call('ZRANGEBYSCORE', key, '(' .. now_text, '+inf', 'WITHSCORES', 'LIMIT', '0', '1')
    local at = first[2] and tonumber(first[2])
    return at and at >= EXACT and exactly and exactly(first[1]) or at or nil
end

local function first_delayed(exactly)
    local queue, at = call('ZRANGE', NEXT, '0', '0', 'WITHSCORES'), nil
    if not queue[2] then
        return nil
    end
    -- A queue whose first row is due already may have a later one that is not.
    for _, name in ipairs(call('ZRANGEBYSCORE', NEXT, '-inf', now_text)) do
        at = earlier(at, first_behind(SPACE .. 'later:' .. name, exactly))
    end
    for _, name in ipairs(call('ZRANGEBYSCORE', NEXT, '(' .. now_text, '+inf', 'LIMIT', '0', '1')) do
        at = earlier(at, first_behind(SPACE .. 'later:' .. name, exactly))
    end
    return at
end

-- Without what groups' rates and schedules whose time has come say. `overdue`, `run_at`: what the clock's and the
-- delayed rows say where a score is not exact; without them it says the score.
local function next_due(overdue, run_at)
    local at = first_behind(CLOCK, overdue)
    if not lacks_some(LACKS_DELAYS) then
        at = earlier(at, first_delayed(run_at))
    end
    return earlier(at, tick and near(tick) > now and tick or nil)
end
