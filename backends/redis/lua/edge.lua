-- SPDX-License-Identifier: MIT
-- Who waits for whom. A child's parents stand in one string, extra[id .. 'U']: parent (16), B rule, B open, in the
-- order of the put. A parent's open edges stand in the sorted set kids:PARENT, those that need no decision (rule
-- IGNORE) in front, by child: child (16), B rule.

local put_edges, open_edge, reopen_edges, close_edges, resolve_edges, undecided, wait
do

local IGNORE, EDGES_AT_ONCE = 2, 64

local function lets_go(state, rule)
    return state == COMPLETED or state == GONE or (rule == IGNORE and is_ended(state))
end

local function state_of(id)
    local row = open(id)
    return row and row.state or GONE
end

-- The parent's open edges change: its place on the clock may, too.
local function touch(id)
    local row = open(id)
    if row then
        row.dirty = true
        set(row, F_KIDS, true)
    end
end

function open_edge(parent, child, rule)
    touch(parent)
    call('ZADD', SPACE .. 'kids:' .. parent, rule == IGNORE and 0 or 1, child .. char(rule))
end

local function close_edge(parent, child, rule)
    touch(parent)
    call('ZREM', SPACE .. 'kids:' .. parent, child .. char(rule))
end

local function read_parents(id)
    local s, list = call('HGET', EXTRA, id .. 'U') or '', {}
    for at = 1, #s, 18 do
        list[#list + 1] = { id = sub(s, at, at + 15), rule = byte(s, at + 16), open = byte(s, at + 17) == 1 }
    end
    return list
end

-- Read once an exchange and written once: a thousand parents of one child may end together.
local function parents_of(row)
    if not row.parents then
        row.parents = has(row, F_PARENTS) and read_parents(row.id) or {}
    end
    row.parents_dirty, row.dirty = true, true
    return row.parents
end

write_dirty_parents = function(row)
    local out = {}
    for _, edge in ipairs(row.parents) do
        if not edge.gone then
            out[#out + 1] = edge.id .. char(edge.rule, edge.open and 1 or 0)
        end
    end
    set_extra(row, F_PARENTS, 'U', out[1] and concat(out) or nil)
    row.parents, row.parents_dirty = nil, false
end

parents_shown = function(id)
    local out = {}
    for _, edge in ipairs(read_parents(id)) do
        out[#out + 1] = edge.id .. char(edge.rule, state_of(edge.id))
    end
    return concat(out)
end

-- Let the child wait for these parents: 17 bytes each, id and rule. Only the first rule of a parent counts, also when
-- it let go at once and left no edge.
function put_edges(child, parents)
    local list, seen, pending = parents_of(child), {}, 0
    for at = 1, #parents, 17 do
        local id, rule = sub(parents, at, at + 15), byte(parents, at + 16)
        if not seen[id] and not lets_go(state_of(id), rule) then
            open_edge(id, child.id, rule)
            list[#list + 1] = { id = id, rule = rule, open = true }
            pending = pending + 1
        end
        seen[id] = true
    end
    child.pending = pending
end

function reopen_edges(child)
    local pending = 0
    for _, edge in ipairs(parents_of(child)) do
        if not edge.gone and not edge.open and lets_go(state_of(edge.id), edge.rule) then
            edge.gone = true
        elseif not edge.gone then
            if not edge.open then
                open_edge(edge.id, child.id, edge.rule)
                edge.open = true
            end
            pending = pending + 1
        end
    end
    return pending
end

function close_edges(child, keep)
    if not has(child, F_PARENTS) and not child.parents then
        return
    end
    for _, edge in ipairs(parents_of(child)) do
        if edge.open and not edge.gone then
            close_edge(edge.id, child.id, edge.rule)
            edge.open = false
        end
        edge.gone = edge.gone or not keep
    end
end

-- The row enters WAITING: run_at is set, the bit is stored.
function wait(row)
    row.state, row.reason = WAITING, 0
    row.due = near(row.run_at) <= now
    row.lease_until, row.stop_at = 0, 0
    wake = true
end

-- One parent less for this child; without any it waits for its turn.
local function let_go(id, parent)
    local child = open(id)
    if not child then
        return
    end
    for _, edge in ipairs(parents_of(child)) do
        if edge.id == parent then
            edge.gone = true
        end
    end
    child.pending = math.max(child.pending - 1, 0)
    if child.pending == 0 and not has(child, F_HELD) and child.state == BLOCKED then
        if near(child.run_at) < now then
            child.run_at = now
        end
        count(child, BLOCKED, WAITING)
        wait(child)
        if events then
            events.tell(child, WAITING)
        end
    end
end

-- At most 64 edges that need no decision. True when there are more of them.
function resolve_edges(parent)
    local first = call('ZRANGE', SPACE .. 'kids:' .. parent.id, 0, EDGES_AT_ONCE)
    for i = 1, #first do
        local child, rule = sub(first[i], 1, 16), byte(first[i], 17)
        if not lets_go(parent.state, rule) then
            return false
        elseif i > EDGES_AT_ONCE then
            wake = true -- the rest is the sweeper's
            return true
        end
        close_edge(parent.id, child, rule)
        let_go(child, parent.id)
    end
    return false
end

-- Children that wait for a decision: id, rule, the parent's state.
function undecided(parent)
    if parent.state == COMPLETED then
        return ''
    end
    local out = {}
    for _, member in ipairs(call('ZRANGEBYSCORE', SPACE .. 'kids:' .. parent.id, 1, 1, 'LIMIT', 0, EDGES_AT_ONCE)) do
        out[#out + 1] = member .. char(parent.state)
    end
    return concat(out)
end

end
