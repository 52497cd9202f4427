-- SPDX-License-Identifier: MIT
-- Opening a namespace. ARGV: B flags (1 make it if it is missing, 2 bring it up), a fresh store id (16).
-- Answer: B what was found (0 ours, 1 none, 2 something else), the version, the store id.

local flags, fresh_id = byte(ARGV[1]), ARGV[2]

local kind = call('TYPE', META)
kind = kind.ok or kind
if kind == 'none' then
    -- Rows without the line that says what they are: somebody else's, or half of a store.
    if call('EXISTS', COLD, HOT, QUEUES, CLOCK) > 0 then
        return { '\2', '', '' }
    elseif band(flags, 1) == 0 then
        return { '\1', '', '' }
    end
    call('HSET', META, 'version', SCHEMA, 'id', fresh_id, 'lacks',
        LACKS_DELAYS + LACKS_WINDOWS + LACKS_BATCHES + LACKS_EDITED)
    -- A worker hands in all that it holds and takes as many. An entry that is never due keeps the clock from being made
    -- anew each time, in the form for few, through which Redis walks for each entry, and then in that for many.
    call('ZADD', CLOCK, '-inf', '')
    return { '\0', SCHEMA, fresh_id }
elseif kind ~= 'hash' then
    return { '\2', '', '' }
end
local found = call('HMGET', META, 'version', 'id')
if not found[1] or not string.match(found[1], '^%d+$') or not found[2] or #found[2] ~= 16 then
    return { '\2', '', '' }
end
if found[1] == '2' and band(flags, 2) ~= 0 then -- what a queue counts became one more
    for _, name in ipairs(call('SMEMBERS', QUEUES)) do
        local record = call('HGET', META, 'q' .. name)
        call('HSET', META, 'q' .. name, sub(record, 1, 84) .. ('\0'):rep(6) .. sub(record, 85))
    end
end
-- Up to 5 each group of a queue had a set of its kinds. From 3 on records have groups, if new ones do; from 4 on keys
-- are short, if new ones are.
if string.match(found[1], '^[2-5]$') and band(flags, 2) ~= 0 then
    for _, name in ipairs(call('SMEMBERS', QUEUES)) do
        for _, group in ipairs(call('ZRANGE', SPACE .. 'circle:' .. name, '0', '-1')) do
            local key, all = SPACE .. 'kinds;' .. #name .. ';' .. #group .. ':' .. name .. group, ''
            for _, kind in ipairs(call('SMEMBERS', key)) do
                all = all .. char(#kind) .. kind
            end
            call('HSET', SPACE .. 'shelves:' .. name, group, all)
            call('DEL', key)
        end
    end
    call('HSET', META, 'version', SCHEMA)
    found[1] = SCHEMA
end
if found[1] == SCHEMA then
    for key, wanted in pairs({ [COLD] = 'hash', [HOT] = 'hash', [QUEUES] = 'set', [CLOCK] = 'zset' }) do
        local is = call('TYPE', key)
        is = is.ok or is
        if is ~= 'none' and is ~= wanted then
            return { '\2', '', '' }
        end
    end
end
return { '\0', found[1], found[2] }
