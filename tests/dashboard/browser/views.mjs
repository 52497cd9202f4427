// SPDX-License-Identifier: MIT
/* Every view in every dress: nothing overflows, nothing is untranslated, everything can be read; and what is stored runs
 * nowhere. With JOBQ_SHOTS each is left there as a picture. */
import assert from 'node:assert/strict';
import { RESULT, playable, run, sees, serveVideos, submission, until } from './kit.mjs';

/* What is wrong with the page as it stands: in the page, so that it is one call. */
function faults() {
  const out = [];
  const seen = element => { const box = element.getBoundingClientRect(); return box.width > 0 && box.height > 0 && getComputedStyle(element).visibility === 'visible'; };
  const parse = color => (color.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => { for (let at = element; at; at = at.parentElement) { const color = parse(getComputedStyle(at).backgroundColor); if (color.length === 3 || color[3] === 1) return color; } return [255, 255, 255]; };
  if (document.documentElement.scrollWidth > innerWidth) out.push('the page is ' + document.documentElement.scrollWidth + ' wide');
  if (document.body.innerText.includes('‹')) out.push('an untranslated key: ' + /‹.*?›/.exec(document.body.innerText));
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !seen(element) || element.closest('.skip, noscript, option, :disabled')) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) out.push('contrast ' + ((a + 0.05) / (b + 0.05)).toFixed(2) + ': ' + texts.currentNode.data.trim().slice(0, 40));
    const box = element.getBoundingClientRect();
    if (box.right > innerWidth + 1 && !element.closest('.wide, nav, pre')) out.push('overflows: ' + texts.currentNode.data.trim().slice(0, 40));
  }
  for (const element of document.querySelectorAll('button, a, input:not([type=hidden]), select, textarea, [role=img], progress'))
    if (!(element.textContent.trim() || element.getAttribute('aria-label') || element.labels?.length)) out.push('nobody says what it is: ' + element.outerHTML.slice(0, 80));
  for (const element of document.querySelectorAll('button:not(.num, .id), h1'))
    if (seen(element) && element.scrollWidth > element.clientWidth + 1) out.push('cut off: ' + element.textContent.slice(0, 40));
  for (const wide of document.querySelectorAll('.wide'))
    if (wide.scrollWidth > wide.clientWidth + 1) out.push('a table is ' + wide.scrollWidth + ' wide in ' + wide.clientWidth + ': ' + wide.textContent.slice(0, 20));
  const here = document.querySelector('nav [aria-current]')?.getBoundingClientRect();
  if (here && (here.left < 0 || here.right > innerWidth)) out.push('the present view is not to be seen in the navigation');
  return [...new Set(out)];
}

function fill(world) {
  world.jobq('events', '--keep', 1000);
  world.kill('mail', 'no host 17 answered at 10.0.0.1');
  const id = world.enqueue('mail', '{"to": "somebody@example.org"}', '--max-attempts', 5, '--group', 'acme', '--backoff', 'fixed:500000');
  world.fail('mail', 'first trouble\nand more of it');
  world.complete('reports');
  world.enqueue('mail');
  world.jobq('schedule', 'add', 'every-night', '--queue', 'mail', '--cron', '30 2 * * *', '--zone', 'Europe/Berlin');
  world.jobq('limit', 'mail', '--concurrency', 3);
  world.enqueue('reports');
  world.jobq('claim', 'reports');
  world.enqueue('slow', '{}', '--group', 'acme');
  world.spawn(process.env.JOBQ, ['-s', world.store, 'work', 'slow', '--', 'sleep', '60']);
  return ['overview', 'queues', 'queue/mail', 'jobs', 'job/' + id, 'dead', 'workers', 'schedules', 'limits', 'webhooks', 'audit'];
}

async function visit(page, view) {
  await page.evaluate(to => { location.hash = '#/' + to; }, view);
  await sees(page, to => document.querySelector('main').dataset.page === '#/' + to && document.querySelector('main h1') !== null, view);
}

const dresses = [['light', 'en-GB', 1280], ['dark', 'tr-TR', 360]];
if (process.env.JOBQ_TEST_FULL || process.env.JOBQ_SHOTS) dresses.push(['dark', 'en-GB', 1280], ['light', 'tr-TR', 1280], ['light', 'en-GB', 360], ['dark', 'en-GB', 360], ['light', 'tr-TR', 360], ['dark', 'tr-TR', 1280]);
const tests = {};

