// SPDX-License-Identifier: MIT
/* What the browser's tests share: a store, a server on it, a page that complains about what no page should do, TAP. */
import { createHash } from 'node:crypto';
import { execFileSync, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import assert from 'node:assert/strict';

const folderOfModules = process.env.JOBQ_PLAYWRIGHT;
if (!folderOfModules) {
  console.log('Bail out! JOBQ_PLAYWRIGHT must name a folder where playwright-core is installed; tests/all.sh sees to it');
  process.exit(1);
}
const { chromium } = createRequire(folderOfModules + '/')('playwright-core');
const { JOBQ, JOBQ_DASHBOARD, JOBQ_CLOCK } = process.env;
const LIMIT_MS = 120000;
const quiet = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('JOBQ_STORE')));

export const TOKENS = { viewer: 'viewer *', operator: 'operator *', admin: 'admin *', one: 'admin one' };

export class World {
  constructor() {
    this.folder = mkdtempSync(tmpdir() + '/jqb.');
    this.store = 'sqlite:' + this.folder + '/store.db';
    this.audit = this.folder + '/audit.log';
    this.children = [];
    this.pages = [];
    this.jobq('migrate');
  }

  jobq(...words) {
    const text = execFileSync(JOBQ, ['-s', this.store, '--json', ...words.map(String)], { env: quiet, timeout: LIMIT_MS, input: '', stdio: ['pipe', 'pipe', 'pipe'] }).toString();
    return text.trim() ? JSON.parse(text) : null;
  }

  enqueue(queue = 'mail', ...words) { return this.jobq('enqueue', queue, ...words).id; }

  fail(queue, text) {
    const [job] = this.jobq('claim', queue);
    this.jobq('fail', job.id, job.token, text);
    return job.id;
  }

  kill(queue, text, ...words) {
    this.enqueue(queue, 'x', '--max-attempts', 1, ...words);
    return this.fail(queue, text);
  }

  complete(queue = 'mail') {
    this.enqueue(queue);
    const [job] = this.jobq('claim', queue);
    this.jobq('ack', job.id, job.token, '{}');
    return job.id;
  }

  advance(ms) { execFileSync(JOBQ_CLOCK, [this.store, String(ms)], { timeout: LIMIT_MS }); }

  spawn(program, words) {
    const child = spawn(program, words, { env: quiet, stdio: ['ignore', 'pipe', 'inherit'] });
    this.children.push(child);
    return child;
  }

  tokens() {
    const file = this.folder + '/tokens';
    writeFileSync(file, Object.entries(TOKENS).map(([token, who]) => who + ' ' + createHash('sha256').update(token).digest('hex')).join('\n') + '\n');
    return file;
  }

  async listening(child) {
    for await (const piece of child.stdout) {
      const found = /listening on (http:\/\/\S+)/.exec(piece.toString());
      if (found) return found[1];
    }
    throw new Error('the server did not start');
  }

  /* With the tokens; with null in front of the options without. */
  async serve(...options) {
    const door = options[0] === null ? [] : ['--token-file', this.tokens()];
    this.server = this.spawn(JOBQ_DASHBOARD, ['-s', this.store, '--listen', '127.0.0.1:' + (this.port || 0), '--audit-log', this.audit, '--interval', '1000', ...door, ...options.filter(one => one !== null)]);
    this.url = await this.listening(this.server);
    this.port = Number(new URL(this.url).port);
    return this.server;
  }

  async stop(child, signal = 'SIGTERM') {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  }

