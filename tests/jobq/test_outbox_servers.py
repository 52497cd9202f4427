#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""jobq outbox: what only servers are asked, by test_servers.py."""
import tool
from test_outbox import Database
from tool import REFUSED, on_server

STATS = ['total_jobs', 'pending_jobs', 'processing_jobs', 'completed_jobs', 'failed_jobs', 'avg_processing_time',
         'last_processed_at']
VIEW = ['id', 'table_name', 'operation', 'record_id', 'change_data', 'status', 'retry_count', 'error_message', 'created_at',
        'processed_at']


class Elsewhere(tool.Case):
    @on_server('redis')
    def test_unsupported(self):
        """outbox: a store without tables says so, exit 1"""
        self.assertEqual(self.json('outbox', 'listings', code=REFUSED)['status'], 'UNSUPPORTED')


class Postgres(Database):
    """What only Postgres has: the view and the figures in SQL, roles."""

    def setUp(self):
        super().setUp()
        self.follow()

    def work_some(self):
        self.sql(*["INSERT INTO %slistings VALUES ('%d', 't', 1)" % (self.where, i) for i in range(4)])
        self.advance(60000)
        jobs = self.json('claim', 'elasticsearch', '-n', '3')
        self.advance(1250)
        self.jobq('ack', jobs[0]['id'], jobs[0]['token'])
        self.jobq('fail', jobs[1]['id'], jobs[1]['token'], 'no such index', '--permanent')

    @on_server('postgres')
    def test_view(self):
        """outbox: <queue>_sync_queue has ten columns and can only be read; get_<queue>_queue_stats has seven"""
        columns = self.sql("SELECT column_name FROM information_schema.columns WHERE table_schema = '%s_app'"
                           " AND table_name = 'elasticsearch_sync_queue' ORDER BY ordinal_position" % self.space)
        self.assertEqual([c[0] for c in columns], VIEW)
        self.work_some()
        rows = self.sql('SELECT record_id, status, retry_count, error_message, processed_at IS NOT NULL, change_data'
                        " ->> 'title' FROM %selasticsearch_sync_queue ORDER BY record_id" % self.where)
        self.assertEqual(rows, [['0', 'completed', '0', '', 't', 't'], ['1', 'failed', '1', 'no such index', 't', 't'],
                                ['2', 'processing', '0', '', 'f', 't'], ['3', 'pending', '0', '', 'f', 't']])
        for statement in 'DELETE FROM %s', "UPDATE %s SET status = 'pending'", 'INSERT INTO %s (status) VALUES (1)':
            self.assertNotEqual(self.run_sql(statement % (self.where + 'elasticsearch_sync_queue')).err, '')
        self.enqueue('elasticsearch', '{not json')
        self.assertEqual(self.sql('SELECT count(*) FROM %selasticsearch_sync_queue' % self.where), [['5']])

    @on_server('postgres')
    def test_stats(self):
        """outbox: the seven figures; the average is of the work, without the waiting"""
        names = self.sql("SELECT unnest(proargnames) FROM pg_proc WHERE proname = 'get_elasticsearch_queue_stats'"
                         " AND pronamespace = '%s_app'::regnamespace" % self.space)
        self.assertEqual([n[0] for n in names], STATS)
        empty = self.sql('SELECT * FROM %sget_elasticsearch_queue_stats()' % self.where)
        self.assertEqual(empty, [['0', '0', '0', '0', '0', '0', '']])
        self.work_some()
        row = self.sql('SELECT * FROM %sget_elasticsearch_queue_stats()' % self.where)[0]
        self.assertEqual(row[:5], ['4', '1', '1', '1', '1'])
        self.assertGreaterEqual(float(row[5]), 1250)
        self.assertLess(float(row[5]), 60000) # they waited a minute
        self.assertNotEqual(row[6], '')

    @on_server('postgres')
    def test_rights(self):
        """outbox: nothing has a definer's rights, every search path is fixed, a writer without rights is refused"""
        functions = self.sql(
            "SELECT proname, prosecdef, proconfig::text FROM pg_proc WHERE pronamespace = '%s_app'::regnamespace"
            " OR (pronamespace = '%s'::regnamespace AND proname ~ '^(outbox|enqueue)' AND prolang <> 14"
            "     AND proname <> 'outbox_time')" % (self.space, self.space))
        self.assertGreaterEqual(len(functions), 8)
        for name, definer, config in functions:
            self.assertEqual(definer, 'f', name)
            self.assertIn('search_path=pg_catalog, pg_temp', config, name)
        self.assertEqual(
            self.sql("SELECT reloptions::text FROM pg_class WHERE relname = 'elasticsearch_sync_queue'"
                     " AND relnamespace = '%s_app'::regnamespace" % self.space),
            [['{security_invoker=true}']] if int(self.sql('SHOW server_version_num')[0][0]) >= 150000 else [['']])
        role = self.space + '_writer'
        self.sql('CREATE ROLE ' + role, 'GRANT USAGE ON SCHEMA %s_app TO %s' % (self.space, role),
                 'GRANT ALL ON ALL TABLES IN SCHEMA %s_app TO %s' % (self.space, role))
        self.addCleanup(self.sql, 'DROP OWNED BY ' + role, 'DROP ROLE ' + role)
        insert = "INSERT INTO %slistings VALUES ('a', 't', 1)" % self.where
        self.assertIn('permission denied', self.run_sql(insert, role=role).err)
        self.assertIn('permission denied', self.run_sql('SELECT * FROM %selasticsearch_sync_queue' % self.where, role=role).err)
        self.sql('GRANT USAGE ON SCHEMA %s TO %s' % (self.space, role),
                 'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %s TO %s' % (self.space, role),
                 'GRANT USAGE ON ALL SEQUENCES IN SCHEMA %s TO %s' % (self.space, role))
        self.assertEqual(self.run_sql(insert, role=role).err, '')
        self.assertEqual(len(self.changes()), 1)

    @on_server('postgres')
    def test_search_path(self):
        """outbox: objects of the same names on the writer's search path are not used"""
        evil = '%s_app' % self.space
        self.sql("CREATE FUNCTION %s.to_jsonb(anyelement) RETURNS jsonb LANGUAGE sql AS $$ SELECT '{\"id\": \"evil\"}'::jsonb $$"
                 % evil,
                 'CREATE FUNCTION %s.octet_length(bytea) RETURNS integer LANGUAGE sql AS $$ SELECT 0 $$' % evil)
        self.sql('SET search_path = %s, pg_catalog' % evil, "INSERT INTO listings VALUES ('a', 't', 1)")
        self.assertEqual([c['record_id'] for c in self.changes()], ['a'])
