-- SPDX-License-Identifier: MIT
-- The write lock first: nobody can write between what is read here and what is written.
BEGIN IMMEDIATE
