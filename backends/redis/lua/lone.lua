-- SPDX-License-Identifier: MIT
-- A put of its own, which is what most calls are: one plain job without key and group. Nothing is needed for it but
-- what is read here, so it comes before all other functions and is answered before they, or their tables, are made. In a
-- library, which has all functions by then, one for one is answered here too.

-- Is one plain job all that is asked, and does the store do nothing else for it?
local function is_lone()
    return puts == 1 and beats + changes == 0
        and band(asked, HAS_TRIM + HAS_WORKER + HAS_WANT + HAS_RECEIPT) == HAS_RECEIPT
        and byte(ARGV[2]) == RUN and meta[1] == SCHEMA and now >= top and not uses_some(USES_EVENTS)
        and not (tick and near(tick) <= now) and not is_repeated()
end

-- The answer; nil: nothing was done.
local function put_alone()
    local _, _, flags, queue, kind = cut('>I2I4BBc0Bc0', ARGV[2], 2)
    if flags ~= 0 or queue ~= first_queue then -- RUN_KEYED, RUN_GROUPED
        return nil
    end
    local next_at, record, id = next_due(), with_one_more(first_record or NEW_QUEUE), ARGV[3]
    if not record or (next_at and near(next_at) >= EXACT)
        or call('HSETNX', COLD, id, '\0' .. now8 .. pack('>I8', seq + 1) .. ARGV[4]) == 0 then
        return nil
    end
    -- a list that is there has its kind in the set
    if call('RPUSH', SPACE .. 'list:' .. lane_of(queue, kind), id) == 1 then
        call('SADD', SPACE .. 'kinds:' .. queue, kind)
    end
    if not first_record then
        call('SADD', QUEUES, queue)
    end
    call('HSET', META, 'seq', format('%d', seq + 1), 'top', now_text, 'q' .. queue, record,
        receipt_field, make_receipt(DONE, '\0\0\0\0', NO_WANT, ''))
    fade_keys()
    wake_others()
    return { answer_head(0, next_at, DONE, NO_WANT, 0) }
end

local one_for_one -- one.lua: the answer, if that is asked; false or nil: nothing was done
-- each call
local early = is_lone() and put_alone() or one_for_one and one_for_one()
if early then
    return early
end
-- end of each call
