-- SPDX-License-Identifier: MIT
-- Idempotency keys: one string per key that is held, in the hash "key" by scope:
--   job (16), B hold, B state the job ended in (0: it has not), window end (8), payload digest (32), [\1 if it has a
--   successor]
-- Of a job that has not ended the job alone, as its row says the rest, unless the key was given something else since.
-- Windows of ended jobs stand in the sorted set "fade" by their end, so that those that ran out can be found.

local own_key, write_key, key_held, key_string, take_key, settle_key, load_key_string
local put_successor -- store.lua: what the key's successor comes to
do

local HOLD_LIVE, HOLD_WAITING, HOLD_UNRESOLVED, HOLD_WINDOW, HOLD_FOREVER = 0, 1, 2, 3, 4

-- jobq_key_holds of <jobq/backend.h>, without `claimed`: a claim settles the key at once.
local function key_holds(hold, state, window)
    local live = state == BLOCKED or state == WAITING or state == RUNNING
    if hold == HOLD_WAITING then
        return live and state ~= RUNNING
    elseif hold == HOLD_UNRESOLVED then
        return live or state == DEAD
    elseif hold == HOLD_WINDOW then
        return live or ((state == COMPLETED or state == DEAD) and now < near(window))
    end
    return hold == HOLD_FOREVER or live
end

-- What the row's put said of its key: rule, scope, digest.
function own_key(row)
    return cut('Bc32c32', row.cold, row.key_at)
end

-- As the row says it.
local function key_of_row(row)
    local rule, scope, digest = own_key(row)
    return { scope = scope, job = row.id, hold = rule, ended = 0, window = row.window, digest = digest,
        successor = false }
end

local function read_key(scope, loaded)
    local s = loaded or call('HGET', KEY, scope)
    if not s then
        return false
    elseif #s == 16 then
        local row = open(s)
        return row and key_of_row(row)
    end
    local job, hold_rule, ended = cut('c16BB', s)
    return { scope = scope, job = job, hold = hold_rule, ended = ended, window = take(s, 19), digest = sub(s, 27, 58),
        successor = #s > 58 }
end

function key_string(k)
    return pack('c16BB', k.job, k.hold, k.ended) .. give(k.window) .. k.digest .. (k.successor and '\1' or '')
end

-- `short`: its job's row says the same.
function write_key(k, short)
    call('HSET', KEY, k.scope, short and k.job or key_string(k))
    if k.hold == HOLD_WINDOW and k.ended ~= 0 then
        has_met(LACKS_WINDOWS)
        call('ZADD', FADE, near(k.window), k.scope)
    elseif k.hold == HOLD_WINDOW then
        call('ZREM', FADE, k.scope)
    end
end

local function drop_key(k)
    call('HDEL', KEY, k.scope)
    if k.hold == HOLD_WINDOW then
        call('ZREM', FADE, k.scope)
    end
end

-- The key's holder has ended or is gone: whoever waits for that comes into being.
local function let_go(k)
    drop_key(k)
    if k.successor then
        local kept = call('HGET', AFTER, k.scope)
        call('HDEL', AFTER, k.scope)
        put_successor(kept)
    end
end

-- The key with its holder's row, if it is held now.
function key_held(scope)
    local k = read_key(scope)
    if not k then
        return false
    end
    local row = open(k.job)
    if row and not (row.key_at and sub(row.cold, row.key_at + 1, row.key_at + 32) == scope) then
        row = false -- another job of that id, which came when the key had outlived its own
    end
    if key_holds(k.hold, row and row.state or k.ended, k.window) then
        return k, row
    end
    return false
end

function take_key(row)
    if not row.key_at then
        return
    end
    local k = key_of_row(row)
    local old = read_key(k.scope)
    if old and old.hold == HOLD_WINDOW and k.hold ~= HOLD_WINDOW then
        call('ZREM', FADE, k.scope)
    end
    local again = old and old.job == row.id
    if old and old.successor and not again then
        call('HDEL', AFTER, k.scope)
    end
    k.successor = again and old.successor
    write_key(k, not k.successor)
end

-- The row comes to this state: does its key still hold?
function settle_key(row, state)
    if not row.key_at then
        return
    end
    local _, scope = own_key(row)
    local k = read_key(scope)
    if not k or k.job ~= row.id then
        return
    end
    if not key_holds(k.hold, state, k.window) then
        let_go(k)
        return
    end
    local ended = state >= COMPLETED and state or 0
    if ended ~= k.ended then
        k.ended = ended
        write_key(k)
    end
end

-- As it is in another store; what it displaces is held no more.
function load_key_string(scope, s)
    local old = read_key(scope)
    if old and old.hold == HOLD_WINDOW then
        call('ZREM', FADE, scope)
    end
    if old and old.successor then
        call('HDEL', AFTER, scope)
    end
    write_key(read_key(scope, s))
end

end
