-- SPDX-License-Identifier: MIT
-- Limits are set: those of queues stand with them, those of groups and plans in a hash, see group.lua.

local USES_GROUPS, USES_LIMITS = 2, 4
local LIMITED = SPACE .. 'limited'

local function note_limits(meta_uses)
    call('HSET', META, 'uses', bor(tonumber(meta_uses or 0), USES_LIMITS))
end

-- A group or plan without any value is forgotten.
local function write_limits(name, l)
    if l.at_once == -2 and l.rate == -2 and l.quota == -2 and l.plan == '' then
        call('HDEL', SPACE .. 'limits', name)
        call('ZREM', LIMITED, name)
        return
    end
    call('HSET', SPACE .. 'limits', name, pack('>i8i8i8i8i8', l.at_once, l.rate, l.rate >= 0 and l.period or 0, l.quota,
        l.quota >= 0 and l.quota_period or 0) .. l.plan)
    call('ZADD', LIMITED, 0, name)
end
