// SPDX-License-Identifier: MIT
/* What the page promises, row by row, in a browser. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { RESULT, playable, run, serveVideos, submission, sees, text, until } from './kit.mjs';

const go = (page, hash) => page.evaluate(to => { location.hash = to; }, hash);
const queueRow = (page, name) => page.locator(`tr[data-queue="${name}"]`);

const cell = (page, name, label) => text(page, `tr[data-queue="${name}"] td[data-label="${label}"]`);

await run({
  'row-01 one page, three files, under 100 kB, nothing from elsewhere': async (world, browser) => {
    await world.serve();
    let bytes = 0;
    for (const file of ['/', '/dashboard.js', '/dashboard.css']) {
      const answer = await fetch(world.url + file);
      assert.equal(answer.status, 200);
      const body = await answer.text();
      bytes += Buffer.byteLength(body);
      assert.doesNotMatch(body.replaceAll('http://www.w3.org/2000/svg', ''), /https?:\/\/[a-z]/);
      const policy = answer.headers.get('content-security-policy');
      assert.match(policy, /default-src 'none'/);
      assert.doesNotMatch(policy, /unsafe|\*/);
    }
    assert.ok(bytes < 100000, bytes + ' bytes');
    const page = await world.open(browser, { expect: ['Content Security Policy'] });
    const loaded = await page.evaluate(() => performance.getEntriesByType('resource').filter(e => ['script', 'link', 'css', 'img'].includes(e.initiatorType)).map(e => new URL(e.name).pathname));
    assert.deepEqual(loaded.filter(path => path !== '/favicon.ico').sort(), ['/dashboard.css', '/dashboard.js']);
    /* Neither a script that somebody got into the page nor one from elsewhere would run. */
    const violated = await page.evaluate(() => new Promise(done => {
      document.addEventListener('securitypolicyviolation', event => done(event.effectiveDirective));
      const script = document.createElement('script');
      script.textContent = 'window.ran = 1';
      document.body.append(script);
    }));
    assert.match(violated, /^script-src/);
    assert.equal(await page.evaluate(() => window.ran ?? null), null);
  },

  'row-02 live, tells how old it is, heals by itself, resumes, pauses when hidden': async (world, browser) => {
    world.jobq('events', '--keep', 1000);
    world.enqueue('zero');
    const expect = ['ERR_', '401'];
    const badge = (page, pattern) => sees(page, source => new RegExp(source).test(document.getElementById('badge').textContent), pattern.source);
    await world.serve(null);
    const open = await world.open(browser, { expect, token: null });
    await badge(open, /^live$/);
    await world.stop(world.server);
    await badge(open, /^stale for \d+ s$/);
    world.enqueue('first');
    await world.serve(null);
    await badge(open, /^live$/);
    await sees(open, () => document.querySelector('tr[data-queue=first]') !== null);
    await open.close();
    world.pages.pop();
    await world.stop(world.server);
    await world.serve();
    const page = await world.open(browser, { expect });
    await badge(page, /^live$/);
    world.enqueue('second');
    await sees(page, () => feed.lastId !== '' && document.querySelector('tr[data-queue=second]') !== null);
    await page.evaluate(() => { Object.defineProperty(document, 'hidden', { value: true, configurable: true }); document.dispatchEvent(new Event('visibilitychange')); });
    assert.equal(await text(page, '#badge'), 'paused');
    assert.equal(await page.evaluate(() => feed.source), null);
    const missed = world.enqueue('third');
    await page.evaluate(() => {
      window.told = [];
      const old = window.EventSource;
      window.EventSource = class extends old { constructor(url) { super(url); this.addEventListener('job', event => window.told.push(JSON.parse(event.data).id)); } };
      Object.defineProperty(document, 'hidden', { value: false });
      document.dispatchEvent(new Event('visibilitychange'));
    });
    await badge(page, /^live$/);
    await sees(page, id => window.told.length === 1 && window.told[0] === id, missed);
    /* A server that starts again knows no sessions: the page asks who it is. */
    await world.stop(world.server);
    await world.serve();
    await sees(page, () => document.getElementById('token') !== null);
  },

  'row-02 without a stream it asks': async (world, browser) => {
    await world.serve();
    const page = await world.open(browser, { token: null, expect: ['ERR_', '503'] });
    await page.route('**/events*', route => route.fulfill({ status: 503, contentType: 'text/plain', body: '' }));
    await page.fill('#token', 'admin');
    await page.press('#token', 'Enter');
    await sees(page, () => document.getElementById('badge').textContent === 'polling');
    world.enqueue('later');
    await sees(page, () => document.querySelector('tr[data-queue=later]') !== null);
    assert.equal(await text(page, '#badge'), 'polling');
  },

  'row-03 the figures are those of the command': async (world, browser) => {
    for (let i = 0; i < 3; i++) world.enqueue('mail');
    world.complete('done');
    world.kill('bad', 'no');
    world.jobq('claim', 'mail');
    world.advance(120000);
    await world.serve();
    const page = await world.open(browser);
    await queueRow(page, 'mail').waitFor();
    const stats = world.jobq('stats');
    for (const queue of stats.queues) {
      for (const [label, name] of [['Ready', 'ready'], ['Running', 'running'], ['Completed', 'completed'], ['Dead', 'dead'], ['Stuck', 'stuck']])
        assert.equal(await cell(page, queue.queue, label), String(queue[name]), queue.queue + ' ' + name);
    }
    assert.equal(stats.queues.find(one => one.queue === 'mail').stuck, 1);
    const of = async name => Number(await text(page, `[data-card="${name}"] .num`));
    assert.deepEqual([await of('total'), await of('pending'), await of('processing'), await of('completed'), await of('failed'), await of('stuck')], [5, 2, 1, 1, 1, 1]);
    /* Times, rates: those of the command as well; the clock stands no more still than the store's. */
    const named = queue => stats.queues.find(one => one.queue === queue);
    const parts = async label => (await cell(page, 'done', label)).replace(/[^\d./]/g, '').split('/');
    const said = durations => page.evaluate(([unit, ...all]) => all.map(ms => new Intl.NumberFormat(lang, digits(ms / unitOf(unit)[1], unitOf(unit)[0])).format(ms / unitOf(unit)[1])), [durations.p99_ms, durations.p50_ms, durations.p95_ms, durations.p99_ms]);
    assert.deepEqual(await parts('Wait p50 / p95 / p99'), await said(named('done').waited));
    assert.deepEqual(await parts('Run p50 / p95 / p99'), await said(named('done').ran));
    assert.match(await cell(page, 'mail', 'Oldest waiting'), /^2(\.\d)? min$/);
    assert.equal(await cell(page, 'done', 'Oldest waiting'), '–');
    assert.equal(await cell(page, 'bad', 'Error rate'), '100 %');
    assert.equal(await cell(page, 'done', 'Error rate'), '0 %');
    assert.deepEqual([named('done').last_quarter.completed, named('bad').last_quarter.failed], [1, 1]);
    assert.equal(await page.locator('svg.chart').count(), 2);
    world.url = await (async () => { world.port = 0; await world.serve(); return world.url; })();
    const other = await world.open(browser);
    await queueRow(other, 'mail').waitFor();
    /* All that does not move with the clock is the same on the other server. */
    const still = one => one.evaluate(() => [...document.querySelectorAll('[data-card] .num, tr[data-queue] td:nth-child(n+3):nth-child(-n+10), tr[data-queue] td:nth-child(n+16)')].map(cell => cell.innerText));
    const first = await still(page);
    assert.equal(first.length, 6 + 3 * 11);
    assert.deepEqual(await still(other), first);
  },

  'row-04 a job that failed twice shows three attempts': async (world, browser) => {
    const id = world.enqueue('mail', '{"secret": "word"}', '--max-attempts', 5, '--backoff', 'fixed:50000');
    for (const said of ['first trouble', 'second trouble']) {
      world.fail('mail', said);
      if (said[0] === 'f') world.advance(100000);
    }
    await world.serve('--mask');
    const page = await world.open(browser, { hash: '#/job/' + id });
    await page.waitForSelector('#timeline');
    assert.match(await text(page, 'main'), /3 attempts/);
    const line = await text(page, '#timeline');
    for (const part of ['queued', 'attempt 1: claimed by', 'attempt 1: failed (HANDLER) first trouble', 'attempt 2: failed (HANDLER) second trouble', 'back-off: attempt 3 in']) assert.ok(line.includes(part), part + '\n' + line);
    const before = await text(page, '#timeline [data-until]');
    await until('the countdown moves', async () => (await text(page, '#timeline [data-until]')) !== before);
    assert.equal(await page.locator('details[data-key=payload]').getAttribute('open'), null);
    await page.click('details[data-key=payload] summary');
    assert.ok(!(await text(page, 'details[data-key=payload]')).includes('secret'));
    await page.click('details[data-key=payload] button');
    assert.ok((await text(page, 'details[data-key=payload] pre')).includes('secret'));
    world.advance(1000000);
    const [job] = world.jobq('claim', 'mail');
    world.jobq('log', job.id, job.token, 'a line of the log');
    await page.reload();
    await until('the log', async () => (await page.locator('#log').count()) && (await text(page, '#log')).includes('a line of the log'));
    assert.match(await text(page, '#timeline'), /heartbeat: the lease holds for/);
  },

  'row-05 dead letters by what went wrong': async (world, browser) => {
    for (let i = 0; i < 100; i++) world.enqueue('mail', 'x', '--max-attempts', 1);
    const all = world.jobq('claim', 'mail', '-n', 100);
    assert.equal(all.length, 100);
    all.forEach((job, i) => {
      if (i === 50) world.advance(60000);
      world.jobq('fail', job.id, job.token, i % 4 ? `no host ${i} answered` : `bad byte at ${i}`);
    });
    await world.serve();
    const page = await world.open(browser, { hash: '#/dead' });
    await page.waitForSelector('tr[data-error]');
    assert.equal(await page.locator('tr[data-error]').count(), 2);
    const row = page.locator('tr[data-error="no host # answered"]');
    const cells = await row.locator('td').allInnerTexts();
    assert.equal(cells[0], '75');
    const seen = cells.slice(3, 5).map(at => at.replace(/(\d+)\/(\d+)\/(\d+), /, '$3-$2-$1T'));
    assert.ok(Date.parse(seen[1]) - Date.parse(seen[0]) >= 60000, seen.join(' to '));
    await row.locator('button[data-bulk=redrive]').click();
    await page.fill('#confirm', '75');
    await page.click('dialog button.main');
    await until('they wait again', () => world.jobq('stats').total.ready === 75);
    await sees(page, () => document.querySelectorAll('tr[data-error]').length === 1);
    await page.click('tr[data-error="bad byte at #"] button[data-bulk=drop]');
    assert.equal(await text(page, '#matched'), '25 jobs match.');
    await page.fill('#confirm', '25');
    await page.click('dialog button.main');
    await until('they are gone', () => world.jobq('stats').total.dead === 0);
    await sees(page, () => document.querySelector('main .empty') !== null);
  },

  'row-06 all that match: counted first, confirmed, and discarding can be undone': async (world, browser) => {
    for (let i = 0; i < 25; i++) world.enqueue('mail');
    world.enqueue('other');
    await world.serve();
    const page = await world.open(browser, { hash: '#/jobs?queue=mail' });
    await page.click('button[data-bulk=cancel]');
    assert.equal(await text(page, '#matched'), '25 jobs match.');
    assert.ok(await page.locator('dialog button.main').isDisabled());
    await page.fill('#confirm', '24');
    assert.ok(await page.locator('dialog button.main').isDisabled());
    await page.fill('#confirm', '25');
    await page.click('dialog button.main');
    await until('25 are cancelled', () => world.jobq('stats').total.cancelled === 25);
    assert.equal(world.jobq('stats').total.ready, 1);
    const discard = async () => {
      await page.click('button[data-bulk=drop]');
      await page.fill('#confirm', '25');
      await page.click('dialog button.main');
      await page.waitForSelector('[data-undo]');
    };
    await discard();
    await page.click('[data-undo]');
    await sees(page, () => document.getElementById('toasts').textContent.includes('Nothing was discarded'));
    await discard();
    await until('they are gone', () => world.jobq('stats').total.cancelled === 0);
  },

  'row-07 queues are paused, limits set and drained': async (world, browser) => {
    world.enqueue('mail', 'x', '--group', 'acme');
    await world.serve();
    const page = await world.open(browser, { hash: '#/queues' });
    await queueRow(page, 'mail').locator('[data-verb=pause]').click();
    await queueRow(page, 'mail').locator('[data-verb=resume]').waitFor();
    assert.deepEqual(world.jobq('claim', 'mail'), []);
    await queueRow(page, 'mail').locator('[data-verb=resume]').click();
    await queueRow(page, 'mail').locator('[data-verb=pause]').waitFor();
    /* News that come while a button is pressed do not take it away. */
    const news = () => page.evaluate(() => { dispatchEvent(new Event('hashchange')); return new Promise(requestAnimationFrame); });
    await queueRow(page, 'mail').locator('[data-verb=pause]').hover();
    await page.mouse.down();
    await news();
    await page.mouse.up();
    await queueRow(page, 'mail').locator('[data-verb=resume]').waitFor();
    await queueRow(page, 'mail').locator('[data-verb=resume]').focus();
    await page.keyboard.down('Space');
    await news();
    await page.keyboard.up('Space');
    await queueRow(page, 'mail').locator('[data-verb=pause]').waitFor();
    await go(page, '#/queue/mail');
    await page.fill('[data-form=limit] [name=concurrency]', '0');
    await page.click('[data-form=limit] button');
    await until('the limit', () => (world.jobq('limit', 'mail').concurrency ?? world.jobq('limit', 'mail')[0]?.concurrency) === 0);
    assert.deepEqual(world.jobq('claim', 'mail'), []);
    const depth = () => world.jobq('limit', 'mail').depth ?? world.jobq('limit', 'mail')[0]?.depth;
    world.jobq('limit', 'mail', '--depth', 7);
    await page.reload();
    await page.waitForSelector('[data-verb=drain]');
    await page.click('[data-verb=drain]');
    await until('it is closed', async () => (await text(page, '[data-verb=drain]')) === 'Take new jobs again');
    assert.equal(depth(), 0);
    await page.reload();
    await page.waitForSelector('[data-verb=drain]');
    assert.throws(() => execFileSync(process.env.JOBQ, ['-s', world.store, 'enqueue', 'mail', 'x'], { stdio: 'pipe' }));
    await page.click('[data-verb=drain]');
    await until('it is open', async () => (await text(page, '[data-verb=drain]')).startsWith('Drain'));
    assert.equal(depth(), 7, 'as many may wait as before');
    world.enqueue('mail');
    await go(page, '#/limits');
    await page.selectOption('[data-form=limit] [name=of]', 'group');
    await page.fill('[data-form=limit] [name=name]', 'acme');
    await page.fill('[data-form=limit] [name=quota]', '100');
    await page.selectOption('[data-form=limit] [name=quota_period_ms]', '60000');
    await page.click('[data-form=limit] button');
    await sees(page, () => document.querySelector('main table').textContent.includes('acme'));
    assert.match(await text(page, 'main table'), /100 \/ .*in use/);
  },

  'row-08 a worker that is killed loses its lease, and the job comes back': async (world, browser) => {
    const id = world.enqueue('slow', 'x', '--backoff', 'fixed:0');
    const worker = world.spawn(process.env.JOBQ, ['-s', world.store, 'work', 'slow', '--lease', '30000', '--', 'sleep', '60']);
    await world.serve();
    const page = await world.open(browser, { hash: '#/workers' });
    /* A process with two workers is one row, whose heartbeat is the older one. */
    const [both, lost] = await page.evaluate(() => {
      const one = (queues, second, alive = true) => ({ worker: 'w', host: 'h', pid: 1, alive, stop_asked: false, queues, running: 1, capacity: 2, seen_at: `2030-01-01T00:00:0${second}.000Z` });
      return processes([one('quick', 2), one('idle', 1), one('gone', 0, false)]);
    });
    assert.deepEqual([both.queues, both.running, both.capacity, both.seen_at], [['idle', 'quick'], 2, 4, '2030-01-01T00:00:01.000Z']);
    assert.deepEqual(lost.queues, ['gone']);
    const lease = page.locator(`tr[data-id="${id}"]`);
    await lease.waitFor();
    await sees(page, one => [...document.querySelectorAll('main table:first-of-type a')].some(link => link.hash.endsWith(one)) && document.querySelector('main table').textContent.includes('alive'), id);
    await world.stop(worker, 'SIGKILL');
    world.advance(60000); /* beyond the lease, and not beyond the ten leases after which it is forgotten */
    await sees(page, () => document.querySelector('main').textContent.includes('not seen'));
    await sees(page, () => document.querySelector('tr[data-id]')?.textContent.includes('ran out'));
    const other = world.spawn(process.env.JOBQ, ['-s', world.store, 'work', 'slow', '--', 'sleep', '60']);
    await until('it runs again', () => { const job = world.jobq('show', id); if (job.state === 'scheduled') world.advance(60000); return job.state === 'running' && job.attempt === 2; });
    await page.locator('[data-verb=stop-worker]').last().click();
    await sees(page, () => document.querySelector('main').textContent.includes('asked to stop'));
    await world.stop(other, 'SIGKILL');
  },

  'row-09 schedules: the next runs in their zone and in ours, the last result, run now': async (world, browser) => {
    world.jobq('schedule', 'add', 'night', '--queue', 'mail', '--cron', '30 2 * * *', '--zone', 'Europe/Berlin');
    await world.serve();
    const page = await world.open(browser, { hash: '#/schedules', zone: 'Asia/Tokyo' });
    await page.waitForSelector('[data-schedule=night]');
    const rows = await page.locator('[data-schedule=night] tbody tr').allInnerTexts();
    const next = world.jobq('schedule', 'next', 'night', '-n', 5);
    const show = (at, timeZone) => new Intl.DateTimeFormat('en-GB', { dateStyle: 'short', timeStyle: 'medium', timeZone }).format(new Date(at));
    assert.deepEqual(rows.map(row => row.split('\t').map(part => part.trim())), next.map(at => [show(at, 'Europe/Berlin'), show(at, 'Asia/Tokyo')]));
    assert.match(await text(page, '[data-schedule=night]'), /Last result\s+never/);
    /* The day on which the clock is put forward: there is no half past two, it runs at three. */
    const day = await page.evaluate(at => instant(at, 'Europe/Berlin'), '2027-03-28T01:00:00.000Z');
    assert.match(day, /28\/03\/2027, 03:00:00/);
    await page.click('[data-schedule=night] [data-verb=schedule-run]');
    await until('the job', () => world.jobq('stats').total.ready === 1);
    await sees(page, () => /Last result\s*ready/.test(document.querySelector('[data-schedule=night]').innerText));
    await page.click('[data-schedule=night] [data-verb=schedule-pause]');
    await page.waitForSelector('[data-schedule=night] [data-verb=schedule-resume]');
  },

  'row-10 a video job is a graph of its steps': async (world, browser) => {
    const media = await serveVideos(world);
    const id = submission(world, 'clip.mp4');
    assert.ok(media);
    const [job] = world.jobq('claim', 'video.speech');
    world.jobq('progress', job.id, job.token, '{"done": 3, "total": 4, "unit": "s"}');
    const page = await world.open(browser, { hash: '#/jobs?queue=video.probe' });
    await page.click('tr[data-id] td:last-child a');
    await page.waitForSelector('#flow');
    assert.equal(await page.locator('[data-node]').count(), 8);
    assert.equal(await page.locator('#flow .layer').count(), 3);
    assert.equal(await page.locator('#flow svg path').count(), 12);
    assert.match(await text(page, '[data-node=probe]'), /completed/);
    assert.match(await text(page, '[data-node=speech]'), /running[\s\S]*75 %/);
    assert.match(await text(page, '[data-node=face]'), /ready/);
  },

  'row-11 the result of a video: player, faces, pauses, words to click': async (world, browser) => {
    const media = await serveVideos(world);
    playable(media + '/clip.webm');
    const id = submission(world, 'clip.webm', RESULT);
    /* While it is being removed it may be asked for once more. */
    const page = await world.open(browser, { hash: '#/flow/' + id, expect: ['404'] });
    await sees(page, () => document.querySelector('video')?.readyState >= 2);
    await page.click('.words button:nth-of-type(2)');
    await sees(page, () => Math.abs(document.querySelector('video').currentTime - 1.5) < 0.05 && document.querySelector('.words button.now')?.textContent === 'morning');
    const drawn = selector => page.evaluate(s => { const c = document.querySelector(s); const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; return d.reduce((n, v, i) => n + (i % 4 === 3 && v > 0), 0); }, selector);
    assert.ok(await drawn('.player canvas') > 100, 'the face has a box');
    await until('the wave', async () => (await drawn('canvas.wave')) > 2000);
    assert.equal(await page.locator('.words .pause').count(), 1);
    assert.match(await text(page, 'tr[data-step=emotion]'), /no model was brought/);
    const part = await page.evaluate(async path => { const a = await fetch(path, { headers: { Range: 'bytes=10-19' } }); return [a.status, a.headers.get('content-range'), (await a.arrayBuffer()).byteLength]; }, '/analysis/video/' + id);
    assert.equal(part[0], 206);
    assert.match(part[1], /^bytes 10-19\/\d+$/);
    assert.equal(part[2], 10);
    await page.click('[data-verb=remove]');
    await sees(page, () => location.hash === '#/jobs');
    assert.deepEqual(world.jobq('list'), []);
  },

  'row-11 the word that was clicked stays marked while the page hears of changes': async (world, browser) => {
    const media = await serveVideos(world);
    playable(media + '/clip.webm');
    const id = submission(world, 'clip.webm', RESULT);
    const page = await world.open(browser, { hash: '#/flow/' + id });
    /* Every player that is made from here on, shown or not. */
    await page.evaluate(() => {
      window.players = [];
      const make = document.createElement.bind(document);
      document.createElement = (name, ...more) => { const made = make(name, ...more); if (name === 'video') window.players.push(made); return made; };
    });
    /* Two views of the same at once, as when a change is told while the page is on its way: only the second is shown. */
    await page.evaluate(() => { location.hash = '#/jobs'; });
    await sees(page, () => document.querySelector('main').dataset.page === '#/jobs');
    await page.evaluate(async hash => { location.hash = hash; await Promise.all([render(), render()]); }, '#/flow/' + id);
    const loaded = () => window.players.some(one => !one.isConnected) && window.players.every(one => one.readyState >= 1);
    await sees(page, () => document.querySelector('video')?.readyState >= 2);
    await page.click('.words button:nth-of-type(2)');
    await sees(page, () => document.querySelector('.words button.now')?.textContent === 'morning');
    await page.evaluate(() => render());
    await sees(page, loaded);
    /* What a player that is not shown would do, it does now. */
    const marked = await page.evaluate(() => { for (const one of window.players) if (!one.isConnected) for (const event of ['loadedmetadata', 'seeked']) one.dispatchEvent(new Event(event)); return document.querySelector('.words button.now')?.textContent; });
    assert.equal(marked, 'morning');
  },

  'row-11 an MP4 is played and wound through by Range': async (world, browser) => {
    const media = await serveVideos(world);
    execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=640x480:rate=25:duration=20', '-f', 'lavfi', '-i', 'sine=frequency=440:duration=20', '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '25', '-b:v', '4M', '-c:a', 'aac', '-movflags', '+faststart', '-shortest', media + '/clip.mp4']);
    const words = [{ word: 'late', start_ms: 18200, end_ms: 18900, confidence: 0.5 }];
    const id = submission(world, 'clip.mp4', { video: 'clip.mp4', steps: { speech: { status: 'ok', words } }, media: { video: { width: 640, height: 480 } } });
    const page = await world.open(browser);
    const answers = [];
    page.on('response', answer => { if (answer.url().includes('/analysis/video/')) answers.push([answer.status(), answer.headers()['content-type'], answer.headers()['accept-ranges'], answer.headers()['content-range']]); });
    await go(page, '#/flow/' + id);
    await sees(page, () => document.querySelector('video')?.readyState >= 2);
    await page.click('.words button');
    await sees(page, () => { const v = document.querySelector('video'); return v.readyState >= 2 && !v.seeking && Math.abs(v.currentTime - 18.2) < 0.05; });
    /* The page itself reads the whole of it once, for the wave. */
    const pieces = answers.filter(([status]) => status === 206);
    assert.ok(pieces.every(([, type, ranges]) => type === 'video/mp4' && ranges === 'bytes'), JSON.stringify(answers));
    const from = pieces.map(piece => /^bytes (\d+)-\d+\/(\d+)$/.exec(piece[3])).map(([, first, size]) => first / size);
    assert.ok(from.some(share => share === 0) && from.some(share => share > 0.5), JSON.stringify(answers));
  },

  'row-12 a result that could not be delivered is sent again, and its signature fits': async (world, browser) => {
    const secret = 'whsec_' + Buffer.from('0123456789abcdef0123456789abcdef').toString('base64');
    const got = [];
    const receiver = createServer((request, answer) => {
      const pieces = [];
      request.on('data', piece => pieces.push(piece));
      request.on('end', () => { got.push({ headers: request.headers, body: Buffer.concat(pieces).toString() }); answer.writeHead(got.length === 1 ? 500 : 204).end(); });
    }).listen(0, '127.0.0.1');
    await once(receiver, 'listening');
    try {
      const opened = ['--callback-http', '--callback-allow', '127.0.0.1'];
      const media = await serveVideos(world, ...opened);
      writeFileSync(media + '/clip.mp4', 'some bytes');
      writeFileSync(world.folder + '/step.sh', '#!/bin/sh\nwhile [ $# -gt 2 ]; do shift; done\necho "{\\"step\\":\\"$1\\",\\"status\\":\\"ok\\"}"\n', { mode: 0o755 });
      mkdirSync(world.folder + '/secrets');
      writeFileSync(world.folder + '/secrets/default', secret + '\n', { mode: 0o600 });
      world.spawn(process.env.JOBQ_VIDEO, ['worker', '--store', world.store, '--media', media, '--step-command', world.folder + '/step.sh', '--webhook-secrets', world.folder + '/secrets', '--webhook-attempts', '1', ...opened]);
      const put = await fetch(world.url + '/analysis/start', { method: 'POST', headers: { 'Content-Type': 'application/json', Authorization: 'Bearer admin' }, body: JSON.stringify({ videoPath: 'clip.mp4', callbackUrl: 'http://127.0.0.1:' + receiver.address().port + '/told' }) });
      assert.equal(put.status, 202);
      const { jobId } = await put.json();
      const page = await world.open(browser, { hash: '#/webhooks' });
      const row = page.locator('main tbody tr[data-id]');
      await until('it is dead', async () => /dead[\s\S]*1 \/ 1[\s\S]*the receiver answered 500/.test((await row.count()) ? await row.first().innerText() : ''));
      await row.locator('[data-verb=redrive]').click();
      await until('it is delivered', () => got.length === 2);
      await until('it says so', async () => /completed/.test(await row.first().innerText()));
      const [first, second] = got;
      assert.equal(first.headers['webhook-id'], second.headers['webhook-id'], 'one event is one id');
      assert.equal(second.headers['x-event-type'], 'analysis.completed');
      assert.equal(JSON.parse(second.body).data.jobId, jobId);
      for (const [name, value] of [['id', second.headers['webhook-id']], ['time', second.headers['webhook-timestamp']], ['signature', second.headers['webhook-signature']], ['secret', secret], ['body', second.body]]) await page.fill(`#signature [name=${name}]`, value);
      await page.click('#signature button');
      await page.waitForSelector('#verdict.good');
      await page.fill('#signature [name=body]', second.body.replace('completed', 'failed'));
      await page.fill('#signature [name=secret]', secret);
      await page.click('#signature button');
      await page.waitForSelector('#verdict.bad');
    } finally {
      receiver.closeAllConnections?.();
      receiver.close();
    }
  },

  'row-12 deliveries of webhooks, and whether a signature fits': async (world, browser) => {
    const id = world.kill('hooks', 'the receiver answered 500');
    await world.serve('--webhook-queue', 'hooks');
    const page = await world.open(browser, { hash: '#/webhooks' });
    const row = page.locator(`tr[data-id="${id}"]`);
    await row.waitFor();
    assert.match(await row.innerText(), /dead[\s\S]*1 \/ 1[\s\S]*the receiver answered 500/);
    await row.locator('[data-verb=redrive]').click();
    await until('it is sent again', () => world.jobq('show', id).state === 'ready');
    const secret = Buffer.from('0123456789abcdef0123456789abcdef');
    const body = '{"type":"analysis.completed"}';
    const signature = 'v1,' + createHmac('sha256', secret).update('msg_1.1700000000.' + body).digest('base64');
    const check = async key => {
      for (const [name, value] of [['id', 'msg_1'], ['time', '1700000000'], ['signature', signature], ['secret', key], ['body', body]]) await page.fill(`#signature [name=${name}]`, value);
      await page.click('#signature button');
      return until('a verdict', async () => (await page.locator('#verdict').getAttribute('class')) && text(page, '#verdict'));
    };
    assert.equal(await check('whsec_' + secret.toString('base64')), 'The signature fits.');
    assert.equal(await page.locator('#verdict').getAttribute('class'), 'tag good');
    await page.fill('#signature [name=secret]', '');
    await check('whsec_' + Buffer.from('another secret, another secret !').toString('base64'));
    await page.waitForSelector('#verdict.bad');
  },

  'row-13 nobody changes anything without a token': async (world, browser) => {
    const id = world.kill('mail', 'no');
    await world.serve();
    const stranger = await world.open(browser, { token: null, expect: ['401'] });
    await stranger.fill('#token', 'unknown');
    await stranger.press('#token', 'Enter');
    await sees(stranger, () => document.querySelector('[role=alert]').textContent === 'This token is not known.');
    assert.equal(await stranger.locator('nav a').count(), 0);
    const viewer = await world.open(browser, { token: 'viewer', hash: '#/job/' + id, expect: ['403'] });
    await viewer.waitForSelector('#timeline');
    assert.equal(await viewer.locator('[data-verb], [data-bulk]').count(), 0);
    const post = (page, headers) => page.evaluate(async ([job, more]) => (await fetch('/api/v1/queue/act', { method: 'POST', headers: { 'Content-Type': 'application/json', ...more }, body: JSON.stringify({ verb: 'redrive', id: job }) })).status, [id, headers]);
    assert.equal(await post(viewer, { 'X-CSRF-Token': await viewer.evaluate(() => me.csrf) }), 403);
    const admin = await world.open(browser, { hash: '#/job/' + id, expect: ['403'] });
    await admin.waitForSelector('#timeline');
    assert.equal(await post(admin, {}), 403);
    assert.equal(await post(admin, { 'X-CSRF-Token': '0'.repeat(64) }), 403);
    /* Without a token nobody is told what there is to do, and a server without tokens does nothing for anybody. */
    const bare = where => fetch(where + '/api/v1/queue/act', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ verb: 'redrive', id }) }).then(answer => answer.status);
    assert.equal(await bare(world.url), 401);
    const { url, port } = world;
    world.port = 0;
    await world.serve(null);
    assert.equal(await bare(world.url), 403);
    Object.assign(world, { url, port });
    assert.equal(world.jobq('show', id).state, 'dead');
    assert.equal(await admin.evaluate(() => document.cookie), '');
    await admin.click('[data-verb=redrive]');
    await until('it waits', () => world.jobq('show', id).state === 'ready');
    await go(admin, '#/audit');
    await admin.waitForSelector('main table tbody tr');
    assert.match(await text(admin, 'main table'), /admin[\s\S]*redrive[\s\S]*200/);
    assert.match(await text(admin, 'main table'), /403/);
  },

  'row-14 keys, dark and light, a phone, two languages': async (world, browser) => {
    const ids = [world.kill('mail', 'one'), world.kill('mail', 'two')];
    await world.serve();
    const page = await world.open(browser, { hash: '#/jobs', width: 360, scheme: 'dark' });
    await page.waitForSelector('tr[data-id]');
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'q');
    await page.keyboard.press('Tab');
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    assert.equal(await page.evaluate(() => document.querySelector('tr.chosen').dataset.id), ids[1]);
    await page.keyboard.press('r');
    await until('the second waits', () => world.jobq('show', ids[1]).state === 'ready');
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press('k');
    await page.keyboard.press('Enter');
    await sees(page, () => location.hash.startsWith('#/job/'));
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360));
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
    await page.selectOption('#theme', 'light');
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'light');
    await page.click('#lang');
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'tr');
    await sees(page, () => document.querySelector('h1').textContent.startsWith('İş '));
    await page.click('#brand');
    await page.keyboard.press('?');
    await page.waitForSelector('dialog kbd');
    const names = await page.evaluate(() => [...document.querySelectorAll('button, a, input, select, textarea')].filter(e => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).map(e => e.outerHTML));
    assert.deepEqual(names, []);
    assert.ok(await page.evaluate(() => [...document.querySelectorAll('[tabindex]')].every(e => e.tabIndex <= 0)));
    /* By tab one comes to everything, in the order in which it stands there. */
    await page.keyboard.press('Escape');
    await page.evaluate(() => document.activeElement.blur());
    /* By its place: the view may be drawn anew between two steps, and then the elements are others. */
    const places = () => page.evaluate(() => { const found = [...document.querySelectorAll('a, button, input, select')]; return [found.length, found.indexOf(document.activeElement)]; });
    await page.waitForSelector('dialog', { state: 'detached' });
    const [all] = await places();
    const visited = new Set();
    let before = -1; /* the browser's own, or it is drawn anew just now */
    for (let i = 0; i < 3 * all && visited.size < all; i++) {
      await page.keyboard.press('Tab');
      const at = (await places())[1];
      if (at >= 0 && before >= 0) assert.equal(at, (before + 1) % all);
      if (at >= 0) visited.add(at);
      before = at;
    }
    assert.equal(visited.size, all);
  },

  'row-15 every view is an address, every number has its command': async (world, browser) => {
    world.jobq('schedule', 'add', 'night', '--queue', 'mail', '--cron', '30 2 * * *');
    world.jobq('limit', 'mail', '--concurrency', 5);
    const id = world.kill('mail', 'trouble');
    world.enqueue('mail');
    await world.serve('--webhook-queue', 'mail');
    const page = await world.open(browser);
    const titles = { webhooks: 'Webhooks', overview: 'Overview', queues: 'Queues', jobs: 'Jobs', dead: 'Dead letters', workers: 'Workers', schedules: 'Schedules', limits: 'Limits', audit: 'Audit log', 'queue/mail': 'Queue mail', ['job/' + id]: 'Job ' + id };
    for (const [view, title] of Object.entries(titles)) {
      await page.goto('about:blank');
      await page.goto(world.url + '/#/' + view);
      await sees(page, want => document.querySelector('main h1')?.textContent.startsWith(want), title);
    }
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: world.url });
    const commands = new Set();
    for (const view of ['overview', 'queue/mail', 'jobs', 'dead', 'schedules', 'limits', 'webhooks', 'job/' + id]) {
      await go(page, '#/' + view);
      await page.waitForSelector('main .num');
      for (const command of await page.locator('main .num').evaluateAll(all => all.map(one => one.dataset.command))) commands.add(command);
    }
    assert.ok(commands.size > 6);
    const { JOBQ } = process.env;
    for (const command of commands) {
      const words = command.replace(/^jobq /, `${JOBQ} -s ${world.store} `);
      const answer = execFileSync('sh', ['-c', words.replace(/^curl/, process.env.JOBQ_NO_CURL ? 'true' : 'curl')], { env: { ...process.env, TOKEN: 'admin' }, stdio: ['ignore', 'pipe', 'pipe'] });
      JSON.parse(answer.toString());
    }
    await go(page, '#/overview');
    await page.locator('[data-card=failed] .num').click();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^curl .*\/stats$/);
    await queueRow(page, 'mail').locator('.num').first().click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'jobq stats mail --json');
  },
});
