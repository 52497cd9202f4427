-- SPDX-License-Identifier: MIT
-- The tables that the search follows. Run it in a database that has a store of the queue: psql -f schema.sql, with the
-- namespace "jobq".

CREATE TABLE IF NOT EXISTS listings (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    title text NOT NULL,
    description text,
    price numeric,
    category_id uuid,
    status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'active', 'inactive')),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS profiles (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, about text);
CREATE TABLE IF NOT EXISTS categories (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
CREATE TABLE IF NOT EXISTS ai_suggestions (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), listing_id uuid,
    text text NOT NULL);

SELECT jobq.outbox(t, 'elasticsearch')
    FROM unnest(ARRAY['listings', 'profiles', 'categories', 'ai_suggestions']::regclass[]) AS t;
