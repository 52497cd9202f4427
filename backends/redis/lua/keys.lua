-- SPDX-License-Identifier: MIT
-- Keys that are held, as they are. ARGV: their scopes. Answer: of each one its scope and its string, nothing of those
-- that are held no more.

local out = {}
now = read_clock(call('HGET', META, 'offset'))
for i = 1, #ARGV do
    if key_held(ARGV[i]) then
        out[#out + 1] = ARGV[i]
        out[#out + 1] = call('HGET', KEY, ARGV[i])
    end
end
return out
