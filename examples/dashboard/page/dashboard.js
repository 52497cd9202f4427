// SPDX-License-Identifier: MIT
'use strict';
/* The dashboard. Text from the store is only ever put into the page as text. */

// ---- words -------------------------------------------------------------------------------------------------------

const WORDS = {
  skip: ['Skip to content', 'İçeriğe geç'], search: ['Search: id, text, queue  ( / )', 'Ara: kimlik, metin, kuyruk  ( / )'],
  overview: ['Overview', 'Genel bakış'], queues: ['Queues', 'Kuyruklar'], jobs: ['Jobs', 'İşler'], dead: ['Dead letters', 'Ölü işler'],
  workers: ['Workers', 'İşçiler'], schedules: ['Schedules', 'Zamanlamalar'], limits: ['Limits', 'Sınırlar'],
  webhooks: ['Webhooks', 'Webhook’lar'], audit: ['Audit log', 'Denetim kaydı'],
  live: ['live', 'canlı'], stale: ['stale for {0} s', '{0} sn’dir eski'], polling: ['polling', 'yoklama'], hiddenPaused: ['paused', 'duraklatıldı'],
  connecting: ['connecting', 'bağlanıyor'], storeDown: ['store unreachable', 'depoya ulaşılamıyor'], lost: ['{0} events were not seen', '{0} olay görülmedi'],
  login: ['Log in', 'Giriş yap'], logout: ['Log out', 'Çıkış'], token: ['Token', 'Belirteç'], language: ['Türkçe', 'English'],
  theme: ['Theme', 'Tema'], auto: ['auto', 'otomatik'], dark: ['dark', 'koyu'], light: ['light', 'açık'], help: ['Keys', 'Tuşlar'],
  closed: ['Closed: the server was started without --token-file, so it shows counts and nothing else.', 'Kapalı: sunucu --token-file olmadan başlatıldı, yalnızca sayıları gösterir.'],
  wrongToken: ['This token is not known.', 'Bu belirteç tanınmıyor.'], needLogin: ['Log in to see the queue.', 'Kuyruğu görmek için giriş yapın.'], forbidden: ['Your token does not allow this.', 'Belirteciniz buna izin vermiyor.'],
  total: ['Total', 'Toplam'], pending: ['Pending', 'Bekleyen'], processing: ['Processing', 'İşlenen'], completed: ['Completed', 'Tamamlanan'],
  failed: ['Failed', 'Başarısız'], stuck: ['Stuck', 'Takılı'], healthy: ['healthy', 'sağlıklı'], warning: ['warning', 'uyarı'], critical: ['critical', 'kritik'],
  health: ['Health', 'Sağlık'], noIssues: ['nothing out of the ordinary', 'olağan dışı bir şey yok'],
  sBlocked: ['blocked', 'bloke'], sScheduled: ['scheduled', 'planlı'], sReady: ['ready', 'hazır'], sRunning: ['running', 'çalışıyor'],
  sCompleted: ['completed', 'tamamlandı'], sDead: ['dead', 'ölü'], sCancelled: ['cancelled', 'iptal'], sRemoved: ['removed', 'silindi'],
  sWaiting: ['waiting', 'bekliyor'], sService: ['at the service', 'serviste'], sBusy: ['service busy', 'servis meşgul'], sOk: ['done', 'yapıldı'], sSkipped: ['skipped', 'atlandı'], sNotAvailable: ['not available', 'mevcut değil'], sFailed: ['failed', 'başarısız'], sProcessing: ['processing', 'işleniyor'],
  queue: ['Queue', 'Kuyruk'], oldest: ['Oldest waiting', 'En eski bekleyen'], arriving: ['In/s', 'Gelen/sn'], finishing: ['Done/s', 'Biten/sn'],
  failing: ['Errors/s', 'Hata/sn'], errorRate: ['Error rate', 'Hata oranı'], retryRate: ['Retries/s', 'Tekrar/sn'],
  waitTimes: ['Wait p50 / p95 / p99', 'Bekleme p50 / p95 / p99'], runTimes: ['Run p50 / p95 / p99', 'Çalışma p50 / p95 / p99'], state: ['State', 'Durum'],
  open: ['open', 'açık'], paused: ['paused', 'duraklatıldı'], pause: ['Pause', 'Duraklat'], resume: ['Resume', 'Sürdür'], drain: ['Drain: take no new jobs', 'Boşalt: yeni iş alma'],
  fill: ['Take new jobs again', 'Yeniden iş al'], chartJobs: ['Waiting and running, 15 minutes', 'Bekleyen ve çalışan, 15 dakika'], chartRates: ['Per second, 15 minutes', 'Saniyede, 15 dakika'],
  waiting: ['waiting', 'bekleyen'], running: ['running', 'çalışan'], arrived: ['arrived', 'gelen'], finished: ['finished', 'biten'], errors: ['errors', 'hata'],
  noQueues: ['There is no queue yet.', 'Henüz kuyruk yok.'], nothing: ['Nothing here.', 'Burada bir şey yok.'], id: ['Id', 'Kimlik'], kind: ['Kind', 'Tür'], tenant: ['Tenant', 'Kiracı'],
  attempt: ['Attempt', 'Deneme'], created: ['Created', 'Oluşturuldu'], next: ['Next', 'Sonraki'], error: ['Error', 'Hata'], all: ['all', 'hepsi'], since: ['Created within', 'Oluşturulma'],
  anyTime: ['any time', 'her zaman'], minutes5: ['5 minutes', '5 dakika'], hour1: ['1 hour', '1 saat'], day1: ['1 day', '1 gün'], text: ['Text', 'Metin'], apply: ['Show', 'Göster'],
  more: ['More', 'Daha fazla'], retryAll: ['Retry all matching', 'Eşleşenlerin hepsini yeniden dene'], cancelAll: ['Cancel all matching', 'Eşleşenlerin hepsini iptal et'], discardAll: ['Discard all matching', 'Eşleşenlerin hepsini sil'],
  retry: ['Retry', 'Yeniden dene'], cancel: ['Cancel job', 'İşi iptal et'], discard: ['Discard', 'Sil'], unhold: ['Release hold', 'Beklemeyi kaldır'], close: ['Close', 'Kapat'], back: ['Back', 'Vazgeç'], cancelMany: ['Cancel jobs', 'İşleri iptal et'],
  matching: ['{0} jobs match.', '{0} iş eşleşiyor.'], typeCount: ['Many: type {0} to confirm', 'Çok sayıda: onaylamak için {0} yazın'], doneCount: ['{0} jobs changed', '{0} iş değişti'],
  undo: ['Undo', 'Geri al'], discarding: ['{0} jobs are discarded in {1} s', '{0} iş {1} sn içinde silinecek'], undone: ['Nothing was discarded', 'Hiçbir şey silinmedi'], copied: ['Copied: {0}', 'Kopyalandı: {0}'],
  command: ['Copy the command for this: {0}', 'Bunun komutunu kopyala: {0}'], done: ['Done', 'Tamam'], worker: ['Worker', 'İşçi'], job: ['Job', 'İş'], why: ['Why it is there', 'Neden orada'],
  timeline: ['Timeline', 'Zaman çizgisi'], tQueued: ['queued', 'kuyruğa alındı'], tClaimed: ['attempt {0}: claimed by {1}', 'deneme {0}: {1} aldı'], tFailed: ['attempt {0}: failed ({1})', 'deneme {0}: başarısız ({1})'],
  tHeartbeat: ['heartbeat: the lease holds for {0}', 'nabız: kira {0} daha geçerli'], tStuck: ['the lease ran out {0} ago', 'kira {0} önce doldu'], tBackoff: ['back-off: attempt {0} in {1}', 'geri çekilme: deneme {0}, {1} sonra'],
  tReady: ['waits for a worker: attempt {0}', 'işçi bekliyor: deneme {0}'], tDone: ['attempt {0}: done', 'deneme {0}: bitti'], tDead: ['dead: {0}', 'öldü: {0}'], tCancelled: ['cancelled', 'iptal edildi'], tBlocked: ['blocked: {0}', 'bloke: {0}'],
  attempts: ['{0} attempts', '{0} deneme'], noWorker: ['nobody', 'hiç kimse'], log: ['Log', 'Kayıt'], payload: ['Payload', 'Yük'], result: ['Result', 'Sonuç'], data: ['Callback data', 'Geri çağrı verisi'], progress: ['Progress', 'İlerleme'], showMasked: ['Show hidden text', 'Gizli metni göster'],
  times: ['Times', 'Zamanlar'], flow: ['Flow', 'Akış'], count: ['Count', 'Sayı'], reason: ['Reason', 'Neden'], first: ['First seen', 'İlk görülme'], last: ['Last seen', 'Son görülme'], newest: ['Newest', 'En yeni'], actions: ['Actions', 'Eylemler'], noError: ['(no text)', '(metin yok)'],
  partial: ['Only a part was looked at.', 'Yalnızca bir kısmına bakıldı.'], host: ['Host', 'Makine'], capacity: ['Busy', 'Meşgul'], heartbeat: ['Heartbeat', 'Nabız'], current: ['Current jobs', 'Şimdiki işler'], askStop: ['Ask to stop after this job', 'Bu işten sonra durmasını iste'], asked: ['asked to stop', 'durması istendi'],
  alive: ['alive', 'canlı'], gone: ['not seen', 'görülmüyor'], leases: ['Leases', 'Kiralar'], leaseLeft: ['Lease', 'Kira'], started: ['Started', 'Başladı'], expired: ['ran out', 'doldu'], name: ['Name', 'Ad'], when: ['When', 'Ne zaman'], zone: ['Zone', 'Saat dilimi'],
  nextRuns: ['Next 5 runs in {0}', 'Sonraki 5 çalışma, {0}'], nextHere: ['here ({0})', 'burada ({0})'], lastResult: ['Last result', 'Son sonuç'], runNow: ['Run now', 'Şimdi çalıştır'], never: ['never', 'hiç'], of: ['Of', 'Türü'],
  lQueue: ['queue', 'kuyruk'], lGroup: ['tenant', 'kiracı'], lPlan: ['plan', 'plan'], depth: ['Depth', 'Derinlik'], concurrency: ['Concurrency', 'Eşzamanlılık'], perTenant: ['Per tenant', 'Kiracı başına'], rate: ['Rate', 'Hız'], quota: ['Quota', 'Kota'], used: ['in use', 'kullanımda'], set: ['Set', 'Ayarla'],
  setLimit: ['Set a limit', 'Sınır ayarla'], everyGroup: ['every tenant', 'her kiracı'], at: ['At', 'Zaman'], who: ['Who', 'Kim'], role: ['Role', 'Rol'], from: ['From', 'Nereden'], verb: ['What', 'Ne'], status: ['Status', 'Durum'],
  rNone: ['not logged in', 'giriş yapılmadı'], rViewer: ['viewer', 'izleyici'], rOperator: ['operator', 'işletmen'], rAdmin: ['admin', 'yönetici'], openFlow: ['Show its steps', 'Adımlarını göster'], video: ['Video', 'Video'], faces: ['faces: {0}', 'yüz: {0}'],
  steps: ['Steps', 'Adımlar'], transcript: ['Transcript', 'Döküm'], transcriptNote: ['A draft: click a word to go there.', 'Taslak: gitmek için bir sözcüğe tıklayın.'], waveform: ['Waveform with pauses', 'Duraklamalı dalga biçimi'], noWords: ['No words.', 'Sözcük yok.'], noClip: ['This clip cannot be played here.', 'Bu klip burada oynatılamıyor.'],
  resend: ['Send again', 'Yeniden gönder'], checkSignature: ['Check a signature', 'İmza doğrula'], secret: ['Secret (stays in this page)', 'Gizli anahtar (sayfada kalır)'], body: ['Body', 'Gövde'], signature: ['webhook-signature', 'webhook-signature'], whId: ['webhook-id', 'webhook-id'], whTime: ['webhook-timestamp', 'webhook-timestamp'],
  check: ['Check', 'Doğrula'], goodSignature: ['The signature fits.', 'İmza uyuyor.'], badSignature: ['The signature does not fit this secret.', 'İmza bu anahtara uymuyor.'], insecure: ['Browsers check signatures on https or on this machine only.', 'Tarayıcılar imzayı yalnızca https’te ya da bu makinede doğrular.'], deliveries: ['Deliveries', 'Teslimatlar'],
  keySearch: ['search', 'ara'], keyMove: ['next and previous row', 'sonraki ve önceki satır'], keyOpen: ['open the row', 'satırı aç'], keyRetry: ['retry the row', 'satırı yeniden dene'], keyHelp: ['this list', 'bu liste'], trouble: ['That did not work: {0}', 'Olmadı: {0}'],
  every: ['per', 'her'], second: ['second', 'saniye'], minute: ['minute', 'dakika'], hour: ['hour', 'saat'], day: ['day', 'gün'], emptyRemoves: ['An empty field removes its limit.', 'Boş bir alan sınırını kaldırır.'],
  emptyKeeps: ['An empty field stays as it is.', 'Boş bir alan olduğu gibi kalır.'], details: ['Details', 'Ayrıntılar'], ago15: ['15 min ago', '15 dk önce'], now: ['now', 'şimdi'], most: ['at most {0}', 'en çok {0}'],
  noWorkers: ['No worker is known. Start one: {0}', 'Bilinen bir işçi yok. Birini başlatın: {0}'], noLeases: ['No job is running.', 'Çalışan iş yok.'], noDead: ['No dead letters: nothing has failed for good.', 'Ölü iş yok: hiçbir şey kalıcı olarak başarısız olmadı.'],
  noSchedules: ['No schedules. Add one: {0}', 'Zamanlama yok. Bir tane ekleyin: {0}'], noLimits: ['No limits are set.', 'Ayarlanmış sınır yok.'], noDeliveries: ['Nothing has been sent yet.', 'Henüz bir şey gönderilmedi.'], noJobs: ['No job matches.', 'Eşleşen iş yok.'],
  pFetch: ['fetch', 'indirme'], pProbe: ['probe', 'inceleme'], pQuality: ['quality', 'görüntü kalitesi'], pSound: ['sound', 'ses'], pSpeech: ['speech', 'konuşma'], pFace: ['face', 'yüz'], pGesture: ['gesture', 'jest'], pEmotion: ['emotion', 'duygu'], pReport: ['report', 'rapor'],
  removeHint: ['Removes its jobs and its result', 'İşlerini ve sonucunu siler'], removedAll: ['Its jobs and its result are gone', 'İşleri ve sonucu silindi'],
  copyId: ['Copy the id', 'Kimliği kopyala'], queueJobs: ['Its jobs', 'İşleri'],
};

