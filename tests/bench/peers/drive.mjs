// SPDX-License-Identifier: MIT
/* Drives a queue that runs on Node:  node drive.mjs PEER ADDRESS VERB ...
 *
 *   version                      prints the version of the package
 *   insert-N SECONDS             enqueues N a call, prints how many a second
 *   fill COUNT                   enqueues the jobs 1 to COUNT
 *   send COUNT MS                enqueues one job each MS milliseconds; for each a line: number, time
 *   work LEVEL                   works until it is ended; for each job a line: number, time. LEVEL: jobs at once
 *
 * Lines of jobs go to the descriptor in JOBQ_PEER_LINES; times are seconds of the monotonic clock. The adapters beside this
 * file know the peers; it runs from the folder that their packages are installed in. */
import { writeSync, readFileSync } from 'node:fs';

const STORES = { plainjob: 'sqlite', 'bee-queue': 'redis', bullmq: 'redis', 'graphile-worker': 'postgres', 'pg-boss': 'postgres' };
const SIZE = 200, BULK = 1000, LINES_AT_ONCE = 200, FLUSH_MS = 50, WARM_S = 0.2;
const now = () => Number(process.hrtime.bigint()) / 1e9;
const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function payload(n) {
  const head = `{"n":${n},"text":"`;
  return { n, text: 'x'.repeat(SIZE - head.length - 2) };
}

const payloads = (first, count) => Array.from({ length: count }, (_, i) => payload(first + i));

/* Some peers never let the loop run while there are jobs, so a timer alone would keep lines back. */
let lines = '', pending = 0;
const flush = () => {
  if (pending) writeSync(+process.env.JOBQ_PEER_LINES, lines);
  lines = '';
  pending = 0;
};
const tell = (n) => {
  lines += `${n} ${now()}\n`;
  if (++pending === LINES_AT_ONCE) flush();
};

const put = (queue, first, count) => (count === 1 ? queue.add(payload(first)) : queue.addMany(payloads(first, count)));

async function insertFor(queue, batch, first, seconds) {
  const start = now();
  let count = 0, end;
  do {
    await put(queue, first + count, batch);
    count += batch;
    end = now();
  } while (end - start < seconds);
  return { count, seconds: end - start };
}

async function insert(queue, batch, seconds) {
  const warm = await insertFor(queue, batch, 1, WARM_S);
  const timed = await insertFor(queue, batch, 1 + warm.count, seconds);
  const count = warm.count + timed.count;
  const waiting = await queue.waiting();
  if (waiting !== count) throw new Error(`${waiting} jobs wait of ${count} that were put`);
  writeSync(1, `insert-${batch} ${timed.count / timed.seconds} jobs/s\n`);
}

async function fill(queue, count) {
  for (let done = 0; done < count; done += BULK) await put(queue, done + 1, Math.min(BULK, count - done));
}

async function send(queue, count, ms) {
  for (let n = 1; n <= count; n++) {
    tell(n);
    await queue.add(payload(n));
    flush();
    await rest(ms);
  }
}

const [, , peer, address, verb, ...words] = process.argv;
if (verb === 'version') {
  await import(peer);
  writeSync(1, JSON.parse(readFileSync(`node_modules/${peer}/package.json`)).version + '\n');
  process.exit(0);
}
const queue = await (await import(`./${STORES[peer]}.mjs`)).default[peer](address);
if (verb === 'work') {
  setInterval(flush, FLUSH_MS);
  await queue.work(+words[0], (job) => tell(job.n));
} else {
  await queue.producer();
  if (verb === 'fill') await fill(queue, +words[0]);
  else if (verb === 'send') await send(queue, +words[0], +words[1]);
  else await insert(queue, +verb.split('-')[1], +words[0]);
  await queue.close();
  process.exit(0);
}
