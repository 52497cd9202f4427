// SPDX-License-Identifier: MIT
/* bee-queue in its fastest documented setting (no events, no copies of jobs in memory), BullMQ with three attempts; both
 * remove what has succeeded. */
import BeeQueue from 'bee-queue';
import { Queue, Worker } from 'bullmq';

const FAST = { getEvents: false, sendEvents: false, storeJobs: false, removeOnSuccess: true, activateDelayedJobs: false };
const ATTEMPTS = 3;

function beeQueue(path) {
  const make = (isWorker) => new BeeQueue('bench', { ...FAST, redis: { path }, isWorker });
  const job = (data) => queue.createJob(data).retries(ATTEMPTS - 1);
  let queue;
  return {
    producer: () => (queue = make(false)).ready(),
    add: (data) => job(data).save(),
    async addMany(all) {
      const errors = await queue.saveAll(all.map(job));
      if (errors.size) throw new Error(`${errors.size} jobs were not saved`);
    },
    waiting: async () => (await queue.checkHealth()).waiting,
    async work(concurrency, ran) {
      queue = make(true);
      await queue.ready();
      queue.process(concurrency, async (each) => ran(each.data));
    },
    close: () => queue.close(),
  };
}

function bullmq(path) {
  const opts = { attempts: ATTEMPTS, removeOnComplete: true };
  let queue;
  return {
    producer: () => (queue = new Queue('bench', { connection: { path } })).waitUntilReady(),
    add: (data) => queue.add('job', data, opts),
    addMany: (all) => queue.addBulk(all.map((data) => ({ name: 'job', data, opts }))),
    waiting: () => queue.getWaitingCount(),
    async work(concurrency, ran) {
      const connection = { path, maxRetriesPerRequest: null };
      await new Worker('bench', async (each) => ran(each.data), { connection, concurrency }).waitUntilReady();
    },
    close: () => queue.close(),
  };
}

export default { 'bee-queue': beeQueue, bullmq };