let lang = load('lang') || (navigator.language.startsWith('tr') ? 'tr' : 'en');

function t(key, ...values) {
  const entry = WORDS[key];
  if (!entry) return '‹' + key + '›';
  return entry[lang === 'tr' ? 1 : 0].replace(/\{(\d)\}/g, (_, i) => values[i]);
}

function load(key) { try { return localStorage.getItem('jobq.' + key); } catch { return null; } }
function save(key, value) { try { localStorage.setItem('jobq.' + key, value); } catch { /* private window */ } }

// ---- building the page -------------------------------------------------------------------------------------------

function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== 'string') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const byId = id => document.getElementById(id);
const number = value => new Intl.NumberFormat(lang).format(value);
/* The jobs of one flow differ in the thirteenth digit. */
const short = id => id ? id.slice(0, 13) + '…' + id.slice(-4) : '';
const shell = word => /^[\w@%+=:,./-]+$/.test(word) ? word : "'" + String(word).replaceAll("'", "'\\''") + "'";

const UNITS = [['millisecond', 1, 1000], ['second', 1000, 90000], ['minute', 60000, 5400000], ['hour', 3600000, 129600000], ['day', 86400000, Infinity]];
const unitOf = ms => UNITS.find(([, , below]) => ms < below);
const digits = (value, name) => ({ maximumFractionDigits: name !== 'millisecond' && value < 10 ? 1 : 0 });

function duration(ms) {
  const [name, size] = unitOf(ms);
  return new Intl.NumberFormat(lang, { style: 'unit', unit: name, unitDisplay: 'short', ...digits(ms / size, name) }).format(ms / size);
}

function instant(text, zone) {
  if (!text) return '';
  const options = { dateStyle: 'short', timeStyle: 'medium', timeZone: zone };
  return new Intl.DateTimeFormat(lang === 'tr' ? 'tr' : 'en-GB', options).format(new Date(text));
}

/* A number, and the command that gives it: pressing it copies the command. */
function num(value, command) {
  const label = t('command', command);
  return h('button', { type: 'button', class: 'num', title: label, 'aria-label': value + '. ' + label, 'data-command': command, onclick: () => copy(command) }, String(value));
}

function copy(text) {
  const said = () => toast(t('copied', text));
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(said, () => copyOld(text, said));
  return copyOld(text, said);
}

function copyOld(text, said) {
  const area = h('textarea', { 'aria-hidden': 'true' });
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
  said();
}

const TONES = { ready: '', running: 'warn', completed: 'good', dead: 'bad', cancelled: 'warn', failed: 'bad', ok: 'good', skipped: 'warn', not_available: 'warn' };
const STATE_WORDS = { blocked: 'sBlocked', scheduled: 'sScheduled', ready: 'sReady', running: 'sRunning', completed: 'sCompleted', dead: 'sDead', cancelled: 'sCancelled',
  removed: 'sRemoved', waiting: 'sWaiting', 'at the service': 'sService', 'service busy': 'sBusy', ok: 'sOk', skipped: 'sSkipped', not_available: 'sNotAvailable', failed: 'sFailed', processing: 'sProcessing' };

function tag(state, stuck) {
  const word = stuck ? t('stuck') : STATE_WORDS[state] ? t(STATE_WORDS[state]) : state;
  return h('span', { class: 'tag ' + (stuck ? 'bad' : TONES[state] || ''), title: state }, word);
}

/* Columns: [label, class]. Rows: arrays of nodes, or {cells, ...attributes}. On narrow screens a row is a card. */
function table(columns, rows, caption, kind, empty) {
  if (!rows.length) return h('p', { class: 'empty' }, empty || t('nothing'));
  const line = row => {
    const { cells = row, ...attributes } = Array.isArray(row) ? {} : row;
    return h('tr', attributes, cells.map((cell, i) => h('td', { class: columns[i][1], 'data-label': columns[i][0] }, Array.isArray(cell) ? h('span', {}, cell) : cell)));
  };
  return h('div', { class: 'wide' }, h('table', { class: 'stack ' + (kind || ''), 'aria-label': caption },
    h('thead', {}, h('tr', {}, columns.map(([label, side]) => h('th', { class: side, scope: 'col' }, label)))), h('tbody', {}, rows.map(line))));
}

function toast(text, ...more) {
  const element = h('div', { class: 'toast' }, h('span', {}, text), ...more);
  byId('toasts').append(element);
  const timer = setTimeout(() => element.remove(), 6000);
  return { element, keep: () => clearTimeout(timer) };
}

// ---- talking with the server -------------------------------------------------------------------------------------

let me = { role: 'none', verbs: [], columns: [], open: false };
const API = document.documentElement.dataset.prefix || '/api/v1/queue';
const may = verb => me.verbs.includes(verb);

