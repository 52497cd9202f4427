// SPDX-License-Identifier: MIT
/* plainjob as it is shipped: write-ahead log, synchronous NORMAL. Its workers poll: each second, here each 5 ms. */
import Database from 'better-sqlite3';
import { JobStatus, better, defineQueue, defineWorker } from 'plainjob';

const POLL_MS = 5;
const logger = { debug() {}, info() {}, warn() {}, error: console.error };

function plainjob(path) {
  const queue = defineQueue({ connection: better(new Database(path)), logger });
  return {
    async producer() {},
    add: (job) => queue.add('bench', job),
    addMany: (jobs) => queue.addMany('bench', jobs),
    waiting: () => queue.countJobs({ status: JobStatus.Pending }),
    async work(workers, ran) {
      for (let i = 0; i < workers; i++)
        defineWorker('bench', (job) => ran(JSON.parse(job.data)), { queue, logger, pollIntervall: POLL_MS }).start();
    },
    close: () => queue.close(),
  };
}

export default { plainjob };
