-- SPDX-License-Identifier: MIT
-- How many ready rows stand in a list.

if with_groups then

-- Its entries less those that are buried in it.
function G.list_size(lane)
    local size = call('LLEN', SPACE .. 'list:' .. lane)
    if size > 0 then
        for _, buried in ipairs(call('HVALS', SPACE .. 'tomb:' .. lane)) do
            size = size - tonumber(buried)
        end
    end
    return size
end

end