async function ask(path, body, method = 'POST') {
  const options = { credentials: 'same-origin', headers: {} };
  if (body !== undefined) {
    Object.assign(options, { method, body: method === 'POST' ? JSON.stringify(body) : undefined });
    options.headers = { ...(method === 'POST' ? { 'Content-Type': 'application/json' } : {}), 'X-CSRF-Token': me.csrf || '' };
  }
  const answer = await fetch(path.startsWith('/') ? path : API + '/' + path, options);
  const json = await answer.json().catch(() => ({}));
  if (answer.ok) return json;
  if (answer.status === 401 && me.role !== 'none' && !path.startsWith('/log')) forgotten();
  throw Object.assign(new Error(json.error || answer.statusText), { status: answer.status });
}

async function attempt(action, said) {
  try {
    const answer = await action();
    if (said !== null) toast(said || t('done'));
    render();
    return answer;
  } catch (error) {
    toast(t('trouble', error.message));
    return null;
  }
}

/* The session is over, or the server has started again: whoever sits here says once more who it is. */
async function forgotten() {
  quiet();
  await learnMe();
  byId('main').dataset.page = '';
  render();
}

const act = (verb, what, said) => attempt(() => ask('act', { verb, ...what }), said);

async function learnMe() {
  me = { columns: [], ...await ask('me') };
  drawFrame();
}

// ---- live --------------------------------------------------------------------------------------------------------

const feed = { source: null, heard: 0, lastId: '', mode: 'connecting', overview: null, stats: null, health: null, healthAt: 0 };

function listen() {
  if (feed.source || document.hidden || (me.role === 'none' && !me.open)) return;
  /* EventSource itself brings Last-Event-ID back after a cut; a new one is told where the old one was. */
  const source = new EventSource('/events' + (feed.lastId ? '?after=' + feed.lastId : ''));
  feed.source = source;
  const heard = event => {
    feed.heard = Date.now();
    feed.mode = 'live';
    if (event.lastEventId) feed.lastId = event.lastEventId;
    drawBadge();
    return JSON.parse(event.data);
  };
  source.addEventListener('stats', event => takeOverview(heard(event)));
  source.addEventListener('tick', event => { heard(event); changed(); });
  source.addEventListener('job', event => { heard(event); changed(); });
  source.addEventListener('trouble', event => { heard(event); feed.mode = 'storeDown'; drawBadge(); });
  source.addEventListener('lost', event => toast(t('lost', number(heard(event).events))));
  source.addEventListener('error', () => {
    if (source.readyState !== EventSource.CLOSED) return;
    feed.source = null;
    feed.mode = 'polling';
    poll();
    setTimeout(listen, 15000);
  });
}

function quiet() {
  if (feed.source) feed.source.close();
  feed.source = null;
}

async function poll() {
  if (feed.source || document.hidden || feed.mode !== 'polling') return;
  try {
    if (!me.tenant) takeOverview(await ask('overview'));
    else changed();
    feed.heard = Date.now();
  } catch { /* the badge tells how old it is */ }
  setTimeout(poll, 5000);
}

async function takeOverview(overview) {
  const known = feed.overview && feed.overview.history;
  feed.overview = overview;
  overview.history = overview.history || known || [];
  const total = overview.total;
  const last = overview.history.at(-1);
  if (!last || Date.now() - last[0] >= 5000)
    overview.history.push([Date.now(), total.ready + total.scheduled + total.blocked, total.running, total.completed_total, total.failed_total, total.enqueued_total]);
  overview.history.splice(0, overview.history.length - 180);
  await takeStats();
  if (['overview', 'queues', 'queue', 'workers'].includes(route().view)) render();
}

async function takeStats() {
  try {
    feed.stats = await ask('stats');
    if (!me.tenant && Date.now() - feed.healthAt > 10000) {
      feed.healthAt = Date.now();
      feed.health = await ask('health');
    }
  } catch { /* the next one will tell */ }
}

let changeTimer = 0;
function changed() {
  if (changeTimer || !['jobs', 'job', 'dead', 'flow', 'webhooks', 'overview'].includes(route().view)) return;
  changeTimer = setTimeout(async () => {
    changeTimer = 0;
    if (route().view === 'overview') await takeStats();
    render();
  }, 700);
}

function drawBadge() {
  const age = Math.round((Date.now() - feed.heard) / 1000);
  const limit = Math.max(5, 2.5 * (me.interval_ms || 2000) / 1000);
  let text = t('connecting'), tone = '';
  if (document.hidden) text = t('hiddenPaused');
  else if (feed.heard && age > limit) [text, tone] = [t('stale', age), 'bad'];
  else if (feed.mode === 'storeDown') [text, tone] = [t('storeDown'), 'bad'];
  else if (feed.mode === 'polling') [text, tone] = [t('polling'), 'warn'];
  else if (feed.mode === 'live') [text, tone] = [t('live'), 'good'];
  const badge = byId('badge');
  if (badge.textContent !== text) badge.textContent = text;
  badge.className = 'tag ' + tone;
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) quiet();
  else { listen(); poll(); }
  drawBadge();
});
setInterval(() => { drawBadge(); document.querySelectorAll('[data-until]').forEach(countDown); }, 1000);

/* An element that shows how long it is until an instant, or since it. The store's clock may differ from ours. */
function until(at, now) {
  const element = h('span', { 'data-until': String(Date.parse(at) + (now ? Date.now() - Date.parse(now) : 0)) });
  countDown(element);
  return element;
}

function countDown(element) {
  const left = Number(element.dataset.until) - Date.now();
  element.textContent = duration(Math.abs(left));
}

// ---- frame: heading, navigation, routes --------------------------------------------------------------------------

function route() {
  const [path, query] = (location.hash.slice(2) || 'overview').split('?');
  const [view, ...rest] = path.split('/').map(decodeURIComponent);
  return { view, id: rest.join('/'), query: new URLSearchParams(query || '') };
}

function link(view, id, query) {
  const rest = query ? '?' + new URLSearchParams(Object.entries(query).filter(([, value]) => value)) : '';
  return '#/' + view + (id ? '/' + encodeURIComponent(id) : '') + rest;
}

