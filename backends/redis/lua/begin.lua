-- SPDX-License-Identifier: MIT
-- The head of an exchange, read first: what is not asked for is not even made. Each call of a script makes all of its
-- functions anew, and that takes longer than most commands.

local HAS_TRIM, HAS_WORKER, HAS_WANT, HAS_RECEIPT = 1, 2, 4, 8

local head = argument()
local asked, client, number, beats, changes, puts, handle = cut('>Bc16c8I4I4I4c16', head)

local function has_part(part)
    return band(asked, part) ~= 0
end
