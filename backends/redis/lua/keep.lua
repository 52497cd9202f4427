-- SPDX-License-Identifier: MIT
-- How many events are kept: meta.events, a mark among what the store uses, and the stream of event.lua. The last cursor
-- stays when none are. ARGV[3]: i8.

local USES_EVENTS = 8

local function configure_events(meta_uses)
    local keep, uses, stream = near(take(ARGV[3], 1)), tonumber(meta_uses or 0), SPACE .. 'events'
    if keep > 0 then
        call('HSET', META, 'events', string.format('%.0f', keep), 'uses', bor(uses, USES_EVENTS))
        call('XTRIM', stream, 'MAXLEN', string.format('%.0f', keep))
    else
        call('HDEL', META, 'events')
        call('HSET', META, 'uses', band(uses, bnot(USES_EVENTS)))
        call('UNLINK', stream)
    end
    return 0
end