function drawFrame() {
  document.documentElement.lang = lang;
  const theme = load('theme') || 'auto';
  const dark = theme === 'dark' || (theme === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  byId('skip').textContent = t('skip');
  byId('q').placeholder = t('search');
  byId('q').setAttribute('aria-label', t('search'));
  const themes = ['auto', 'dark', 'light'];
  byId('tools').replaceChildren(
    h('span', { class: 'role' }, t({ none: 'rNone', viewer: 'rViewer', operator: 'rOperator', admin: 'rAdmin' }[me.role]) + (me.tenant ? ' · ' + me.tenant : '')),
    h('select', { 'aria-label': t('theme'), id: 'theme', onchange: event => { save('theme', event.target.value); drawFrame(); render(); } },
      themes.map(name => h('option', { value: name, selected: name === theme }, t(name)))),
    h('button', { type: 'button', id: 'lang', lang: lang === 'tr' ? 'en' : 'tr', onclick: () => { lang = lang === 'tr' ? 'en' : 'tr'; save('lang', lang); drawFrame(); render(); } }, t('language')),
    h('button', { type: 'button', id: 'help', onclick: showHelp, 'aria-label': t('help') }, '?'),
    me.role === 'none' ? '' : h('button', { type: 'button', id: 'logout', onclick: logout }, t('logout')));
  document.body.classList.toggle('outside', me.role === 'none' && !me.open);
  drawNavigation();
  drawBadge();
}

function drawNavigation() {
  const views = ['overview', 'queues', 'jobs', 'dead', 'workers', 'schedules', 'limits'];
  if (me.webhook_queue) views.push('webhooks');
  if (me.role === 'admin' && !me.tenant) views.push('audit');
  const whole = ['queues', 'workers', 'schedules'];
  const shown = views.filter(view => me.role === 'none' ? me.open && ['overview', 'queues'].includes(view) : !(me.tenant && whole.includes(view)));
  const here = { queue: 'queues', job: 'jobs', flow: 'jobs' }[route().view] || route().view;
  byId('nav').setAttribute('aria-label', 'jobq');
  byId('nav').replaceChildren(...shown.map(view => h('a', { href: link(view), 'aria-current': view === here ? 'page' : null }, t(view))));
  const nav = byId('nav'), at = nav.querySelector('[aria-current]');
  if (at) nav.scrollLeft = at.offsetLeft - nav.offsetLeft - 24;
}

/* A clip that somebody watches is not taken from under him. */
const plays = main => main.dataset.page === location.hash && document.querySelector('video') !== null;

/* A click begins and ends at the same element: while something is pressed nothing is drawn anew. Not a select, nor with
 * the other button: where a menu opens the page may never be told of the release. */
let pressed = false, missed = false;
function press(event) {
  pressed = event.target.closest('a, button, summary, tr') !== null;
}
function letGo() {
  setTimeout(() => { // behind the click that this makes
    pressed = false;
    if (missed) render();
  });
}
addEventListener('pointerdown', event => { if (event.button === 0) press(event); });
addEventListener('keydown', event => { if (event.key === ' ') press(event); });
for (const end of ['pointerup', 'pointercancel', 'contextmenu', 'keyup', 'blur']) addEventListener(end, letGo);

let drawing = 0;
/* Draws the present view anew; what has the focus, and what was unfolded, stays so. */
async function render() {
  const turn = ++drawing;
  if (plays(byId('main'))) return;
  const { view, id, query } = route();
  let nodes;
  if (me.role === 'none' && !me.open) nodes = loginView();
  else {
    try {
      nodes = await (VIEWS[view] || VIEWS.overview)(id, query);
    } catch (error) {
      nodes = [h('p', { class: 'empty' }, error.status === 403 ? t(me.open ? 'closed' : 'forbidden') : t('trouble', error.message))];
    }
  }
  if (turn !== drawing) return;
  missed = pressed;
  if (missed) return;
  const main = byId('main');
  const page = location.hash;
  if (plays(main) || (main.dataset.page === page && main.contains(document.querySelector('main :is(input, textarea, select):focus')))) return;
  const opened = new Set([...main.querySelectorAll('details[open]')].map(element => element.dataset.key));
  const focused = [...main.querySelectorAll('a, button')].indexOf(document.activeElement);
  const chosen = main.dataset.page === page ? [...main.querySelectorAll('tr[data-open]')].findIndex(row => row.classList.contains('chosen')) : -1;
  main.replaceChildren(...nodes);
  main.querySelectorAll('details').forEach(element => { if (main.dataset.page === page && opened.has(element.dataset.key)) element.open = true; });
  if (main.dataset.page === page && focused >= 0) main.querySelectorAll('a, button')[focused]?.focus({ preventScroll: true });
  if (chosen >= 0) main.querySelectorAll('tr[data-open]')[chosen]?.classList.add('chosen');
  main.dataset.page = page;
  document.title = 'jobq: ' + (main.querySelector('h1')?.textContent || '');
  afterRender();
}

let afterwards = [];
function afterRender() {
  const all = afterwards;
  afterwards = [];
  for (const action of all) action();
}

function loginView() {
  const said = h('p', { class: 'bad', role: 'alert' });
  const input = h('input', { type: 'password', id: 'token', autocomplete: 'current-password', required: true });
  const form = h('form', { class: 'card login', onsubmit: async event => {
    event.preventDefault();
    try {
      await ask('/login', { token: input.value });
      await learnMe();
      listen();
      input.blur();
      await render();
    } catch (error) {
      said.textContent = error.status === 401 ? t('wrongToken') : t('trouble', error.message);
      input.select();
    }
  } }, h('h1', {}, t('login')), h('p', { class: 'soft' }, t('needLogin')), h('label', { class: 'field', for: 'token' }, t('token'), input), said, h('button', { class: 'main' }, t('login')));
  return [form];
}

async function logout() {
  quiet();
  await ask('/logout', {}).catch(() => null);
  Object.assign(feed, { overview: null, stats: null, heard: 0, lastId: '', mode: 'connecting' });
  await learnMe();
  byId('main').dataset.page = '';
  render();
}

// ---- overview and queues -----------------------------------------------------------------------------------------

function card(label, value, command, tone) {
  return h('div', { class: 'card', 'data-card': label }, h('small', {}, t(label)), h('div', { class: 'big ' + (tone || '') }, num(number(value), command)));
}

/* What the endpoint says, steps left out, has no other command than the one that asks it. */
const asked = name => 'curl -s -H "Authorization: Bearer $TOKEN" ' + location.origin + API + '/' + name;

function cards(stats) {
  const tones = { completed: 'good', failed: stats.failed ? 'bad' : '', stuck: stats.stuck ? 'bad' : '' };
  return h('div', { class: 'cards' }, ['total', 'pending', 'processing', 'completed', 'failed', 'stuck'].map(name => card(name, stats[name], asked('stats'), tones[name])));
}

const CHART_MS = 900000;

/* Points: [[when, value]]. The right edge is the last instant; whoever has just come sees a short line. */
function path(points, most, end) {
  const steps = points.map(([at, value]) => [298 - 298 * (end - at) / CHART_MS, 57 - 53 * value / most]).filter(([x]) => x >= 0);
  return steps.map(([x, y], i) => (i ? 'L' : 'M') + x.toFixed(1) + ' ' + y.toFixed(1)).join('') + (steps.length === 1 ? 'h.1' : '');
}

const rounded = value => number(Math.round(value * 100) / 100);

/* Lines: [[class, word, points]]. */
function chart(title, lines, end) {
  const most = Math.max(0, ...lines.flatMap(([, , points]) => points.map(([, value]) => value)));
  const newest = points => rounded(points.at(-1)?.[1] || 0);
  const label = t(title) + ': ' + lines.map(([, word, points]) => t(word) + ' ' + newest(points)).join(', ');
  const drawn = svg('svg', { class: 'chart', viewBox: '0 0 300 60', preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    svg('path', { class: 'grid', d: 'M0 4H300M0 30.5H300M0 57H300' }), ...lines.map(([kind, , points]) => svg('path', { class: kind, d: path(points, most || 1, end) })));
  return h('div', { class: 'card' }, h('div', { class: 'between' }, h('small', {}, t(title)), h('small', {}, t('most', rounded(most)))), drawn, h('div', { class: 'between' }, h('small', {}, t('ago15')), h('small', {}, t('now'))),
    h('div', { class: 'key' }, lines.map(([kind, word, points]) => h('span', { class: kind }, h('i'), t(word) + ' ', num(newest(points), 'jobq stats --json')))));
}

function charts(history) {
  const end = history.at(-1)?.[0] || Date.now();
  const values = column => history.map(row => [row[0], row[column]]);
  const rates = column => history.slice(1).map((row, i) => [row[0], Math.max(0, (row[column] - history[i][column]) / Math.max(1, (row[0] - history[i][0]) / 1000))]);
  return h('div', { class: 'two' }, chart('chartJobs', [['a', 'waiting', values(1)], ['b', 'running', values(2)]], end),
    chart('chartRates', [['a', 'arrived', rates(5)], ['b', 'finished', rates(3)], ['c', 'errors', rates(4)]], end));
}

function healthLine(health) {
  if (!health) return '';
  const tone = { healthy: 'good', warning: 'warn', critical: 'bad' }[health.status];
  return h('div', { class: 'card health ' + tone, id: 'health' }, h('div', { class: 'row' }, h('strong', {}, t('health')), h('span', { class: 'tag ' + tone }, t(health.status)), h('span', { class: 'soft' }, t('errorRate') + ' ', num(number(Math.round(health.errorRate * 1000) / 10) + ' %', asked('health'))),
    health.issues.length ? '' : h('span', { class: 'soft' }, t('noIssues'))),
    health.issues.length ? h('ul', { lang: 'en' }, health.issues.map((issue, i) => h('li', {}, issue, h('span', { class: 'soft' }, ': ' + health.recommendations[i])))) : '');
}

/* Three percentiles in one unit, which is named once. */
function three(durations, command) {
  const [name, size] = unitOf(durations.p99_ms);
  const bare = ms => new Intl.NumberFormat(lang, digits(ms / size, name)).format(ms / size);
  const texts = durations.count ? [bare(durations.p50_ms), bare(durations.p95_ms), duration(durations.p99_ms)] : ['–', '–', '–'];
  return h('span', { class: 'times' }, texts.flatMap((text, i) => [i ? ' / ' : '', num(text, command)]));
}

const capital = word => word.charAt(0).toLocaleUpperCase(lang) + word.slice(1);
const perSecond = (count, window) => number(Math.round(count * 100000 / Math.max(1, window)) / 100);

/* Of what the store keeps totals only, the rate is counted between looks of the last minute. */
const totals = new Map();
function rateOf(queue, what, total) {
  const now = Date.now(), key = what + ' ' + queue;
  const seen = (totals.get(key) || []).filter(entry => now - entry[0] < 60000);
  if (!seen.length || now - seen.at(-1)[0] > 500) seen.push([now, total]);
  totals.set(key, seen);
  const seconds = (now - seen[0][0]) / 1000;
  return seconds < 1 ? 0 : Math.max(0, Math.round((total - seen[0][1]) / seconds * 100) / 100);
}

function oldest(queue, now) {
  return queue.oldest_ready_at ? duration(Math.max(0, Date.parse(now) - Date.parse(queue.oldest_ready_at))) : '–';
}

function switchOf(queue, small) {
  const verb = queue.paused ? 'resume' : 'pause';
  return may(verb) ? h('button', { type: 'button', 'data-verb': verb, title: t(verb), 'aria-label': t(verb) + ': ' + queue.queue, onclick: () => act(verb, { name: queue.queue }) }, !small ? t(verb) : queue.paused ? '▶\ufe0e' : '❚❚') : '';
}

function queueRow(queue, now) {
  const command = 'jobq stats ' + shell(queue.queue) + ' --json';
  const minute = queue.last_minute, quarter = queue.last_quarter, ended = quarter.completed + quarter.failed;
  const states = ['ready', 'scheduled', 'blocked', 'running', 'stuck', 'completed', 'dead', 'cancelled'].map(state => num(number(queue[state]), command));
  return { 'data-open': link('queue', queue.queue), 'data-queue': queue.queue, cells: [
    h('a', { href: link('queue', queue.queue) }, queue.queue), [h('span', { class: 'tag ' + (queue.paused ? 'warn' : 'good') }, t(queue.paused ? 'paused' : 'open')), ' ', switchOf(queue, true)], ...states, num(oldest(queue, now), command), num(number(rateOf(queue.queue, 'in', queue.enqueued_total)), command),
    num(perSecond(minute.completed, minute.window_ms), command), num(perSecond(minute.failed, minute.window_ms), command), num(number(rateOf(queue.queue, 'retry', queue.failed_total - queue.dead_total)), command), num(ended ? number(Math.round(1000 * quarter.failed / ended) / 10) + ' %' : '–', command),
    three(queue.waited, command), three(queue.ran, command)] };
}

function queueTable(overview) {
  if (!overview.queues.length) return h('p', { class: 'empty' }, t('noQueues'));
  const columns = [[t('queue')], [t('state')], ...['sReady', 'sScheduled', 'sBlocked', 'sRunning', 'stuck', 'sCompleted', 'sDead', 'sCancelled', 'oldest', 'arriving', 'finishing', 'failing', 'retryRate', 'errorRate', 'waitTimes', 'runTimes'].map(key => [capital(t(key)), 'n'])];
  return table(columns, overview.queues.map(queue => queueRow(queue, overview.now)), t('queues'), 'dense');
}

async function needOverview() {
  if (!feed.overview) feed.overview = { history: [], ...await ask('overview') };
  return feed.overview;
}

async function overviewView() {
  if (!feed.stats) await takeStats();
  const stats = feed.stats || await ask('stats');
  if (me.tenant) return [h('h1', {}, t('overview')), cards(stats)];
  const overview = await needOverview();
  return [h('h1', {}, t('overview')), me.open ? h('p', { class: 'soft' }, t('closed')) : '', cards(stats), healthLine(feed.health), charts(overview.history), h('h2', {}, t('queues')), queueTable(overview)];
}

async function queuesView() {
  return [h('h1', {}, t('queues')), queueTable(await needOverview())];
}

/* How many may wait is one number, which draining sets to 0: what it was before is kept here for who undoes it. */
function drain(name, limit) {
  const closed = limit && limit.depth === 0;
  const before = load('depth.' + name);
  if (!closed) save('depth.' + name, limit?.depth ?? '');
  return act('limit', { of: 'queue', name, depth: closed ? (before ? Number(before) : null) : 0 });
}

async function queueView(name) {
  const overview = await needOverview();
  const queue = overview.queues.find(one => one.queue === name);
  if (!queue) return [h('h1', {}, name), h('p', { class: 'empty' }, t('nothing'))];
  const parts = [h('h1', {}, t('queue') + ' ' + name), queueTable({ ...overview, queues: [queue] }), h('p', {}, h('a', { href: link('jobs', '', { queue: name }) }, t('queueJobs')))];
  if (me.open) return parts;
  const limit = (await ask('limits')).limits.find(one => one.of === 'queue' && one.name === name);
  const closed = limit && limit.depth === 0;
  if (may('pause')) parts.push(h('div', { class: 'row' }, switchOf(queue), !may('limit') ? '' : h('button', { type: 'button', 'data-verb': 'drain', onclick: () => drain(name, limit) }, t(closed ? 'fill' : 'drain'))));
  parts.push(h('h2', {}, t('limits')), limitTable([limit || { of: 'queue', name, running: queue.running }]), limitForm('queue', limit || { name }));
  return parts;
}

// ---- jobs --------------------------------------------------------------------------------------------------------

const STATES = ['blocked', 'scheduled', 'ready', 'running', 'completed', 'dead', 'cancelled'];

function select(name, label, options, value) {
  return h('label', { class: 'field' }, t(label), h('select', { name }, options.map(([key, word]) => h('option', { value: key, selected: key === value }, word))));
}

function filterForm(query) {
  const field = (name, label) => h('label', { class: 'field' }, t(label), h('input', { name, value: query.get(name) || '' }));
  const queues = (feed.overview?.queues || []).map(queue => [queue.queue, queue.queue]);
  const chosen = query.get('queue');
  if (chosen && !queues.some(([key]) => key === chosen)) queues.push([chosen, chosen]);
  return h('form', { class: 'fields', id: 'filter', onsubmit: event => { event.preventDefault(); document.activeElement.blur(); location.hash = link('jobs', '', Object.fromEntries(new FormData(event.target))); } },
    select('state', 'state', [['', t('all')], ...STATES.map(state => [state, t(STATE_WORDS[state])])], query.get('state') || ''),
    select('queue', 'queue', [['', t('all')], ...queues], chosen || ''), field('group', 'tenant'), field('kind', 'kind'), field('q', 'text'),
    select('within', 'since', [['', t('anyTime')], ['300000', t('minutes5')], ['3600000', t('hour1')], ['86400000', t('day1')]], query.get('within') || ''), h('button', {}, t('apply')));
}

function filterOf(query) {
  const filter = {};
  for (const name of ['state', 'queue', 'group', 'kind', 'q', 'error']) if (query.get(name)) filter[name] = query.get(name);
  if (query.get('within')) filter.since_ms = String(Date.now() - Number(query.get('within')));
  return filter;
}

const lastError = job => job.errors.length ? textOf(job.errors.at(-1), 'text').split('\n')[0].slice(0, 160) : '';
const textOf = (object, name) => object[name] ?? (object[name + '_base64'] ? 'base64:' + object[name + '_base64'] : '');

function jobRow(job) {
  return { 'data-open': link('job', job.id), 'data-id': job.id, 'data-state': job.state, cells: [
    h('a', { href: link('job', job.id), title: job.id }, short(job.id)), job.queue, job.kind === job.queue ? '' : job.kind, job.group || '', tag(job.state, job.stuck), num(job.attempt + ' / ' + job.max_attempts, 'jobq show ' + job.id + ' --json'),
    instant(job.created_at), job.state === 'scheduled' ? until(job.run_at, job.now) : '', lastError(job), ...me.columns.map(name => columnOf(job, name))] };
}

const flowOf = id => link('flow', id); /* of any of its jobs */
const columnOf = (job, name) => me.flow && name === 'video' && job.columns[name] ? h('a', { href: flowOf(job.id), title: t('openFlow') }, shown(job.columns[name])) : shown(job.columns[name]);

const shown = value => value === null || value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);

function jobTable(jobs) {
  return table([[t('id'), 'keep'], [t('queue')], [t('kind')], [t('tenant')], [t('state'), 'keep'], [t('attempt'), 'n'], [t('created'), 'keep'], [t('next'), 'keep'], [t('error')], ...me.columns.map(name => [name])], jobs.map(jobRow), t('jobs'), '', t('noJobs'));
}

function bulkBar(filter) {
  const button = (verb, label, kind) => may(verb) ? h('button', { type: 'button', class: kind, 'data-bulk': verb, onclick: () => bulk(verb, filter) }, t(label)) : '';
  return h('div', { class: 'row' }, button('redrive', 'retryAll'), button('cancel', 'cancelAll'), button('drop', 'discardAll', 'danger'));
}

async function jobsView(_, query) {
  if (!me.tenant && !me.open) await needOverview();
  const filter = filterOf(query);
  const page = { ...filter, limit: '50' };
  if (query.get('after')) page.after = query.get('after');
  const { jobs, next } = await ask('list?' + new URLSearchParams(page));
  const more = next ? h('p', {}, h('a', { href: link('jobs', '', { ...Object.fromEntries(query), after: next }) }, t('more'))) : '';
  return [h('h1', {}, t('jobs')), filterForm(query), bulkBar(filter), jobTable(jobs), more];
}

// ---- many at once ------------------------------------------------------------------------------------------------

const MANY = 20, UNDO_S = 8;

function dialog(...nodes) {
  const element = h('dialog', { onclose: () => element.remove() }, ...nodes);
  document.body.append(element);
  element.showModal();
  return element;
}

/* First how many it would be, then a confirmation, for many a typed one; what is discarded can be had back for a while. */
async function bulk(verb, filter) {
  const what = { verb, ...filter };
  const { matched } = await ask('bulk', { ...what, dry_run: true }).catch(error => { toast(t('trouble', error.message)); return {}; });
  if (matched === undefined) return;
  const confirm = h('input', { id: 'confirm', inputmode: 'numeric', autocomplete: 'off' });
  const word = { redrive: 'retry', cancel: 'cancelMany', drop: 'discard' }[verb];
  const button = h('button', { class: verb === 'drop' ? 'main danger' : 'main', disabled: matched === 0 || matched > MANY }, t(word));
  confirm.addEventListener('input', () => { button.disabled = confirm.value.trim() !== String(matched); });
  const element = dialog(h('form', { method: 'dialog', onsubmit: () => finishBulk(what, matched) },
    h('h2', {}, t({ redrive: 'retryAll', cancel: 'cancelAll', drop: 'discardAll' }[verb])), h('p', { id: 'matched' }, t('matching', number(matched))), matched > MANY ? h('p', {}, h('label', { class: 'field', for: 'confirm' }, t('typeCount', matched), confirm)) : '',
    h('div', { class: 'row' }, button, h('button', { type: 'button', onclick: () => element.close() }, t('back')))));
}

function finishBulk(what, matched) {
  const run = async () => {
    const answer = await attempt(() => ask('bulk', what), null);
    if (answer) toast(t('doneCount', number(answer.done)));
  };
  if (what.verb !== 'drop') return run();
  return undoable(matched, run);
}

function undoable(matched, run) {
  let left = UNDO_S;
  const undo = h('button', { type: 'button', 'data-undo': '1' }, t('undo'));
  const said = toast(t('discarding', number(matched), left), undo);
  said.keep();
  const timer = setInterval(() => {
    left -= 1;
    said.element.firstChild.textContent = t('discarding', number(matched), left);
    if (left > 0) return;
    clearInterval(timer);
    said.element.remove();
    run();
  }, 1000);
  undo.addEventListener('click', () => { clearInterval(timer); said.element.remove(); toast(t('undone')); });
}

// ---- one job -----------------------------------------------------------------------------------------------------

function timeline(job) {
  const items = [[job.created_at, '', t('tQueued')]];
  for (const error of job.errors) {
    if (error.worker) items.push([null, '', t('tClaimed', error.attempt, error.worker)]);
    items.push([error.at, 'bad', t('tFailed', error.attempt, error.kind) + ' ' + textOf(error, 'text').split('\n')[0]]);
  }
  const told = job.errors.some(error => error.attempt === job.attempt);
  const claimed = job.started_at && !told && job.attempt > 0;
  if (claimed) items.push([job.started_at, '', t('tClaimed', job.attempt, job.worker || t('noWorker'))]);
  if (job.state === 'running') items.push([null, job.stuck ? 'bad' : 'warn', t(job.stuck ? 'tStuck' : 'tHeartbeat', '⏱'), job.lease_until]);
  else if (job.state === 'scheduled') items.push([null, 'warn', t('tBackoff', job.attempt + 1, '⏱'), job.run_at]);
  else if (job.state === 'ready') items.push([null, 'warn', t('tReady', job.attempt + 1)]);
  else if (job.state === 'completed') items.push([job.finished_at, 'good', t('tDone', job.attempt)]);
  else if (job.state === 'dead') items.push([job.finished_at, 'bad', t('tDead', job.reason)]);
  else if (job.state === 'cancelled') items.push([job.finished_at, 'warn', t('tCancelled')]);
  else items.push([null, 'warn', t('tBlocked', job.reason || '')]);
  return h('ol', { class: 'line', id: 'timeline' }, items.map(([at, tone, text, clock]) => {
    const [before, behind] = text.split('⏱');
    return h('li', { class: tone }, at ? h('span', { class: 'soft' }, instant(at) + ' ') : '', before, clock ? until(clock, job.now) : '', behind || '');
  }));
}

function folded(name, label, text, mask) {
  if (text === '') return '';
  const block = h('pre', {}, mask ? '••••••••' : pretty(text));
  const reveal = mask ? h('button', { type: 'button', onclick: event => { block.textContent = pretty(text); event.target.remove(); } }, t('showMasked')) : '';
  return h('details', { 'data-key': name }, h('summary', {}, t(label)), reveal, block);
}

function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

function jobActions(job) {
  const button = (verb, label, allowed, kind) => may(verb) && allowed ? h('button', { type: 'button', class: kind, 'data-verb': verb, onclick: () => verb === 'drop'
    ? undoable(1, () => act('drop', { id: job.id })) : act(verb, { id: job.id }) }, t(label)) : '';
  const ended = ['completed', 'dead', 'cancelled'].includes(job.state);
  return h('div', { class: 'row' }, button('redrive', 'retry', job.state === 'dead' || job.state === 'cancelled', 'main'), button('cancel', 'cancel', !ended),
    button('unhold', 'unhold', job.state === 'blocked' && job.reason === 'HOLD'), button('drop', 'discard', job.state !== 'running', 'danger'));
}

/* {"done", "total", "unit"} is what the library's own steps say of themselves. */
function progressOf(text) {
  let said;
  try { said = JSON.parse(text); } catch { return text; }
  if (!Number.isFinite(said?.done) || !(said?.total > 0)) return text;
  return rounded(said.done) + ' / ' + rounded(said.total) + ' ' + (said.unit || '') + ' (' + Math.floor(100 * Math.min(1, said.done / said.total)) + ' %)';
}

const idOf = id => h('button', { type: 'button', class: 'id', title: t('copyId'), onclick: () => copy(id) }, id);

async function jobView(id) {
  const job = await ask('job/' + encodeURIComponent(id));
  const show = 'jobq show ' + job.id + ' --json';
  const facts = [['queue', h('a', { href: link('queue', job.queue) }, job.queue)], ['kind', job.kind], ['tenant', job.group], ['worker', job.worker], ['attempt', num(job.attempt + ' / ' + job.max_attempts, show)],
    ['progress', progressOf(textOf(job, 'progress'))], ['why', job.explain ? h('span', { lang: 'en' }, job.explain.text) : '']].filter(([, value]) => value);
  const times = ['created_at', 'run_at', 'started_at', 'finished_at', 'lease_until', 'expires_at', 'callback_until'].filter(name => job[name]).map(name => name + '  ' + job[name]).join('\n');
  const log = job.log.map(line => instant(line.at) + '  #' + line.attempt + '  ' + textOf(line, 'text')).join('\n');
  const about = h('section', { class: 'card' }, h('dl', {}, facts.flatMap(([name, value]) => [h('dt', {}, t(name)), h('dd', {}, value)])),
    me.flow ? h('p', {}, h('a', { href: flowOf(job.id) }, t('openFlow'))) : '');
  const line = h('section', { class: 'card' }, h('h2', {}, t('timeline') + ': ', num(t('attempts', number(attemptsOf(job))), show)), timeline(job));
  return [h('h1', {}, t('job') + ' ', idOf(job.id), ' ', tag(job.state, job.stuck)), jobActions(job), h('div', { class: 'two' }, about, line),
    log ? h('h2', {}, t('log')) : '', log ? h('pre', { id: 'log' }, log) : '', h('div', { class: 'folds' },
      folded('payload', 'payload', textOf(job, 'payload'), me.mask), folded('result', 'result', textOf(job, 'result'), me.mask), folded('data', 'data', textOf(job, 'data'), me.mask),
      folded('error', 'error', job.errors.map(error => '#' + error.attempt + ' ' + error.kind + '\n' + textOf(error, 'text')).join('\n\n')), folded('times', 'times', times))];
}

/* Those that were started, and the one that is to come. */
const attemptsOf = job => job.attempt + (['ready', 'scheduled'].includes(job.state) && job.attempt > 0 ? 1 : 0);

// ---- dead letters ------------------------------------------------------------------------------------------------

async function deadView() {
  const { groups, complete } = await ask('dead');
  const rows = groups.map(group => {
    const filter = { state: 'dead', error: group.error };
    const button = (verb, label, kind) => may(verb) ? h('button', { type: 'button', class: kind, 'data-bulk': verb, onclick: () => bulk(verb, filter) }, t(label)) : '';
    return { 'data-open': link('jobs', '', filter), 'data-error': group.error, cells: [num(number(group.count), 'jobq dead --by-error --json'), group.reason, h('a', { href: link('jobs', '', filter) }, group.error || t('noError')), instant(group.first_at), instant(group.last_at),
      h('a', { href: link('job', group.newest), title: group.newest }, short(group.newest)), h('div', { class: 'row' }, button('redrive', 'retry'), button('drop', 'discard', 'danger'))] };
  });
  return [h('h1', {}, t('dead')), complete ? '' : h('p', { class: 'soft' }, t('partial')), table([[t('count'), 'n'], [t('reason'), 'keep'], [t('error')], [t('first'), 'keep'], [t('last'), 'keep'], [t('newest'), 'keep'], [t('actions')]], rows, t('dead'), '', t('noDead'))];
}

// ---- workers, schedules, limits ----------------------------------------------------------------------------------

/* A process has a worker for each queue; they are asked to stop by one name, and are one row. The heartbeat is the oldest. */
function processes(workers) {
  const rows = new Map();
  for (const worker of workers) {
    const key = [worker.worker, worker.host, worker.pid, worker.alive, worker.stop_asked].join(' ');
    const row = rows.get(key);
    if (!row) rows.set(key, { ...worker, queues: [worker.queues] });
    else Object.assign(row, { queues: [...row.queues, worker.queues].sort(), running: row.running + worker.running, capacity: row.capacity + worker.capacity, seen_at: row.seen_at < worker.seen_at ? row.seen_at : worker.seen_at });
  }
  return [...rows.values()];
}

async function workersView() {
  const overview = await needOverview();
  const rows = processes(overview.workers).map(worker => [worker.worker, (worker.host || '') + ' ' + worker.pid, worker.queues.join(', '), num(worker.running + ' / ' + worker.capacity, 'jobq stats --json'), until(worker.seen_at, overview.now),
    h('span', { class: 'tag ' + (worker.alive ? 'good' : 'bad') }, t(worker.alive ? 'alive' : 'gone')), (overview.running || []).filter(job => job.worker === worker.worker).flatMap(job => [h('a', { href: link('job', job.id), title: job.id }, short(job.id)), ' ']),
    worker.stop_asked ? t('asked') : may('stop-worker') ? h('button', { type: 'button', 'data-verb': 'stop-worker', onclick: () => act('stop-worker', { name: worker.worker }) }, t('askStop')) : '']);
  const leases = (overview.running || []).map(job => ({ 'data-open': link('job', job.id), 'data-id': job.id, cells: [h('a', { href: link('job', job.id), title: job.id }, short(job.id)), job.queue, job.worker || '', instant(job.started_at),
    h('span', { class: job.stuck ? 'bad' : '' }, job.stuck ? t('expired') + ' ' : '', until(job.lease_until, overview.now))] }));
  return [h('h1', {}, t('workers')), table([[t('worker'), 'keep'], [t('host'), 'keep'], [t('queues')], [t('capacity'), 'n'], [t('heartbeat'), 'n'], [t('state'), 'keep'], [t('current')], [t('actions')]], rows, t('workers'), '', t('noWorkers', 'jobq work QUEUE -- COMMAND')),
    h('h2', {}, t('leases')), table([[t('id'), 'keep'], [t('queue')], [t('worker')], [t('started'), 'keep'], [t('leaseLeft'), 'keep']], leases, t('leases'), '', t('noLeases'))];
}

function scheduleCard(schedule) {
  const zone = schedule.zone || 'UTC', here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const button = (verb, label) => may(verb) ? h('button', { type: 'button', 'data-verb': verb, onclick: () => act(verb, { name: schedule.name }) }, t(label)) : '';
  const last = schedule.last ? [tag(schedule.last.state), ' ', h('a', { href: link('job', schedule.last.id) }, short(schedule.last.id)), ' ', instant(schedule.last.finished_at)] : [t('never')];
  return h('div', { class: 'card', 'data-schedule': schedule.name }, h('h2', {}, schedule.name + ' ', h('span', { class: 'tag ' + (schedule.paused ? 'warn' : 'good') }, t(schedule.paused ? 'paused' : 'open'))),
    h('dl', {}, h('dt', {}, t('when')), h('dd', {}, h('code', {}, schedule.cron || '@every ' + duration(schedule.every_ms || 0))), h('dt', {}, t('zone')), h('dd', {}, zone), h('dt', {}, t('queue')), h('dd', {}, schedule.queue || ''), h('dt', {}, t('lastResult')), h('dd', {}, last)),
    h('div', { class: 'wide' }, h('table', {}, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, t('nextRuns', zone)), h('th', { scope: 'col' }, t('nextHere', here)))),
      h('tbody', {}, (schedule.next || []).map(at => h('tr', {}, h('td', {}, num(instant(at, zone), 'jobq schedule next ' + shell(schedule.name) + ' -n 5 --json')), h('td', {}, instant(at))))))),
    h('div', { class: 'row' }, button('schedule-run', 'runNow'), button(schedule.paused ? 'schedule-resume' : 'schedule-pause', schedule.paused ? 'resume' : 'pause')));
}

