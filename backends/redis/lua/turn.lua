-- SPDX-License-Identifier: MIT
-- Groups in turn: struct jobq_turn of <jobq/backend.h>, which a script cannot call. The cursor's bytes are the client's
-- affair: it says where the circle of each queue stands and hears where it stands then.
--
-- A place: I4 given, B there is a `since`, B length, the group, B length, since. Answered: I2 the queue's number before
-- it.

if has_part(HAS_WANT) and with_groups then

local LOOKS_MOST = 64

-- Strings are compared by the server's locale, numbers are not.
function G.bytes_order(a, b)
    if a == b then
        return 0
    end
    local from, most = 1, math.min(#a, #b)
    while from + 3 <= most and sub(a, from, from + 3) == sub(b, from, from + 3) do
        from = from + 4
    end
    for i = from, most do
        local x, y = byte(a, i), byte(b, i)
        if x ~= y then
            return x - y
        end
    end
    return #a - #b
end

function G.read_turn(s)
    local turn, has_since = { given = 0, looks = 0 }, nil
    if s and s ~= '' then
        turn.given, has_since, turn.group, turn.since = cut('>I4BBc0Bc0', s)
        turn.since = has_since == 1 and turn.since or nil
    end
    return turn
end

function G.say_turn(turn, number)
    local since = turn.since or ''
    return pack('>I2I4BB', number, turn.given, turn.since and 1 or 0, #turn.group) .. turn.group ..
        char(#since) .. since
end

-- Does going on from turn.group to this one come to, or past, the place where the fruitless looks began?
local function round_is_whole(turn, group)
    if not turn.since or not turn.group then
        return false
    end
    local wraps = G.bytes_order(group, turn.group) <= 0
    local wrapped = G.bytes_order(turn.group, turn.since) < 0
    if wraps and wrapped then
        return true
    end
    return (wraps or wrapped) and G.bytes_order(group, turn.since) >= 0
end

local function goes_on(turn, group)
    return turn.given > 0 and turn.group == group
end

-- How many rows this group may give; 0: the queue is to be left.
function G.turn_look(turn, group, share)
    if goes_on(turn, group) then
        return turn.given < share and share - turn.given or 1
    elseif round_is_whole(turn, group) then
        turn.since = nil
        return 0
    elseif turn.looks >= LOOKS_MOST then
        return 0, true
    end
    return share
end

-- It gave so many; cut: there was no room for more.
function G.turn_gave(turn, group, count, share, cut_short)
    if cut_short and count == 0 then
        return
    end
    local in_turn = (goes_on(turn, group) and turn.given or 0) + count
    turn.given = cut_short and in_turn < share and in_turn or 0
    turn.group = group
    if count > 0 then
        turn.since, turn.looks = nil, 0
        return
    end
    turn.since, turn.looks = turn.since or group, turn.looks + 1
end

end
