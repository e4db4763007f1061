// @ts-check
import { Subscription } from './subscription.js';
import { amount, count, known, say } from './words.js';

/**
 * @typedef {import('./subscription.js').Transport} Transport
 * @typedef {import('./subscription.js').State} State
 * @typedef {import('./subscription.js').EventDocument} EventDocument
 * @typedef {import('./subscription.js').Gap} Gap
 * @typedef {import('./tally.js').Tally} Tally
 * @typedef {import('./words.js').Word} Word
 */

/** Events in a lane's list. Older ones leave the page, so that it can stay open for days. */
const ROWS = 60;
/** Characters of an event's data in a row: more than any row is wide. */
const DATA = 240;

/** One transport on the page: what its subscription reports, drawn. */
export class Lane {
  /** @type {Subscription | undefined} */
  #subscription;
  /** @type {Tally | undefined} */
  #tally;
  /** What came since the list was last drawn, the oldest first. @type {(EventDocument | Gap)[]} */
  #fresh = [];
  #counts = { events: 0, requests: 0, bytes: 0, gaps: 0 };
  #index;
  /** @type {State | 'waiting'} */
  state = 'waiting';

  /**
   * @param {Transport} transport
   * @param {number} index its place among the lanes
   * @param {HTMLTemplateElement} template
   * @param {() => void} onState
   */
  constructor(transport, index, template, onState) {
    this.transport = transport;
    this.#index = index;
    this.onState = onState;
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLElement} */ (copy.firstElementChild);
    this.list = this.#part('.events');
    const title = this.#part('h2');
    title.textContent = transport.name;
    title.id = `lane-${transport.name}`;
    this.element.setAttribute('aria-labelledby', title.id);
    this.#part('use').setAttribute('href', `#glyph-${transport.name}`);
    this.#part('.how').dataset.word = transport.name;
    this.element.dataset.transport = transport.name;
    this.#show('waiting');
  }

  /**
   * Begins anew.
   * @param {ConstructorParameters<typeof Subscription>[1]} options
   * @param {Tally} tally
   */
  begin(options, tally) {
    this.end();
    this.#tally = tally;
    this.#counts = { events: 0, requests: 0, bytes: 0, gaps: 0 };
    this.#fresh = [];
    this.list.replaceChildren();
    delete this.element.dataset.last;
    this.#subscription = new Subscription(this.transport, options, {
      state: (state, detail) => this.#show(state, detail),
      request: () => {
        this.#counts.requests += 1;
      },
      received: (bytes) => {
        this.#counts.bytes += bytes;
      },
      event: (event) => {
        this.#counts.events += 1;
        tally.delivered(this.#index, event.id);
        this.#keep(event);
        this.#tell('fanlight:event', event.id);
      },
      gap: (gap) => {
        this.#counts.gaps += 1;
        this.#keep(gap);
        this.#tell('fanlight:gap', gap);
      },
    });
  }

  /** Lets go of the connection; what was shown stays. */
  end() {
    this.#subscription?.close();
    this.#subscription = undefined;
    this.#show('waiting');
  }

  /** How many events came. */
  get events() {
    return this.#counts.events;
  }

  /** The words of the language in use, where they are not plain `data-word`s. */
  label() {
    this.list.setAttribute('aria-label', say('latest', { transport: this.transport.name }));
    this.#part('.state span').textContent = say(this.state);
    this.drawFigures();
  }

  drawFigures() {
    const { missed, duplicated } = this.#tally?.of(this.#index) ?? { missed: 0, duplicated: 0 };
    const [bytes, unit] = amount(this.#counts.bytes);
    const small = document.createElement('small');
    small.textContent = unit;
    this.#figure('events').textContent = count(this.#counts.events);
    this.#figure('requests').textContent = count(this.#counts.requests);
    this.#figure('bytes').replaceChildren(bytes, small);
    for (const [name, value] of Object.entries({ missed, duplicated, gaps: this.#counts.gaps })) {
      this.#figure(name).textContent = count(value);
      this.#figure(name).classList.toggle('bad', value > 0);
    }
    this.element.dataset.delivered = String(this.#counts.events);
  }

  drawList() {
    if (!this.#fresh.length) return;
    const rows = this.#fresh.map((item) => ('id' in item ? eventRow(item) : gapRow(item)));
    this.#fresh = [];
    this.list.prepend(...rows.reverse());
    while (this.list.childElementCount > ROWS) this.list.lastElementChild?.remove();
  }

  /** For whoever watches from outside. */
  #tell(/** @type {string} */ type, /** @type {unknown} */ detail) {
    this.element.dispatchEvent(new CustomEvent(type, { bubbles: true, detail }));
  }

  #keep(/** @type {EventDocument | Gap} */ item) {
    this.#fresh.push(item);
    if (this.#fresh.length > ROWS) this.#fresh.shift();
    if ('id' in item) this.element.dataset.last = item.id;
  }

  #show(/** @type {State | 'waiting'} */ state, detail = '') {
    this.state = state;
    this.element.dataset.state = state;
    this.#part('.state span').textContent = say(state);
    this.#part('.problem').textContent = detail;
    this.onState();
  }

  #figure(/** @type {string} */ name) {
    return this.#part(`[data-figure=${name}]`);
  }

  #part(/** @type {string} */ selector) {
    return /** @type {HTMLElement} */ (this.element.querySelector(selector));
  }
}

function eventRow(/** @type {EventDocument} */ event) {
  const row = document.createElement('li');
  const number = offset(event.id);
  row.dataset.id = event.id;
  // One hue for one event, in every lane.
  row.className = `hue-${Number(number) % 5}`;
  row.title = [event.id, event.type, event.time].filter(Boolean).join(' · ');
  const text = 'data_base64' in event ? `${event.datacontenttype}` : JSON.stringify(event.data);
  row.append(part('i', ''), part('b', number), part('span', event.topic), part('code', text.slice(0, DATA)));
  return row;
}

function gapRow(/** @type {Gap} */ gap) {
  const row = document.createElement('li');
  row.className = 'gap';
  const reason = known(gap.reason);
  row.title = `${gap.from} – ${gap.to}`;
  row.append(
    part('b', say('gap')),
    part('span', reason ? say(reason) : gap.reason),
    part('code', say('between', { from: offset(gap.from), to: offset(gap.to) })),
  );
  return row;
}

/** The readable end of an id; of one that is not ours, all of it. */
function offset(/** @type {string} */ id) {
  return id.slice(id.lastIndexOf('-') + 1);
}

function part(/** @type {string} */ tag, /** @type {string} */ text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