async function schedulesView() {
  const { schedules } = await ask('schedules');
  return [h('h1', {}, t('schedules')), schedules.length ? h('div', { class: 'two' }, schedules.map(scheduleCard)) : h('p', { class: 'empty' }, t('noSchedules', 'jobq schedule add NAME --queue QUEUE --cron "30 2 * * *"'))];
}

function limitTable(limits) {
  const value = (limit, name, usedName, period) => {
    const own = limit[name], text = own === null || own === undefined ? '–' : own === 'none' ? '∞' : number(own) + (limit[period] ? ' / ' + duration(limit[period]) : '');
    const command = 'jobq limit ' + (limit.of === 'group' ? '--group ' : limit.of === 'plan' ? '--plan ' : '') + shell(limit.name || '') + ' --json';
    return [num(text, command), usedName && (limit[usedName] || (limit[usedName] === 0 && own !== null && own !== undefined)) ? h('span', { class: 'soft' }, ' (' + number(limit[usedName]) + ' ' + t('used') + ')') : ''];
  };
  return table([[t('of'), 'keep'], [t('name')], [t('depth'), 'n'], [t('concurrency'), 'n'], [t('perTenant'), 'n'], [t('rate'), 'n'], [t('quota'), 'n']], limits.map(limit => [t({ queue: 'lQueue', group: 'lGroup', plan: 'lPlan' }[limit.of]), limit.of === 'queue' && limit.name ? h('a', { href: link('queue', limit.name) }, limit.name) : limit.name || t('everyGroup'),
    value(limit, 'depth'), value(limit, 'concurrency', 'running'), value(limit, 'group_concurrency'), value(limit, 'rate', 'rate_used', 'rate_period_ms'), value(limit, 'quota', 'quota_used', 'quota_period_ms')]), t('limits'), '', t('noLimits'));
}

