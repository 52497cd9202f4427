-- SPDX-License-Identifier: MIT
-- Step 5: a batch has what its members were put with in two arrays, which a claim sends as they are, instead of whole
-- rows. Of each member, a row of each: bytes {kind, tenant, payload, policy, key, trace}, numbers {n, priority,
-- rank_add, created_at, run_at}; never changed. What else a row of [job] has is the same for all that are plain.
ALTER TABLE @.batch ADD COLUMN bytes bytea[], ADD COLUMN numbers bigint[];
ALTER TABLE @.batch ALTER COLUMN bytes SET STORAGE EXTERNAL, ALTER COLUMN numbers SET STORAGE EXTERNAL;
UPDATE @.batch AS b SET
    bytes = (SELECT array_agg(ARRAY[m.kind, m.tenant, m.payload, m.policy, m.key, m.trace]
                 ORDER BY array_position(b.ids, m.id)) FROM unnest(b.rows) AS m),
    numbers = (SELECT array_agg(ARRAY[m.n, m.priority, m.rank_add, m.created_at, m.run_at]
                   ORDER BY array_position(b.ids, m.id)) FROM unnest(b.rows) AS m);
ALTER TABLE @.batch DROP COLUMN rows, ALTER COLUMN bytes SET NOT NULL, ALTER COLUMN numbers SET NOT NULL;

-- The members that a want claimed, with the queues of the batches and how many each has.
ALTER TYPE @.want_answer ADD ATTRIBUTE o_member_ids uuid[], ADD ATTRIBUTE o_member_bytes bytea[],
    ADD ATTRIBUTE o_member_numbers bigint[], ADD ATTRIBUTE o_member_queues bytea[],
    ADD ATTRIBUTE o_member_counts integer[];

-- Functions that were made for rows, and those whose answers are others now.
DO $$
DECLARE v_function regprocedure;
BEGIN
    FOR v_function IN
        SELECT p.oid FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE n.nspname = '@NAME' AND p.proname IN ('member', 'members_in', 'members_at', 'members_done', 'batch_pick',
            'batch_make', 'batch_take', 'want_take', 'want_due', 'plain_bytes', 'plain_numbers')
    LOOP
        EXECUTE 'DROP FUNCTION ' || v_function;
    END LOOP;
END $$;
