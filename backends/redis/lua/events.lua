-- SPDX-License-Identifier: MIT
-- Reading events. ARGV[1]: i8 after, I4 how many. Answer: i8 oldest, i8 newest; then of each i8 cursor and the entry.

local stream = SPACE .. 'events'
local after, limit = near(take(ARGV[1], 1)), cut('>I4', ARGV[1], 9)
local newest = tonumber(call('HGET', META, 'event') or 0)

local function cursor_of(entry)
    return tonumber(string.match(entry[1], '^%d+'))
end

local first = call('XRANGE', stream, '-', '+', 'COUNT', 1)
local oldest = first[1] and cursor_of(first[1]) or newest + 1
local out = { give(oldest) .. give(newest) }
if limit > 0 and after < newest then
    local from = string.format('%.0f-0', math.max(after + 1, oldest))
    for _, entry in ipairs(call('XRANGE', stream, from, '+', 'COUNT', limit)) do
        out[#out + 1] = give(cursor_of(entry)) .. entry[2][2]
    end
end
return out