const PERIODS = [['1000', 'second'], ['60000', 'minute'], ['3600000', 'hour'], ['86400000', 'day']];
const LIMITS = { queue: ['depth', 'concurrency', 'group_concurrency', 'rate'], group: ['concurrency', 'rate', 'quota'] };
const LIMIT_WORDS = { depth: 'depth', concurrency: 'concurrency', group_concurrency: 'perTenant', rate: 'rate', quota: 'quota' };

/* What a form says: with the values that were there a field that was emptied takes its limit away, otherwise it says nothing. */
function limitOf(given, whole) {
  const what = { of: given.of, name: given.name };
  for (const key of LIMITS[given.of] || LIMITS.group) {
    if (given[key] === '' && !whole) continue;
    what[key] = given[key] === '' ? null : Number(given[key]);
    if (given[key + '_period_ms'] && given[key] !== '') what[key + '_period_ms'] = Number(given[key + '_period_ms']);
  }
  return what;
}

/* For any limit, or for the one that is given, with its name and its values. */
function limitForm(of, limit) {
  if (!may('limit')) return '';
  const period = key => {
    const now = String(limit?.[key + '_period_ms'] || 1000);
    const options = PERIODS.some(([ms]) => ms === now) ? PERIODS : [...PERIODS, [now, '']];
    return h('label', { class: 'field' }, t('every'), h('select', { name: key + '_period_ms' }, options.map(([ms, word]) => h('option', { value: ms, selected: ms === now }, word ? t(word) : duration(Number(ms))))));
  };
  const field = key => h('div', { class: 'pair', 'data-limit': key }, h('label', { class: 'field' }, t(LIMIT_WORDS[key]),
    h('input', { name: key, inputmode: 'numeric', pattern: '[0-9]*', value: Number.isInteger(limit?.[key]) ? String(limit[key]) : '' })), key === 'rate' || key === 'quota' ? period(key) : '');
  const target = limit ? [h('input', { type: 'hidden', name: 'of', value: of }), h('input', { type: 'hidden', name: 'name', value: limit.name })]
    : [h('label', { class: 'field' }, t('of'), h('select', { name: 'of', onchange: event => fit(event.target.form) }, [['queue', 'lQueue'], ['group', 'lGroup'], ['plan', 'lPlan']].map(([key, word]) => h('option', { value: key, selected: key === of }, t(word))))),
      h('label', { class: 'field' }, t('name'), h('input', { name: 'name' }))];
  const fit = form => form.querySelectorAll('[data-limit]').forEach(one => { one.hidden = !(LIMITS[form.elements.of.value] || LIMITS.group).includes(one.dataset.limit); });
  const form = h('form', { class: 'card', 'data-form': 'limit', onsubmit: event => {
    event.preventDefault();
    document.activeElement.blur();
    act('limit', limitOf(Object.fromEntries(new FormData(event.target)), Boolean(limit)));
  } }, h('h2', {}, t('setLimit')), h('div', { class: 'fields' }, ...target, Object.keys(LIMIT_WORDS).map(field)), h('div', { class: 'row' }, h('button', { class: 'main' }, t('set')), h('span', { class: 'soft' }, t(limit ? 'emptyRemoves' : 'emptyKeeps'))));
  fit(form);
  return form;
}

