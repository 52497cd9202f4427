-- SPDX-License-Identifier: MIT
-- One exchange, from its head to its answer. ARGV[1]: B flags, client (16), number (8), I4 beats, I4 changes, I4 puts,
-- handle (16), and up to its end a queue that is needed, if there is one.
--
-- Answer, first string: B status (0 done, 1 done before, 2 another request under this number, 3 the store is gone, 4 it
-- is of another version), i8 now, i8 next due, i8 next tick, I4 length and the verdicts, then of the want: B more (1),
-- it ran alone (2), token, I4 rows and 2 bytes for each, I2 places and each one as turn.lua says it, B schedules. The
-- other strings are the rows, then the schedules.

-- What rows say that stand in the clock, or among the delayed, at an instant beyond what a score can say.
local function overdue_exactly(id)
    local row = open(id)
    return row and overdue_at(row) or NEVER
end

local function run_at_exactly(member)
    local row = open(sub(member, 9))
    return row and row.run_at or NEVER
end

local function next_of_all()
    local at = next_due(overdue_exactly, run_at_exactly)
    if tick and near(tick) <= now then -- somebody looks at it any moment; what is behind it?
        at = earlier(at, next_of(call('ZRANGEBYSCORE', SCHEDULE_NEXT, '(' .. now_text, '+inf', 'WITHSCORES', 'LIMIT',
            '0', '1')))
    end
    return earlier(at, G.rate_ms and add(now, G.rate_ms))
end

local function reply(status, verdicts, want_part, schedules)
    views[1] = answer_head(status, next_of_all(), verdicts, want_part, schedules or 0)
    local all = views
    views = nil -- no call keeps the rows of the one before
    return all
end

-- ---- the same request again: nothing is done, what was answered is answered again, with the rows as they are now ----

local function view_held(row, with_token)
    if row and row.state == RUNNING and row.outcome == 0 and row.token == with_token then
        view(row, VIEW_PAYLOAD)
        return char(has(row, F_SWEPT_LEASE) and 1 or has(row, F_SWEPT_TIMEOUT) and 2 or 0, 0)
    end
    return ''
end

-- A row with the numbers that it had then, or as it is now.
local function show_again(id, hot)
    local row, n = hot == '' and open(id), #views
    if row then
        view(row, 0)
    else
        view_none()
    end
    if hot ~= '' then
        views[n + 2], views[n + 3], views[n + 4] = id, '\0' .. ZERO8 .. ZERO8 .. ZERO8, hot
    end
end

local function repeat_answer()
    if sub(receipt, 13, 24) ~= shape then
        return reply(2, '', NO_WANT)
    end
    local length, at = cut('>I4', receipt, 25)
    local verdicts = sub(receipt, at, at + length - 1)
    local shown
    shown, at = cut('>I4', receipt, at + length)
    for _ = 1, shown do
        local id, length = cut('>c16I2', receipt, at)
        show_again(id, sub(receipt, at + 18, at + 17 + length))
        at = at + 18 + length
    end
    local more, with_token, rows_held = byte(receipt, at), sub(receipt, at + 1, at + 16), {}
    for _, id in ipairs(B.list(sub(receipt, at + 17))) do
        local said = view_held(open(id), with_token)
        if said ~= '' then
            rows_held[#rows_held + 1] = said
        end
    end
    return reply(1, verdicts, char(more) .. with_token .. pack('>I4', #rows_held) .. concat(rows_held) .. '\0\0')
end

-- ---- the first write: a server that refuses writes says so here, with nothing done ----------------------------------
--
-- At maxmemory a command that may need memory is refused as long as the script has written nothing. So an exchange with
-- puts begins with one that may need memory, any other with one that does not: workers can always hand back what they
-- hold. A function of a library is refused before it runs (script.c).

local function write_first()
    if puts > 0 then
        call('HSET', META, 'seq', format('%d', seq + puts))
        seq_before = seq + puts
    else
        call('HDEL', META, '-')
    end
end

-- ---- the unit and the want ------------------------------------------------------------------------------------------

local function do_unit()
    local trim_said = has_part(HAS_TRIM) and argument() or nil
    beat_all(beats)
    if changes > 0 then
        change_all(changes)
    end
    if puts > 0 then
        put_all(puts)
    end
    if trim_said then
        trim(trim_said)
    end
    if changes > 0 then
        B.settle_some()
    end
    if is_open() then
        flush()
    end
    if has_part(HAS_WORKER) then
        note_worker()
    end
end

-- What the answer says of it, and how many schedules.
local function do_want()
    local want_part, schedules = NO_WANT, 0
    if has_part(HAS_WANT) then
        take_rows()
        if token or want.more or want.turns[1] then
            want_part = char((want.more and 1 or 0) + (want.ran_alone and 2 or 0)) .. (token or NO_TOKEN) ..
                pack('>I4', #given) .. concat(given) .. pack('>I2', #want.turns) .. concat(want.turns)
        end
        if want.mode == OVERDUE and with_schedules then
            schedules = due_schedules()
        end
    end
    return want_part, schedules
end

-- ---- what is written once, at the end -------------------------------------------------------------------------------

local function note_number(list, name, value, was)
    if value ~= was then
        list[#list + 1], list[#list + 2] = name, format('%d', value)
    end
end

-- What it is by now, where it changed.
local function note_head(list)
    if token then
        list[#list + 1], list[#list + 2] = 'fence', format('%d', fence)
    end
    note_number(list, 'seq', seq, seq_before)
    note_number(list, 'top', top, top_before)
    note_number(list, 'uses', uses, uses_before)
    note_number(list, 'lacks', lacks, lacks_before)
end

local function write_sums(verdicts, want_part)
    local list = note_queues({})
    if with_groups then
        G.write_groups()
    end
    if write_figures then
        write_figures()
    end
    if events then
        events.write()
    end
    note_head(list)
    if has_part(HAS_RECEIPT) then
        list[#list + 1], list[#list + 2] = receipt_field,
            make_receipt(verdicts, pack('>I4', #shown_again) .. concat(shown_again), want_part,
                concat(claimed or {}))
    end
    in_pieces('HSET', META, list)
end

local function exchange()
    if meta[1] ~= SCHEMA then
        return { char(meta[1] and 4 or 3) }
    end
    if is_repeated() then
        return repeat_answer()
    end
    if AS_SCRIPT == 1 then
        write_first()
    end
    B.begin()
    local one = AS_SCRIPT == 1 and one_for_one and one_for_one() -- a library has tried that: lone.lua
    if one then
        return one
    end
    do_unit()
    local want_part, schedules = do_want()
    flush()
    local verdicts = concat(answer)
    write_sums(verdicts, want_part)
    if wake then
        wake_others()
    end
    return reply(0, verdicts, want_part, schedules)
end

return exchange()
