-- SPDX-License-Identifier: MIT
-- Reading rows by id. ARGV[1]: B asked (1 payload, 2 result, 4 errors, 8 parents, 16 log, 32 edges as they are), i8
-- bytes; then ids. Rows stop before the one that would pass the bytes; at least one is given.
--
-- Answer: i8 now, I4 how many ids were looked at; then the rows.

local asked, bytes = cut('>Bc8', ARGV[1])
bytes = near(take(bytes, 1))
now = read_clock(call('HGET', META, 'offset'))

local cold_of, hot_of, ids = {}, {}, {}
for i = 2, #ARGV do
    ids[i - 1] = ARGV[i]
end

local function size_of(row)
    local size = band(asked, VIEW_PAYLOAD) ~= 0 and row.payload_bytes or 0
    if band(asked, VIEW_RESULT) ~= 0 and has(row, F_RESULT) then
        size = size + call('HSTRLEN', EXTRA, row.id .. 'R')
    end
    if band(asked, VIEW_EDGES) ~= 0 and has(row, F_DATA) then
        size = size + call('HSTRLEN', EXTRA, row.id .. 'D')
    end
    return size
end

local looked_at, size = 0, 0
for i = 1, #ids do
    local row = open(ids[i])
    if row then
        size = size + size_of(row)
        if bytes > 0 and #views > 1 and size > bytes then
            break
        end
        view(row, asked)
    end
    looked_at = i
end
views[1] = give(now) .. pack('>I4', looked_at)
return views