async function limitsView() {
  const { limits } = await ask('limits');
  return [h('h1', {}, t('limits')), limitTable(limits), limitForm('group')];
}

// ---- a piece of work: its steps, its video -----------------------------------------------------------------------

const PART_WORDS = { fetch: 'pFetch', probe: 'pProbe', quality: 'pQuality', sound: 'pSound', speech: 'pSpeech', face: 'pFace', gesture: 'pGesture', emotion: 'pEmotion', report: 'pReport' };
const partName = name => PART_WORDS[name] ? t(PART_WORDS[name]) : name;

function nodeOf(node) {
  const share = node.total ? Math.min(1, node.done / node.total) : null;
  return h('div', { class: 'card', 'data-node': node.name }, node.id ? h('a', { href: link('job', node.id) }, partName(node.name)) : partName(node.name), ' ', tag(node.state),
    share === null ? '' : h('progress', { max: 1, value: share, 'aria-label': node.name }), share === null ? '' : h('small', {}, num(Math.round(share * 100) + ' %', 'jobq show ' + node.id + ' --json')),
    node.last_error ? h('div', { class: 'bad' }, node.last_error.split('\n')[0]) : '');
}

/* In layers: what waits for nothing, then what waits for that. */
function layers(nodes, edges) {
  const depth = new Map(nodes.map(node => [node.name, 0]));
  for (let turn = 0; turn < nodes.length; turn++) for (const [from, to] of edges) depth.set(to, Math.max(depth.get(to) ?? 0, (depth.get(from) ?? 0) + 1));
  const out = [];
  for (const node of nodes) (out[depth.get(node.name)] = out[depth.get(node.name)] || []).push(node);
  return out.filter(Boolean);
}

function graph({ nodes, edges }) {
  const lines = svg('svg', { 'aria-hidden': 'true' });
  const box = h('div', { class: 'flow', id: 'flow' }, lines, layers(nodes, edges).map(layer => h('div', { class: 'layer' }, layer.map(nodeOf))));
  afterwards.push(() => {
    const origin = box.getBoundingClientRect();
    for (const [from, to] of edges) {
      const [a, b] = [from, to].map(name => box.querySelector('[data-node="' + CSS.escape(name) + '"]')?.getBoundingClientRect());
      if (!a || !b) continue;
      const [x1, y1, x2, y2] = [a.right - origin.left, a.top + a.height / 2 - origin.top, b.left - origin.left, b.top + b.height / 2 - origin.top];
      lines.append(svg('path', { d: `M${x1} ${y1}C${(x1 + x2) / 2} ${y1} ${(x1 + x2) / 2} ${y2} ${x2} ${y2}` }));
    }
  });
  return box;
}

function drawFaces(canvas, video, faces, media) {
  const box = video.getBoundingClientRect();
  canvas.width = box.width;
  canvas.height = box.height;
  const context = canvas.getContext('2d');
  const width = media.width || video.videoWidth, height = media.height || video.videoHeight;
  if (!width || !height) return;
  const scale = Math.min(box.width / width, box.height / height), left = (box.width - width * scale) / 2, top = (box.height - height * scale) / 2, now = video.currentTime * 1000;
  context.strokeStyle = '#ffd84d';
  context.lineWidth = 2;
  for (const face of faces) {
    const seen = face.boxes.filter(one => Math.abs(one.at_ms - now) <= 600).sort((a, b) => Math.abs(a.at_ms - now) - Math.abs(b.at_ms - now))[0];
    if (seen) context.strokeRect(left + seen.x * scale, top + seen.y * scale, seen.width * scale, seen.height * scale);
  }
}

async function peaksOf(url, count) {
  const answer = await fetch(url, { credentials: 'same-origin' });
  if (!answer.ok || Number(answer.headers.get('Content-Length')) > 64e6) return null;
  const audio = await new OfflineAudioContext(1, 1, 8000).decodeAudioData(await answer.arrayBuffer());
  const samples = audio.getChannelData(0), step = Math.max(1, Math.floor(samples.length / count));
  return Array.from({ length: count }, (_, i) => { let most = 0; for (let j = i * step; j < (i + 1) * step && j < samples.length; j += 4) most = Math.max(most, Math.abs(samples[j])); return most; });
}

function drawWave(canvas, peaks, pauses, totalMs, nowMs) {
  const style = getComputedStyle(document.documentElement), context = canvas.getContext('2d');
  canvas.width = canvas.clientWidth || 600;
  canvas.height = canvas.clientHeight || 80;
  context.fillStyle = style.getPropertyValue('--warn-back');
  for (const pause of pauses) context.fillRect(pause.start_ms / totalMs * canvas.width, 0, Math.max(1, (pause.end_ms - pause.start_ms) / totalMs * canvas.width), canvas.height);
  context.fillStyle = style.getPropertyValue('--accent');
  const tall = canvas.height * 0.9 / Math.max(0.05, ...(peaks || []));
  (peaks || []).forEach((peak, i) => context.fillRect(i / peaks.length * canvas.width, (canvas.height - peak * tall) / 2, Math.max(1, canvas.width / peaks.length - 1), Math.max(1, peak * tall)));
  context.fillStyle = style.getPropertyValue('--bad');
  context.fillRect(nowMs / totalMs * canvas.width, 0, 2, canvas.height);
}

