// @ts-check
import { Lane } from './lane.js';
import { accepted, Problem } from './problem.js';
import { backoff, sleep } from './subscription.js';
import { Tally } from './tally.js';
import { covers, parse } from './topics.js';
import * as chunked from './transports/chunked.js';
import * as longpoll from './transports/longpoll.js';
import * as poll from './transports/poll.js';
import * as sse from './transports/sse.js';
import * as websocket from './transports/websocket.js';
import { current, known, say, speak } from './words.js';

const TRANSPORTS = [poll, longpoll, chunked, sse, websocket];
const INTERVALS = [0.5, 1, 2, 5, 10];
const DEFAULT_TOPIC = 'host/**';
const DEFAULT_INTERVAL = 2;
/** Lists change ten times a second at most, figures four times: faster cannot be read. */
const LIST_EVERY = 100;
const FIGURES_EVERY = 250;
/** Silence of this length after all are connected is worth a hint. */
const QUIET_AFTER = 2500;

/** The gateway stands where the page came from, under the same path. */
const base = new URL('.', location.href).href;

// What the address says, and what the address is made of again when it changes.
const given = new URLSearchParams(location.search);
let topics = given.getAll('topic').filter(Boolean);
if (!topics.length) topics = [DEFAULT_TOPIC];
let interval = Number(given.get('interval'));
if (!INTERVALS.includes(interval)) interval = DEFAULT_INTERVAL;
let theme = given.get('theme');
let languageChosen = given.has('lang');

/** The attempt to show the topics that were asked for last. */
let asking = new AbortController();
let begun = 0;
let paused = false;
let pointed = '';
let listed = 0;
let figured = 0;
let settling = 0;

const lanes = TRANSPORTS.map((transport, at) => {
  return new Lane(transport, at, /** @type {HTMLTemplateElement} */ (element('lane')), connectionsChanged);
});
element('lanes').append(...lanes.map((lane) => lane.element));
addInterval(/** @type {Lane} */ (lanes[0]));
input('topics').value = topics.join(' ');

element('watch').addEventListener('submit', (submit) => {
  submit.preventDefault();
  show(parse(input('topics').value));
});
element('publish').addEventListener('submit', (submit) => {
  submit.preventDefault();
  publish(input('publish-topic').value.trim(), input('publish-data').value);
});
element('pause').addEventListener('click', () => {
  paused = !paused;
  words();
});
choice('language', (value) => {
  languageChosen = true;
  speak(value);
});
choice('theme', (value) => {
  theme = value;
});
const dark = matchMedia('(prefers-color-scheme: dark)');
dark.addEventListener('change', words);
pointing(element('lanes'));

speak(given.get('lang') ?? navigator.language);
words();
show(topics);
requestAnimationFrame(draw);

/**
 * Shows other topics, as soon as the gateway answers.
 * @param {string[]} wanted
 */
async function show(wanted) {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  trouble('watch');
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      return await begin(wanted, signal);
    } catch (error) {
      if (signal.aborted) return;
      trouble('watch', error);
      if (error instanceof Problem && error.final) return;
      await sleep(backoff(failures), signal);
      trouble('watch');
    }
  }
}

/**
 * Has all five lanes begin anew, at one and the same place: where the log ends now. The question for that place
 * also has the gateway check the topics (EventSource could not report a refusal), so bad ones change nothing.
 * @param {string[]} wanted
 * @param {AbortSignal} signal
 */
async function begin(wanted, signal) {
  const url = new URL('v1/poll', base);
  for (const topic of wanted) url.searchParams.append('topic', topic);
  const response = await accepted(await fetch(url, { cache: 'no-store', signal }));
  const { cursor } = await response.json();
  signal.throwIfAborted();
  topics = wanted;
  input('topics').value = topics.join(' ');
  begun = performance.now();
  const tally = new Tally(lanes.length);
  for (const lane of lanes) lane.begin({ base, topics, cursor, interval: () => interval * 1000 }, tally);
  address();
  words();
}

/**
 * Publishes an event; where no lane would show it, its topic is added first.
 * @param {string} topic
 * @param {string} data
 */
async function publish(topic, data) {
  trouble('publish');
  element('published').textContent = '';
  try {
    if (!topics.some((pattern) => covers(pattern, topic))) {
      asking.abort();
      asking = new AbortController();
      await begin([...topics, topic], asking.signal);
      trouble('watch');
    }
    const url = new URL('v1/publish', base);
    url.searchParams.set('topic', topic);
    const headers = { 'content-type': isJson(data) ? 'application/json' : 'text/plain' };
    const response = await accepted(await fetch(url, { method: 'POST', headers, body: data }));
    element('published').textContent = say('published', await response.json());
  } catch (error) {
    trouble('publish', error);
  }
}

/** Draws what came since the last frame. Nothing here runs while the tab is hidden, and nothing grows. */
function draw(/** @type {number} */ now) {
  requestAnimationFrame(draw);
  if (now - listed >= LIST_EVERY && !paused && !pointed) {
    listed = now;
    for (const lane of lanes) lane.drawList();
  }
  if (now - figured >= FIGURES_EVERY) {
    figured = now;
    for (const lane of lanes) lane.drawFigures();
    element('quiet').hidden = !begun || now - begun < QUIET_AFTER || lanes.some((lane) => lane.events);
  }
}

