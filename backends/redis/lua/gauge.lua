-- SPDX-License-Identifier: MIT
-- n per period: struct jobq_gauge of <jobq/backend.h>, which a script cannot call. A gauge is a key of its own, i8
-- length of a tenth, i8 number of the newest, 11 x i8; it goes by itself when nothing in it counts any more.

if with_groups then

local TENTHS, GAUGE = 11, '>i8i8i8i8i8i8i8i8i8i8i8i8i8'
local gauges
-- each call
if with_groups then
    gauges = {}
end
-- end of each call

local function gauge_of(name)
    local g = gauges[name]
    if not g then
        local s = call('GET', SPACE .. name)
        g = { tenth = 0, newest = 0 }
        if s then
            g.tenth, g.newest, g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7], g[8], g[9], g[10] = cut(GAUGE, s)
        else
            for i = 0, TENTHS - 1 do
                g[i] = 0
            end
        end
        gauges[name] = g
    end
    return g
end

-- The number of the present tenth. A clock that stood still or a gauge from ahead of it counts as the newest.
local function present(g, tenth)
    local number = now > 0 and math.floor(now / tenth) or 0
    return g.tenth == tenth and math.max(g.newest, number) or number
end

local function count_in(g, number)
    if number < 0 or number > g.newest or number <= g.newest - TENTHS then
        return 0
    end
    return g[number % TENTHS]
end

local function used(g)
    local sum = 0
    if g.tenth > 0 then
        local last = present(g, g.tenth)
        for i = 0, TENTHS - 1 do
            sum = sum + count_in(g, last - i)
        end
    end
    return sum
end

-- As it is for this period at this moment; what was kept for another one counts as of now.
local function turned(g, period)
    local tenth = period > 10 and math.ceil(period / 10) or 1
    local new = { tenth = tenth, newest = present(g, tenth) }
    for i = 0, TENTHS - 1 do
        local number = new.newest - i
        new[number % TENTHS] = g.tenth == tenth and count_in(g, number) or 0
    end
    if g.tenth ~= tenth then
        new[new.newest % TENTHS] = used(g)
    end
    return new
end

function G.gauge_used(name)
    return used(gauge_of(name))
end

-- Until one more than n may pass; 0: at once.
function G.gauge_wait(name, n, period)
    local g = turned(gauge_of(name), period)
    local left = used(g)
    if left < n then
        return 0
    elseif n <= 0 then
        return period
    end
    for number = g.newest - TENTHS + 1, g.newest do
        left = left - count_in(g, number)
        if left < n then
            return (number + TENTHS) * g.tenth - now
        end
    end
    return period
end

function G.gauge_add(name, period, count)
    local g = turned(gauge_of(name), period)
    local i = g.newest % TENTHS
    g[i], g.dirty = math.min(g[i] + count, EXACT), true
    gauges[name] = g
end

-- Once for each that counted something. What its server counts as time passes no faster than the store's clock.
function G.write_gauges()
    for name, g in pairs(gauges) do
        if g.dirty then
            call('SET', SPACE .. name, pack(GAUGE, g.tenth, g.newest, g[0], g[1], g[2], g[3], g[4], g[5], g[6],
                g[7], g[8], g[9], g[10]), 'PX', string.format('%.0f', (TENTHS + 1) * g.tenth))
        end
    end
end

end
