-- SPDX-License-Identifier: MIT
-- Keys that are held, as they are. ARGV: their scopes. Answer: of each one its scope and its string, nothing of those
-- that are held no more.

local out = {}
now = read_clock(call('HGET', META, 'offset'))
for i = 1, #ARGV do
    local k = key_held(ARGV[i])
    if k then
        out[#out + 1], out[#out + 2] = ARGV[i], key_string(k)
    end
end
return out