/** Says everything that is said in the language, theme and state in use. */
function words() {
  const root = document.documentElement;
  root.lang = current();
  root.dataset.theme = theme === 'light' || theme === 'dark' ? theme : dark.matches ? 'dark' : 'light';
  for (const place of document.querySelectorAll('[data-word]')) {
    const word = known(/** @type {HTMLElement} */ (place).dataset.word ?? '');
    if (word) place.textContent = say(word);
  }
  for (const place of document.querySelectorAll('[data-label]')) {
    const word = known(/** @type {HTMLElement} */ (place).dataset.label ?? '');
    if (word) place.setAttribute('aria-label', say(word));
  }
  for (const [group, value] of Object.entries({ language: current(), theme: root.dataset.theme })) {
    for (const button of element(group).querySelectorAll('button')) {
      button.setAttribute('aria-pressed', String(button.value === value));
    }
  }
  element('lanes').setAttribute('aria-label', say('lanes'));
  element('pause').setAttribute('aria-pressed', String(paused));
  element('pause').textContent = say(paused ? 'resume' : 'pause');
  for (const lane of lanes) lane.label();
  connectionsChanged();
  commands();
}

/** What to type elsewhere to see, and to send, the same. */
function commands() {
  const query = topics.map((topic) => `topic=${readable(topic)}`).join('&');
  // Where the command looks by itself.
  const given = location.origin === 'http://127.0.0.1:8080' ? '' : ` --url ${location.origin}`;
  const see = [
    `curl -N '${base}v1/sse?${query}'`,
    `fanlight subscribe ${topics.map((topic) => `'${topic.replaceAll("'", "'\\''")}'`).join(' ')} --transport websocket${given}`,
  ];
  element('terminal').replaceChildren(...see.map((line) => code(line)));
  const example = (topics[0] ?? '')
    .split('/')
    .map((segment) => segment.replace(/^\*+$/, 'hello'))
    .join('/');
  const quiet = element('quiet');
  const [title, send] = [quiet.querySelector('strong'), quiet.querySelector('code')];
  if (title) title.textContent = say('quiet', { topics: topics.join(' ') });
  if (send)
    send.textContent = `curl -d hello -H 'Content-Type: text/plain' '${base}v1/publish?topic=${readable(example)}'`;
}

/** Says how many are connected: once they have settled, for it is read aloud. */
function connectionsChanged() {
  clearTimeout(settling);
  settling = setTimeout(() => {
    const open = lanes.filter((lane) => lane.state === 'open').length;
    const status = element('connected');
    status.classList.toggle('bad', open < lanes.length);
    const text = say('connected', { n: open });
    const place = /** @type {HTMLElement} */ (status.lastElementChild);
    if (place.textContent !== text) place.textContent = text;
  }, 300);
}

/** Pointing at an event holds the lists still and shows it in every lane. */
function pointing(/** @type {HTMLElement} */ area) {
  const point = (/** @type {string} */ id) => {
    if (id === pointed) return;
    pointed = id;
    area.classList.toggle('pointing', Boolean(id));
    for (const row of area.querySelectorAll('li'))
      row.classList.toggle('pointed', Boolean(id) && row.dataset.id === id);
  };
  area.addEventListener('pointerover', (over) => {
    const row = /** @type {Element} */ (over.target).closest('li');
    if (over.pointerType !== 'touch') point(row?.dataset.id ?? '');
  });
  area.addEventListener('pointerleave', () => point(''));
}

function addInterval(/** @type {Lane} */ lane) {
  const label = document.createElement('label');
  const select = document.createElement('select');
  const text = document.createElement('span');
  label.className = 'interval';
  text.dataset.word = 'every';
  select.id = 'interval';
  select.dataset.label = 'pollEvery';
  for (const seconds of INTERVALS)
    select.add(new Option(`${seconds} s`, String(seconds), false, seconds === interval));
  select.addEventListener('change', () => {
    interval = Number(select.value);
    address();
  });
  label.append(text, select);
  lane.element.querySelector('.how')?.after(label);
}

/** Keeps the address what a reload, or a friend, would need to see the same. */
function address() {
  const fields = topics.map((topic) => `topic=${readable(topic)}`);
  if (interval !== DEFAULT_INTERVAL) fields.push(`interval=${interval}`);
  if (theme) fields.push(`theme=${theme}`);
  if (languageChosen) fields.push(`lang=${current()}`);
  history.replaceState(null, '', `?${fields.join('&')}`);
}

/** A group of buttons of which one is pressed. */
function choice(/** @type {string} */ id, /** @type {(value: string) => void} */ chosen) {
  element(id).addEventListener('click', (click) => {
    const button = /** @type {Element} */ (click.target).closest('button');
    if (!button) return;
    chosen(button.value);
    address();
    words();
  });
}

/**
 * Says beside a form why it was not done; without an error, that all is well.
 * @param {'watch' | 'publish'} form
 * @param {unknown} [error]
 */
function trouble(form, error) {
  const problem = error instanceof Problem ? error : undefined;
  element(`${form}-problem`).textContent = problem?.message ?? (error ? say('unreachable') : '');
  for (const field of element(form).querySelectorAll('input')) {
    field.ariaInvalid = String(Boolean(problem) && (problem?.field === 'topic') === /topic/.test(field.name));
  }
}

/** Percent-encoded as little as a query and a shell's single quotes need. */
function readable(/** @type {string} */ topic) {
  return encodeURIComponent(topic).replaceAll('%2F', '/').replaceAll("'", '%27');
}

function isJson(/** @type {string} */ text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function code(/** @type {string} */ line) {
  const place = document.createElement('code');
  place.textContent = line;
  return place;
}

function element(/** @type {string} */ id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

function input(/** @type {string} */ id) {
  return /** @type {HTMLInputElement} */ (element(id));
}
