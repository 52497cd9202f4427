-- SPDX-License-Identifier: MIT
-- One for one: a worker that holds one job at a time hands it in and takes the next. Where neither job, nor the queue,
-- nor the store has anything special about it, this takes the steps of change.lua, trim.lua and claim.lua by their
-- rules, without the books that many jobs need. Where they have, nothing is done here.

local ONE_FOR_ONE = 13 -- what is asked: HAS_TRIM, HAS_WANT, HAS_RECEIPT
if has_part(HAS_WANT) and changes > 0 then

-- The row that completes: its id, what it comes to, the mint that held it, its result.
local function read_end()
    if byte(ARGV[3]) ~= 1 then
        return nil
    end
    local _, held_by, edits, outcome, reason, with_result = cut('>I2c16I4BBB', ARGV[3], 2)
    local id, mint = ARGV[4], sub(held_by, 1, 8)
    local hot = outcome == OUTCOME_COMPLETE and call('HGET', HOT, id)
    local way = hot and plain_end(hot, char(COMPLETED, reason, outcome), held_by, edits)
    if not way or call('HGET', HELD, mint) ~= sub(held_by, 9) .. id then
        return nil
    end
    return id, way, mint, with_result ~= 0 and ARGV[5]
end

-- Which list the next one is to come from. It is the only place where rows of the queue stand that may be claimed now.
local function only_list(queue, kind)
    local later = not lacks_some(LACKS_DELAYS)
        and call('ZRANGEBYSCORE', SPACE .. 'later:' .. queue, '-inf', now_text, 'LIMIT', '0', '1')
    if later and later[1] then
        return nil
    elseif not kind then
        local kinds = call('SMEMBERS', SPACE .. 'kinds:' .. queue)
        if #kinds ~= 1 then
            return nil
        end
        kind = kinds[1]
    end
    local lane = lane_of(queue, kind)
    return call('EXISTS', SPACE .. 'rank:' .. lane, SPACE .. 'tomb:' .. lane) == 0 and SPACE .. 'list:' .. lane
end

-- The first row of the list, if nothing is special about it: its id, its cold string, its timeout, since when it could
-- run.
local function take_first(list)
    local id = list and call('LPOP', list)
    if not id then
        return nil
    end
    local cold, size, timeout, since, group = call('HGET', COLD, id), nil, nil, nil, nil
    if cold and (lacks_some(LACKS_EDITED) or not call('HGET', HOT, id)) then
        size, timeout, since, group = plain_parts(cold)
    end
    if not size or group then
        call('LPUSH', list, id)
        return nil
    end
    return id, cold, timeout, since
end

-- Is it all that is asked?
local function is_one()
    return asked == ONE_FOR_ONE and changes == 1 and puts + beats + uses == 0 and meta[1] == SCHEMA
        and not is_repeated()
end

-- What the answer says of the want, and the row that was claimed: id, cold string, hot string; nil: nothing was done.
-- What other parts know of this exchange may not be set yet.
local function hand_in_and_take()
    local ended, way, held_by, result = read_end()
    if not ended or way.group then
        return nil
    end
    local at = result and 6 or 5
    local want_said, queue = ARGV[at], ARGV[at + 1]
    local mode, limit, _, lease_ms, others, mint, queues_named, kinds_named, _, places, worker_at =
        cut(WANT_FORMAT, want_said)
    if mode ~= DUE or limit ~= 1 or queues_named ~= 1 or kinds_named > 1 or places ~= 0 or queue ~= way.queue
        or near(add(now, take(lease_ms, 1))) >= EXACT then
        return nil
    end
    local q = queue_of(queue)
    if q.paused or q[WAITING] == 0 or q[PAST] > 0
        or not trims_none(way.place, q.settings, ARGV[2], q[COMPLETED] + 1) then
        return nil
    end
    local id, cold, timeout, since = take_first(only_list(queue, ARGV[at + 2]))
    if not id then
        return nil
    end
    make_token(mint)
    local hot, lease = hot_of_fresh(queue, timeout, others == 0, take(lease_ms, 1),
        worker_in(want_said, worker_at))
    if result then
        call('HSET', EXTRA, ended .. 'R', result)
    end
    call('HSET', HOT, ended, result and hot_with_result(way) or way.hot, id, hot)
    call('ZREM', CLOCK, ended)
    call('ZADD', way.place, now_text, ended)
    call('HDEL', HELD, held_by)
    call('ZADD', CLOCK, as_text(lease), id)
    write_new_held(mint, sub(token, 9) .. id)
    q[WAITING], q[COMPLETED], q[8] = q[WAITING] - 1, q[COMPLETED] + 1, q[8] + 1
    write_figures_of_one(queue, since, way.started)
    local want_part = '\0' .. token .. '\0\0\0\1\0\2\0\0'
    call('HSET', META, 'fence', format('%d', fence), 'q' .. queue, pack_queue(q),
        receipt_field, make_receipt(DONE, '\0\0\0\0', want_part, id))
    return want_part, id, cold, hot
end

local function answered()
    local want_part, id, cold, hot = hand_in_and_take()
    -- This lease is the first thing to come, or something before it: none of them is beyond what a score can say.
    return want_part and { answer_head(0, next_due(), DONE, want_part, 0), id, cold, hot }
end

function one_for_one()
    return is_one() and not (tick and near(tick) <= now) and answered()
end

end
