-- SPDX-License-Identifier: MIT
-- The workers' own records, one string each in the hash "workers" by name and nonce: i8 seen, B stop asked, i8 lease,
-- and what the client packed. ARGV: B leaving; the field; i8 lease and the rest.

local note_worker, is_forgotten
do

local WORKER_LEASES = 10

function is_forgotten(record)
    return cut('>i8', record) + WORKER_LEASES * cut('>i8', record, 10) <= now
end

function note_worker()
    local leaving, field, said = argument(), argument(), argument()
    local all, stop = call('HGETALL', WORKERS), 0
    for i = 1, #all, 2 do
        if is_forgotten(all[i + 1]) then
            call('HDEL', WORKERS, all[i])
        elseif all[i] == field then
            stop = byte(all[i + 1], 9)
        end
    end
    if byte(leaving) ~= 0 then
        call('HDEL', WORKERS, field)
        stop = 0
    else
        call('HSET', WORKERS, field, now8 .. char(stop) .. said)
    end
    answer[#answer + 1] = char(stop)
end

end
