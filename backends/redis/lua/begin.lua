-- SPDX-License-Identifier: MIT
-- The head of an exchange and of the store, read first: what is not asked for, and what this store never used, is not
-- even made. Each call of a script makes all of its functions anew, and that takes longer than most commands. A library
-- has all of them, as if everything were asked for and used.

local HAS_TRIM, HAS_WORKER, HAS_WANT, HAS_RECEIPT, HAS_SUCCESSOR, HAS_SCHEDULES, HAS_GROUPS = 1, 2, 4, 8, 16, 32, 64
-- In the store's head under "uses": what it has met so far.
local USES_SUCCESSORS, USES_GROUPS, USES_LIMITS, USES_EVENTS = 1, 2, 4, 8

local asked, beats, changes, puts, uses = 255, 1, 1, 1, 255
local client, number, handle, meta, last_fence, seq, top
local seq_before, top_before, uses_before, lacks_before -- as they are stored
local receipt_field, receipt -- of this client

local function has_part(part)
    return band(asked, part) ~= 0
end

-- each call
asked, client, number, beats, changes, puts, handle = cut('>Bc16c8I4I4I4c16', argument())
first_queue, receipt_field = sub(ARGV[1], 54), 'r' .. client
meta = call('HMGET', META, 'version', 'offset', 'fence', 'seq', 'top', 'uses', 'tick', 'lacks', receipt_field,
    'q' .. first_queue)
last_fence, seq_before, top_before = tonumber(meta[3] or 0), tonumber(meta[4] or 0), tonumber(meta[5] or 0)
uses_before, lacks_before = tonumber(meta[6] or 0), tonumber(meta[8] or 0)
seq, top, uses, lacks, receipt, first_record = seq_before, top_before, uses_before, lacks_before, meta[9], meta[10]
if band(asked, HAS_SUCCESSOR + HAS_GROUPS) ~= 0 then
    uses = bor(uses, has_part(HAS_SUCCESSOR) and USES_SUCCESSORS or 0, has_part(HAS_GROUPS) and USES_GROUPS or 0)
end
if meta[1] == SCHEMA then
    now, micros = read_clock(meta[2])
    now8, now_text, tick = give(now), as_text(now), meta[7] and take(meta[7], 1) or nil
end
with_schedules = meta[7] or has_part(HAS_SCHEDULES)
with_groups, with_limits = band(uses, USES_GROUPS + USES_LIMITS) ~= 0, band(uses, USES_LIMITS) ~= 0
-- end of each call

local function uses_some(what)
    return band(uses, what) ~= 0
end
