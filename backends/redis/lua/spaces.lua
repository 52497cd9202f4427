-- SPDX-License-Identifier: MIT
-- Other namespaces of this database with their live workers, by their own clocks. ARGV[1]: the set of names. In a
-- cluster they are other servers' affair, and left out. Answer: names and counts in turn.

local own, out = sub(META, 2, -7), {}
local names = redis.pcall('SMEMBERS', ARGV[1])
local NAMES_MOST = 5000

local function look(name)
    local meta = redis.pcall('HMGET', '{' .. name .. '}:meta', 'version', 'offset')
    if meta.err or not meta[1] then
        return
    end
    local workers, live = redis.pcall('HGETALL', '{' .. name .. '}:workers'), 0
    now = read_clock(meta[2])
    for i = 1, meta[1] == SCHEMA and #workers or 0, 2 do
        if not is_forgotten(workers[i + 1]) then
            live = live + 1
        end
    end
    out[#out + 1] = name
    out[#out + 1] = tostring(live)
end

for i = 1, names.err and 0 or math.min(#names, NAMES_MOST) do
    if names[i] ~= own then
        look(names[i])
    end
end
return out
