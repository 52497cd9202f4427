-- SPDX-License-Identifier: MIT
-- Keys whose window has run out since their job ended: whoever puts takes some of them away.

local FADE_AT_ONCE = 16

local function fade_keys()
    if lacks_some(LACKS_WINDOWS) then
        return
    end
    for _, scope in ipairs(call('ZRANGEBYSCORE', FADE, '-inf', now_text, 'LIMIT', '0', FADE_AT_ONCE)) do
        call('HDEL', KEY, scope)
        call('ZREM', FADE, scope)
    end
end
