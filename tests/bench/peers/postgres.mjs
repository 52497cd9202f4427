// SPDX-License-Identifier: MIT
/* graphile-worker with its local queue and batched completions, as its documents recommend for throughput; its default for
 * one job at a time and for pickup. pg-boss with notifications; the level is the size of its batches. */
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import pg from 'pg';
import { PgBoss } from 'pg-boss';

const BATCHED = { worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } };
const CONNECTIONS = 40;

async function count(connectionString, sql) {
  const client = new pg.Client({ connectionString });
  await client.connect();
  const answer = await client.query(sql);
  await client.end();
  return +answer.rows[0].count;
}

function graphileWorker(connectionString) {
  const logger = new Logger(() => () => {});
  let utils;
  return {
    async producer() {
      utils = await makeWorkerUtils({ connectionString, logger });
      await utils.migrate();
    },
    add: (job) => utils.addJob('bench', job),
    addMany: (jobs) => utils.addJobs(jobs.map((each) => ({ identifier: 'bench', payload: each }))),
    waiting: () => count(connectionString, 'SELECT count(*) FROM graphile_worker.jobs'),
    work: (concurrency, ran) => run({
      connectionString, concurrency, logger, noHandleSignals: true, maxPoolSize: Math.min(concurrency + 2, CONNECTIONS),
      taskList: { bench: async (job) => ran(job) }, preset: concurrency > 1 ? BATCHED : {},
    }),
    close: () => utils.release(),
  };
}

async function pgBoss(connectionString) {
  const boss = new PgBoss({ connectionString, schedule: false, useListenNotify: true });
  boss.on('error', console.error);
  const start = async () => {
    await boss.start();
    await boss.createQueue('bench', { notify: true });
  };
  return {
    producer: start,
    add: (job) => boss.send('bench', job),
    addMany: (jobs) => boss.insert('bench', jobs.map((data) => ({ data }))),
    waiting: () => count(connectionString, "SELECT count(*) FROM pgboss.job WHERE name = 'bench' AND state = 'created'"),
    async work(batchSize, ran) {
      await start();
      const how = { batchSize, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true, localConcurrency: 1 };
      await boss.work('bench', how, async (jobs) => jobs.forEach((job) => ran(job.data)));
    },
    close: () => boss.stop({ graceful: false }),
  };
}

export default { 'graphile-worker': graphileWorker, 'pg-boss': pgBoss };
