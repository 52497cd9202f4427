-- SPDX-License-Identifier: MIT
-- What every script begins with: names, the numbers of <jobq/backend.h>, and 64-bit arithmetic.
--
-- Scripts are these files one behind the other. KEYS[1] is "{namespace}:meta"; every other key begins with the same
-- "{namespace}:", so that a cluster keeps them together. ARGV is made by request.c, answers are read by answer.c.
--
-- A script may be a library's function too, which is made once and called many times: see script.py. So whatever one
-- call knows that the next must not is set between "each call" and "end of each call", and in every call again.

local call, sub, byte, char, concat = redis.call, string.sub, string.byte, string.char, table.concat
local pack, cut, format = struct.pack, struct.unpack, string.format
local band, bor, bnot = bit.band, bit.bor, bit.bnot
local with_schedules, with_groups, with_limits = true, true, true -- is their part of the script needed?
local G = {} -- the functions of groups: a script has room for 200 locals
local B = {} -- those of batches
local MEMO = {} -- texts of numbers as a BITFIELD names them; a library keeps them from call to call
local TEXTS = {} -- those of small numbers; a library keeps them, too
local events -- nil unless they are kept: event.lua
-- In the store's head under "lacks": what it never had so far, and need not be asked for. A store that says nothing may
-- have all.
local LACKS_DELAYS, LACKS_WINDOWS, LACKS_BATCHES, LACKS_EDITED = 1, 2, 4, 8 -- edited: rows that stand in a list
local AS_SCRIPT = 1 -- 0 in a library
local now, now8, now_text, micros -- the present as a number, as its eight bytes and as digits
local tick -- the least next of a schedule that is not paused, or nil
local META, SPACE, COLD, HOT, EXTRA, QUEUES, CLOCK, HELD, KEY, FADE, NEXT, WORKERS, AFTER, CLIENTS
-- each call
if META ~= KEYS[1] then
    META, SPACE = KEYS[1], sub(KEYS[1], 1, -5)
    COLD, HOT, EXTRA, QUEUES = SPACE .. 'cold', SPACE .. 'hot', SPACE .. 'extra', SPACE .. 'queues'
    CLOCK, HELD, KEY, FADE = SPACE .. 'clock', SPACE .. 'held', SPACE .. 'key', SPACE .. 'fade'
    NEXT, WORKERS, AFTER, CLIENTS = SPACE .. 'next', SPACE .. 'workers', SPACE .. 'after', SPACE .. 'clients'
end
-- end of each call

local BLOCKED, WAITING, RUNNING, COMPLETED, DEAD, CANCELLED, GONE = 1, 2, 3, 4, 5, 6, 7
local SCHEMA = '6'

-- redis.call takes at most about 8,000 arguments from a table.
local AT_ONCE = 3000

-- ---- numbers of 64 bits -----------------------------------------------------------------------------------------
--
-- A Lua number is exact up to 2^53. Every instant that comes true is; beyond that (a delay of "never") a number is kept
-- as its eight bytes, big endian, so that it comes back as it was.

local EXACT = 9007199254740992
local ZERO8, NEVER = ('\0'):rep(8), '\127' .. ('\255'):rep(7)
local NO_TOKEN = ('\0'):rep(16)

local function take(s, at)
    local v = cut('>i8', s, at)
    if v < EXACT and v > -EXACT then
        return v
    end
    return sub(s, at, at + 7)
end

local function give(v)
    if v == 0 then
        return ZERO8
    elseif type(v) == 'number' then
        return pack('>i8', v)
    end
    return v
end

-- As good as a number can be: right in a comparison with an instant that has come, and as a score.
local function near(v)
    if type(v) == 'number' then
        return v
    end
    return (cut('>i8', v))
end

local function less(a, b)
    local x, y = near(a), near(b)
    if x ~= y or (type(a) == 'number' and type(b) == 'number') then
        return x < y
    end
    local a_high, a_low = cut('>i4I4', give(a))
    local b_high, b_low = cut('>i4I4', give(b))
    return a_high < b_high or (a_high == b_high and a_low < b_low)