  /* A page that is logged in. What it must not do, it must not do in any test. */
  async open(browser, { token = 'admin', hash = '', width = 1280, scheme = 'light', locale = 'en-GB', expect = [], zone = 'Europe/Istanbul', url = this.url } = {}) {
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, locale, timezoneId: zone });
    const page = await context.newPage();
    page.complaints = [];
    page.setDefaultTimeout(LIMIT_MS);
    page.on('console', message => { if (message.type() === 'error' && !expect.some(one => message.text().includes(one))) page.complaints.push('console: ' + message.text()); });
    page.on('pageerror', error => page.complaints.push('error: ' + error.message));
    page.on('request', request => { if (!request.url().startsWith(url)) page.complaints.push('request: ' + request.url()); });
    this.pages.push(page);
    await page.goto(url + '/' + hash);
    if (token) {
      await page.fill('#token', token);
      await page.press('#token', 'Enter');
      await page.waitForSelector('#logout');
    }
    return page;
  }

  async end() {
    for (const page of this.pages) {
      assert.deepEqual(page.complaints, []);
      await page.context().close();
    }
    for (const child of this.children) await this.stop(child);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/* The words of the first of those, as soon as there is one: a dialog opens when the server has answered. */
export const text = async (page, selector) => (await page.locator(selector).first().innerText()).trim();

/* Waits until a function in the page says so. */
export const sees = (page, look, argument) => until(String(look).slice(0, 200), () => page.evaluate(look, argument).catch(error => { if (!/context was destroyed|navigation/i.test(error.message)) throw error; }));

/* Waits until look() gives something true. */
export async function until(what, look) {
  const end = Date.now() + LIMIT_MS;
  for (;;) {
    const value = await look();
    if (value) return value;
    if (Date.now() > end) throw new Error('it did not happen: ' + what);
    await new Promise(done => setTimeout(done, 50));
  }
}

/* A submission's parts have ids that differ in one digit; see examples/video/parts.h. */
const PARTS = { report: '8', quality: '9', sound: 'a', speech: 'b', face: 'c', gesture: 'd', emotion: 'e' };

export function submission(world, clip, result) {
  const id = world.jobq('enqueue', 'video.probe', JSON.stringify({ video: clip })).id;
  const part = name => id.slice(0, 12) + PARTS[name] + id.slice(13);
  const steps = {};
  for (const name of ['quality', 'sound', 'speech', 'face', 'gesture', 'emotion']) {
    steps[name] = part(name);
    world.jobq('enqueue', 'video.' + name, '{}', '--id', part(name));
  }
  world.jobq('enqueue', 'video.report', JSON.stringify({ video: clip, submission: id, steps }), '--id', part('report'));
  const finish = (queue, outcome) => { const [job] = world.jobq('claim', queue); world.jobq('ack', job.id, job.token, JSON.stringify(outcome)); };
  finish('video.probe', {});
  if (result) {
    for (const name of Object.keys(steps)) finish('video.' + name, result.steps[name] || { status: 'ok' });
    finish('video.report', result);
  }
  return id;
}

export async function serveVideos(world, ...options) {
  const media = world.folder + '/media';
  mkdirSync(media);
  const child = world.spawn(process.env.JOBQ_VIDEO, ['serve', '--store', world.store, '--media', media, '--listen', '127.0.0.1:0', '--token-file', world.tokens(), '--audit-log', world.audit, ...options]);
  world.url = await world.listening(child);
  return media;
}

/* Four seconds that a browser plays, and what was found in them. */
export function playable(file) {
  execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc=size=160x120:rate=10:duration=4', '-f', 'lavfi', '-i', 'sine=frequency=440:duration=4', '-c:v', 'libvpx', '-b:v', '200k', '-c:a', 'libopus', '-shortest', file]);
}

export const RESULT = {
  video: 'clip.webm',
  media: { video: { width: 160, height: 120 } },
  steps: {
    sound: { status: 'ok', pauses: [{ start_ms: 900, end_ms: 1500 }] },
    speech: { status: 'ok', words: ['good', 'morning', 'everybody'].map((word, i) => ({ word, start_ms: 300 + 1200 * i, end_ms: 900 + 1200 * i, confidence: 0.5 })) },
    face: { status: 'ok', faces: [{ boxes: [{ at_ms: 1500, x: 40, y: 30, width: 60, height: 60 }] }] },
    emotion: { status: 'not_available', reason: 'no model was brought' },
  },
};

/* Runs tests, each in a world of its own, and writes TAP. Words on the command line choose some by name. */
export async function run(tests) {
  const words = process.argv.slice(2);
  const chosen = Object.entries(tests).filter(([name]) => !words.length || words.some(word => name.includes(word)));
  const browser = await chromium.launch({ executablePath: process.env.JOBQ_CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--autoplay-policy=no-user-gesture-required'] });
  let number = 0, failed = 0;
  console.log('1..' + chosen.length);
  for (const [name, test] of chosen) {
    const world = new World();
    let problem = null;
    try { await test(world, browser); } catch (error) { problem = error; }
    try { await world.end(); } catch (error) { problem ||= error; for (const child of world.children) child.kill('SIGKILL'); }
    number += 1;
    console.log((problem ? 'not ok ' : 'ok ') + number + ' - ' + name);
    if (problem) { failed += 1; console.log(String(problem.stack).replace(/^/gm, '# ')); }
  }
  await browser.close();
  process.exitCode = failed ? 1 : 0;
}