for (const [scheme, locale, width] of dresses)
  tests[`every view: ${scheme}, ${locale}, ${width} px`] = async (world, browser) => {
    const views = fill(world);
    await world.serve('--webhook-queue', 'mail', '--column', 'to=/to');
    const found = {};
    const look = async (page, name) => {
      found[name] = await page.evaluate(faults);
      if (process.env.JOBQ_SHOTS) await page.screenshot({ path: `${process.env.JOBQ_SHOTS}/${name}-${scheme}-${locale}-${width}.png`, fullPage: true });
    };
    const enter = async () => {
      const page = await world.open(browser, { scheme, locale, width, token: null });
      await page.waitForSelector('#token');
      await look(page, 'login');
      await page.fill('#token', 'admin');
      await page.press('#token', 'Enter');
      await page.waitForSelector('#logout');
      return page;
    };
    await until('the worker is there', () => world.jobq('stats').workers?.length === 1);
    const page = await enter();
    for (const view of views) {
      await visit(page, view);
      await look(page, view.startsWith('job/') ? 'job' : view.replace('/', '-'));
    }
    await visit(page, 'jobs');
    await page.click('[data-bulk=cancel]');
    await page.waitForSelector('dialog');
    await look(page, 'bulk');
    await page.keyboard.press('Escape');
    await page.click('#help');
    await page.waitForSelector('dialog kbd');
    await look(page, 'keys');
    playable((await serveVideos(world)) + '/clip.webm');
    const [done, half] = [submission(world, 'clip.webm', RESULT), submission(world, 'clip.webm')];
    const [job] = world.jobq('claim', 'video.speech');
    world.jobq('progress', job.id, job.token, '{"done": 3, "total": 4, "unit": "s"}');
    const video = await enter();
    await visit(video, 'flow/' + half);
    await look(video, 'flow');
    await visit(video, 'flow/' + done);
    await sees(video, () => document.querySelector('video')?.readyState >= 2);
    await video.click('.words button:nth-of-type(2)');
    await sees(video, () => document.querySelector('.words button.now') !== null);
    await look(video, 'result');
    assert.deepEqual(Object.entries(found).filter(([, all]) => all.length), []);
  };

tests['every word is there in both languages and used'] = async (world, browser) => {
  await world.serve();
  const page = await world.open(browser);
  const wrong = await page.evaluate(async () => {
    const script = await (await fetch('/dashboard.js')).text();
    const holes = text => (text.match(/\{\d\}/g) || []).sort().join();
    const bad = Object.entries(WORDS).filter(([, [en, tr]]) => !en || !tr || holes(en) !== holes(tr)).map(([key]) => key);
    const asked = [...script.matchAll(/\bt\('(\w+)'/g)].map(found => found[1]).filter(key => !WORDS[key]);
    const code = script.slice(script.indexOf('\n};'));
    const idle = Object.keys(WORDS).filter(key => !new RegExp(`['"]${key}['"]|\\b${key}[,: ]`).test(code));
    return [...bad, ...asked, ...idle.map(key => 'unused: ' + key)];
  });
  assert.deepEqual(wrong, []);
};

tests['a tenant sees its own jobs and asks for nothing else'] = async (world, browser) => {
  const own = world.kill('mail', 'trouble', '--group', 'one');
  world.kill('mail', 'other trouble', '--group', 'two');
  await world.serve('--webhook-queue', 'mail');
  const page = await world.open(browser, { token: 'one' });
  await sees(page, () => document.querySelector('[data-card=failed] .num')?.textContent === '1');
  assert.deepEqual(await page.locator('nav a').allInnerTexts(), ['Overview', 'Jobs', 'Dead letters', 'Limits', 'Webhooks']);
  for (const view of ['jobs', 'job/' + own, 'dead', 'limits', 'webhooks']) {
    await visit(page, view);
    assert.ok(!(await page.evaluate(() => document.querySelector('main').textContent)).includes('other trouble'), view);
  }
  await visit(page, 'dead');
  assert.equal(await page.locator('tr[data-error]').count(), 1);
};

tests['what is stored runs nowhere'] = async (world, browser) => {
  const mark = `"><img src=x onerror=window.ran=1><script>window.ran=1</script>`;
  const name = mark.slice(0, 200);
  world.jobq('events', '--keep', 1000);
  const id = world.enqueue(name, JSON.stringify({ to: mark, video: mark }), '--kind', name, '--group', name, '--key', mark, '--backoff', 'fixed:500000');
  const [job] = world.jobq('claim', name, '--worker', name);
  world.jobq('log', job.id, job.token, mark);
  world.jobq('progress', job.id, job.token, mark);
  world.jobq('fail', job.id, job.token, mark);
  world.jobq('enqueue', name, mark, '--max-attempts', 1);
  const [other] = world.jobq('claim', name);
  world.jobq('fail', other.id, other.token, mark);
  world.enqueue(name);
  world.jobq('claim', name, '--worker', name);
  world.jobq('schedule', 'add', name, '--queue', name, '--cron', '@daily', '--payload', mark);
  world.jobq('limit', '--group', name, '--concurrency', 1);
  world.jobq('limit', name, '--concurrency', 9);
  await world.serve('--webhook-queue', name, '--column', name.replaceAll('=', '') + '=/to');
  const page = await world.open(browser);
  await page.evaluate(async () => { document.addEventListener('securitypolicyviolation', event => { window.violated = event.blockedURI; }); await ask('act', { verb: 'pause', name: '<script>window.ran=1</script>' }); });
  const seen = {};
  for (const view of ['overview', 'queues', 'queue/' + encodeURIComponent(name), 'jobs', 'jobs?q=' + encodeURIComponent(mark), 'job/' + id, 'dead', 'workers', 'schedules', 'limits', 'webhooks', 'audit']) {
    await visit(page, view);
    await page.evaluate(() => document.querySelectorAll('details').forEach(one => { one.open = true; }));
    seen[view] = await page.evaluate(() => ({ ran: window.ran ?? null, violated: window.violated ?? null, shown: document.querySelector('main').textContent.includes('<script>window.ran='), made: document.querySelectorAll('main img, main script').length }));
  }
  for (const [view, what] of Object.entries(seen)) assert.deepEqual(what, { ran: null, violated: null, shown: true, made: 0 }, view);
};

await run(tests);