end

-- a + b, saturating at both ends.
local function add(a, b)
    if type(a) == 'number' and type(b) == 'number' then
        local sum = a + b
        if sum < EXACT and sum > -EXACT then
            return sum
        end
    end
    local a_high, a_low = cut('>i4I4', give(a))
    local b_high, b_low = cut('>i4I4', give(b))
    local high, low = a_high + b_high, a_low + b_low
    if low >= 4294967296 then
        high, low = high + 1, low - 4294967296
    end
    if high > 2147483647 then
        return NEVER
    elseif high < -2147483648 then
        return '\128' .. sub(ZERO8, 2)
    end
    return take(pack('>i4I4', high, low), 1)
end

-- ---- helpers ------------------------------------------------------------------------------------------------------

-- A whole number as text: redis.call would print it as the fraction that it could be, which takes several times as
-- long.
local function as_text(n)
    if n >= 0 and n < 1000 then
        local text = TEXTS[n]
        if not text then
            text = format('%d', n)
            TEXTS[n] = text
        end
        return text
    end
    return n < EXACT and n > -EXACT and format('%d', n) or n
end

-- call(command, key, list[1], list[2], ...) in pieces of an even number. Returns what the last one answered.
local function in_pieces(command, key, list)
    local count, last = #list, nil
    if count <= AT_ONCE then
        return count > 0 and call(command, key, unpack(list)) or nil
    end
    for from = 1, count, AT_ONCE do
        last = call(command, key, unpack(list, from, math.min(from + AT_ONCE - 1, count)))
    end
    return last
end

local function many(key, fields)
    local count = #fields
    if count <= AT_ONCE then
        return count > 0 and call('HMGET', key, unpack(fields)) or {}
    end
    local all = {}
    for from = 1, count, AT_ONCE do
        local some = call('HMGET', key, unpack(fields, from, math.min(from + AT_ONCE - 1, count)))
        for i = 1, #some do
            all[from + i - 1] = some[i]
        end
    end
    return all
end

-- Ready rows stand in lanes: of a queue and a kind, those with a group of queue, group and kind.
local function lane_of(queue, kind, group)
    if group then
        return G.shelf_of(queue, group) .. ':' .. kind
    end
    return as_text(#queue) .. ':' .. queue .. ':' .. kind
end

-- Queues are one string each in META, under 'q' and the name; the set "queues" has the names. Names and strings in
-- turn.
local function all_queues()
    local names, fields, all = call('SMEMBERS', QUEUES), {}, {}
    for i = 1, #names do
        fields[i] = 'q' .. names[i]
    end
    local records = many(META, fields)
    for i = 1, #names do
        all[2 * i - 1], all[2 * i] = names[i], records[i]
    end
    return all
end

local first_queue, first_record -- of an exchange: a queue whose string is read with its head
local lacks
-- each call
lacks, first_queue, first_record = 0, nil, nil
-- end of each call
local function lacks_some(what)
    return band(lacks, what) ~= 0
end

-- Now it has some.
local function has_met(what)
    lacks = band(lacks, bnot(what))
end

local function is_ended(state)
    return state >= COMPLETED and state <= CANCELLED
end

local at_argument
-- each call
at_argument = 0
-- end of each call
-- The next one. With a number: so many are passed by, and it is said how many stand before them.
local function argument(number)
    local before = at_argument
    at_argument = before + (number or 1)
    return number and before or ARGV[at_argument]
end

-- The store's clock: the server's, plus the offset that tests move.
local function read_clock(offset)
    local time = call('TIME')
    local seconds, micros = tonumber(time[1]), tonumber(time[2])
    return seconds * 1000 + math.floor(micros / 1000) + (offset and tonumber(offset) or 0), seconds * 1000000 + micros
end