function wordsOf(words, pauses, video) {
  const parts = words.map(word => [word.start_ms, h('button', { type: 'button', 'data-start': String(word.start_ms), title: duration(word.start_ms) + (word.confidence ? ' · ' + Math.round(word.confidence * 100) + ' %' : ''), onclick: () => { video.currentTime = word.start_ms / 1000; } }, word.word)]);
  for (const pause of pauses) parts.push([pause.start_ms, h('span', { class: 'pause' }, '[' + duration(pause.end_ms - pause.start_ms) + ']')]);
  return parts.sort((a, b) => a[0] - b[0]).flatMap(([, node]) => [node, ' ']);
}

function stepLines(steps) {
  return table([[t('name'), 'keep'], [t('state'), 'keep'], [t('reason')]], Object.entries(steps).map(([name, step]) => ({ 'data-step': name, cells: [partName(name), tag(step.status), (step.reason || '') + (step.package ? ' (' + step.package + ')' : '') || (step.faces ? t('faces', step.faces.length) : '')] })), t('steps'));
}

function resultOf(id, result) {
  const steps = result.steps || {}, faces = steps.face?.faces || [], pauses = steps.sound?.pauses || [], words = steps.speech?.words || [], media = result.media?.video || result.media || {};
  const url = '/analysis/video/' + id;
  const video = h('video', { controls: true, preload: 'metadata', src: url }), canvas = h('canvas'), wave = h('canvas', { class: 'wave', role: 'img', 'aria-label': t('waveform') });
  let peaks = null;
  const transcript = h('p', { class: 'words', lang: words.length ? 'en' : null }, words.length ? wordsOf(words, pauses, video) : t('noWords'));
  const totalMs = () => (Number.isFinite(video.duration) ? video.duration * 1000 : 0) || Math.max(1, ...words.map(word => word.end_ms), ...pauses.map(pause => pause.end_ms));
  const draw = () => {
    drawFaces(canvas, video, faces, media);
    drawWave(wave, peaks, pauses, totalMs(), video.currentTime * 1000);
    transcript.querySelectorAll('button').forEach((button, i) => button.classList.toggle('now', words[i] && video.currentTime * 1000 >= words[i].start_ms && video.currentTime * 1000 < words[i].end_ms));
  };
  for (const event of ['timeupdate', 'seeked', 'loadedmetadata']) video.addEventListener(event, draw);
  video.addEventListener('play', () => { const turn = () => { draw(); if (!video.paused && video.isConnected) requestAnimationFrame(turn); }; turn(); });
  video.addEventListener('error', () => video.parentElement.replaceWith(h('p', { class: 'empty' }, t('noClip'))));
  wave.addEventListener('click', event => { video.currentTime = event.offsetX / wave.clientWidth * totalMs() / 1000; });
  /* A view that was overtaken by another of the same is never shown. */
  afterwards.push(() => { if (!video.isConnected) return; draw(); peaksOf(url, 300).then(found => { peaks = found; draw(); }, () => null); });
  return [h('div', { class: 'two' }, h('section', {}, h('h2', {}, t('video')), h('div', { class: 'player' }, video, canvas), h('h2', {}, t('waveform')), wave),
    h('section', {}, h('h2', {}, t('transcript')), h('div', { class: 'card' }, words.length ? h('small', {}, t('transcriptNote')) : '', transcript), h('h2', {}, t('steps')), stepLines(steps)))];
}

async function flowView(id) {
  const flow = await ask('flow/' + encodeURIComponent(id));
  /* Not drawn anew in between: there is nothing of it any more. */
  const remove = () => ask('/analysis/result/' + flow.jobId, null, 'DELETE').then(() => { location.hash = link('jobs'); toast(t('removedAll')); }, error => toast(t('trouble', error.message)));
  const removal = me.role === 'admin' && flow.status !== 'processing' ? h('button', { type: 'button', class: 'danger', 'data-verb': 'remove', title: t('removeHint'), onclick: () => undoable(1, remove) }, t('discard')) : '';
  return [h('h1', {}, t('flow') + ' ' + (flow.video || flow.jobId) + ' ', tag(flow.status)), h('div', { class: 'row soft' }, idOf(flow.jobId), removal), flow.error ? h('p', { class: 'bad' }, shown(flow.error)) : '', graph(flow), flow.result ? resultOf(flow.jobId, flow.result) : []].flat();
}

// ---- webhooks, audit ---------------------------------------------------------------------------------------------

const bytesOf = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));

async function signatureFits({ secret, id, time, body, signature }) {
  const key = await crypto.subtle.importKey('raw', bytesOf(secret.trim().replace(/^whsec_/, '')), { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
  const content = new TextEncoder().encode(id + '.' + time + '.' + body);
  for (const one of signature.trim().split(/\s+/))
    if (one.startsWith('v1,') && await crypto.subtle.verify('HMAC', key, bytesOf(one.slice(3)), content)) return true;
  return false;
}

function signatureForm() {
  const said = h('strong', { id: 'verdict', role: 'status' });
  const field = (name, label, type) => h('label', { class: 'field' }, t(label), h('input', { name, type: type || 'text', autocomplete: 'off' }));
  return h('form', { class: 'card', id: 'signature', onsubmit: async event => {
    event.preventDefault();
    let good = false;
    if (crypto.subtle) good = await signatureFits(Object.fromEntries(new FormData(event.target))).catch(() => false);
    said.className = good ? 'tag good' : 'tag bad';
    said.textContent = t(!crypto.subtle ? 'insecure' : good ? 'goodSignature' : 'badSignature');
  } }, h('div', { class: 'fields' }, field('id', 'whId'), field('time', 'whTime'), field('signature', 'signature'), field('secret', 'secret', 'password')), h('label', { class: 'field' }, t('body'), h('textarea', { name: 'body' })), h('div', { class: 'row' }, h('button', { class: 'main' }, t('check')), said));
}

async function webhooksView() {
  const { jobs } = await ask('list?' + new URLSearchParams({ queue: me.webhook_queue, limit: '100' }));
  const rows = jobs.map(job => ({ 'data-open': link('job', job.id), 'data-id': job.id, 'data-state': job.state, cells: [h('a', { href: link('job', job.id), title: job.id }, short(job.id)), tag(job.state, job.stuck), num(job.attempt + ' / ' + job.max_attempts, 'jobq show ' + job.id + ' --json'), instant(job.created_at), lastError(job),
    may('redrive') && ['dead', 'cancelled'].includes(job.state) ? h('button', { type: 'button', 'data-verb': 'redrive', onclick: () => act('redrive', { id: job.id }) }, t('resend')) : ''] }));
  return [h('h1', {}, t('webhooks')), h('h2', {}, t('deliveries')), table([[t('id'), 'keep'], [t('state'), 'keep'], [t('attempt'), 'n'], [t('created'), 'keep'], [t('error')], [t('actions')]], rows, t('deliveries'), '', t('noDeliveries')), h('h2', {}, t('checkSignature')), signatureForm()];
}

async function auditView() {
  const { entries } = await ask('audit');
  return [h('h1', {}, t('audit')), table([[t('at'), 'keep'], [t('who'), 'keep'], [t('role')], [t('tenant')], [t('from'), 'keep'], [t('verb')], [t('status'), 'n'], [t('details')]],
    entries.map(entry => [instant(entry.at), entry.who, entry.role, entry.tenant || '', entry.from, entry.verb, h('span', { class: entry.status < 400 ? 'good' : 'bad' }, String(entry.status)), entry.what ? JSON.stringify(entry.what).slice(0, 300) : '']), t('audit'))];
}

const VIEWS = { overview: overviewView, queues: queuesView, queue: queueView, jobs: jobsView, job: jobView, dead: deadView, workers: workersView, schedules: schedulesView, limits: limitsView, flow: flowView, webhooks: webhooksView, audit: auditView };

// ---- keys --------------------------------------------------------------------------------------------------------

function showHelp() {
  const keys = [['/', 'keySearch'], ['j k', 'keyMove'], ['Enter', 'keyOpen'], ['r', 'keyRetry'], ['?', 'keyHelp']];
  const element = dialog(h('h2', {}, t('help')), h('dl', {}, keys.flatMap(([key, word]) => [h('dt', {}, h('kbd', {}, key)), h('dd', {}, t(word))])), h('button', { type: 'button', onclick: () => element.close() }, t('close')));
}

function moveRow(by) {
  const rows = [...document.querySelectorAll('main tr[data-open]')];
  if (!rows.length) return;
  const at = rows.findIndex(row => row.classList.contains('chosen'));
  const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))];
  rows.forEach(row => row.classList.toggle('chosen', row === next));
  next.scrollIntoView({ block: 'nearest' });
  next.querySelector('a')?.focus();
}

document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea, select, dialog')) return;
  const chosen = document.querySelector('main tr.chosen');
  if (event.key === '/') byId('q').focus();
  else if (event.key === 'j') moveRow(1);
  else if (event.key === 'k') moveRow(-1);
  else if (event.key === 'Enter' && chosen && !event.target.closest('button')) location.hash = chosen.dataset.open;
  else if (event.key === 'r' && chosen?.dataset.id && may('redrive')) act('redrive', { id: chosen.dataset.id });
  else if (event.key === '?') showHelp();
  else return;
  event.preventDefault();
});

byId('search').addEventListener('submit', event => {
  event.preventDefault();
  const text = byId('q').value.trim();
  byId('q').blur();
  if (/^[0-9a-fA-F]{32}$/.test(text)) location.hash = link('job', text.toLowerCase());
  else if (text) location.hash = link('jobs', '', { q: text });
});

window.addEventListener('hashchange', () => { drawNavigation(); byId('toasts').querySelectorAll('.toast:not(:has([data-undo]))').forEach(element => element.remove()); render(); });
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawFrame);

learnMe().then(() => { listen(); render(); });
