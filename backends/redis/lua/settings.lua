-- SPDX-License-Identifier: MIT
-- Settings, name and string of each. ARGV[1]: "q": all queues that are known, in no order; "g", "p": groups or plans
-- with limits, in order of bytes: ARGV[2]: B a name to go on behind is given, I4 how many; ARGV[3]: that name.

if ARGV[1] == 'q' then
    return all_queues()
end
local of, out = ARGV[1], {}
local behind, limit = cut('>BI4', ARGV[2])
local from = behind == 1 and '(' .. of .. ARGV[3] or '[' .. of
for _, name in ipairs(call('ZRANGEBYLEX', SPACE .. 'limited', from, '(' .. char(byte(of) + 1), 'LIMIT', 0, limit)) do
    out[#out + 1] = sub(name, 2)
    out[#out + 1] = call('HGET', SPACE .. 'limits', name)
end
return out
