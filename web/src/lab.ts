import { batch, signal } from '@preact/signals';
import { Clock } from './clock.ts';
import { Control } from './control.ts';
import { type Figures, measure, spanFor } from './figures.ts';
import { Lane } from './lane/lane.ts';
import type { Shape } from './lane/shape.ts';
import { Ledger } from './ledger.ts';
import { conditions, Lines } from './lines.ts';
import { Meter } from './meter.ts';
import { Log, type Published } from './published.ts';
import { format, type Settings, type Surroundings } from './settings.ts';
import { TRANSPORTS, type TransportName } from './transports.ts';
import { type Span, watchProtocols, watchVisibility } from './watch.ts';
import { WORDS } from './words/index.ts';

/** How long a cut lasts if nobody ends it, ms. */
const CUT = 3000;
/** How often lines are asked for, so that they stay, ms. */
const KEEP = 20_000;
/** An attempt that fails sooner was not merely slow, ms. */
const REFUSED = 2000;
/** The line that all tabs share that look for the six connections. */
const SHARED = 'shared';

/** So many connections a browser opens to one origin over HTTP/1.1. */
const SIX = 6;

/** What comes within this is swift, and what came within that is recent; ms. */
const SWIFT = 300;
const RECENT = 10_000;

/** What the line that tabs share is under. */
type Network = Pick<Settings, 'rtt' | 'kbps' | 'loss' | 'buffering'>;

/** Everything the page has: its lanes, the stream they show, the network they go over, and what was measured. */
export class Lab {
  readonly settings;
  /** Counts up when figures are to be shown anew, a few times a second; `slow` once a second. */
  readonly tick = signal(0);
  readonly slow = signal(0);
  readonly picked = signal<Published | undefined>(undefined);
  /** A lane that is pointed at as a whole. */
  readonly over = signal<TransportName | undefined>(undefined);
  /** Since when the drawing stands still; everything else goes on. */
  readonly paused = signal<number | undefined>(undefined);
  readonly isOpen = signal(false);
  readonly problem = signal('');
  readonly cut = signal<number | undefined>(undefined);
  readonly hideIsBlocked = signal(false);

  readonly id = crypto.getRandomValues(new Uint32Array(2)).reduce((text, n) => text + n.toString(36), '');
  readonly clock = new Clock();
  readonly log = new Log((time) => this.clock.onPage(time));
  readonly ledger = new Ledger();
  readonly meter = new Meter();
  readonly lanes: readonly Lane[];
  readonly base: URL;
  readonly around: Surroundings;
  figures = new Map<TransportName, Figures>();
  /** Of which time they are. */
  span: Span = { from: performance.now(), to: performance.now() };
  readonly cuts: Span[] = [];
  readonly hidden: Span[] = [];
  /** Conditions that changed, as the publisher's line marks them. */
  marks: { at: number; text: string }[] = [];
  /** From here on the figures count. */
  since = performance.now();
  /** What was changed is not in force yet. */
  private isSettling = false;
  /** Segments that the model lost since the lines began. */
  lost = 0;

  private readonly control: Control;
  private readonly lines: Lines;
  /** The other tabs of this browser. They share one line, and whatever one does to it is done to all. */
  private readonly tabs = new BroadcastChannel('fanlight.shared');
  private start: string | undefined;
  private origins = new Map<string, URL>();
  private timers: ReturnType<typeof setInterval>[] = [];
  private saying: ReturnType<typeof setTimeout> | undefined;
  private publishing: ReturnType<typeof setTimeout> | undefined;
  private applying: ReturnType<typeof setTimeout> | undefined;
  private cutEnds: ReturnType<typeof setTimeout> | undefined;
  private count = 0;

  constructor(base: URL, settings: Settings, around: Surroundings) {
    this.base = base;
    this.around = around;
    this.settings = signal(settings);
    this.lanes = TRANSPORTS.map((name) => new Lane(name, this.log, this.shapeOf(settings)));
    this.log.onPublished((event) => {
      for (const lane of this.lanes) lane.record.published(event);
    });
    this.lines = new Lines(base);
    this.control = new Control(
      base,
      TRANSPORTS.map((name) => this.client(name)),
      this.clock,
      {
        event: (event) => void this.log.see(event),
        ledger: (document, at) => this.ledger.take(document, at),
        ready: (cursor) => this.begin(cursor),
        state: (isOpen) => {
          const wasOpen = this.isOpen.value;
          this.isOpen.value = isOpen;
          // A gateway that was started anew has no line of ours.
          if (isOpen && !wasOpen && this.start) void this.apply(false);
        },
        refused: (detail) => {
          this.problem.value = detail;
        },
      },
    );
    this.tabs.onmessage = ({ data }: MessageEvent<Network | boolean>) => {
      if (!around.hasLab || !this.settings.value.shared) return;
      if (typeof data !== 'boolean') this.adopt(data);
      else if (data !== (this.cut.value !== undefined)) this.toggleCut(false);
    };
    watchVisibility(this.hidden, () => {
      // Lines that nobody asked for while the page slept are gone.
      if (this.start) void this.apply(false);
    });
    watchProtocols((origin, version) => {
      // One origin, one protocol: what a poll says holds for the streams beside it.
      for (const lane of this.lanes)
        if (lane.transport !== 'websocket' && this.urlOf(lane).origin === origin) lane.protocol = version;
    });
  }

  /** The name under which the gateway books a lane. */
  client(name: TransportName): string {
    return `${this.id}.${name}`;
  }

  get topics(): readonly string[] {
    const { source, topics } = this.settings.value;
    return source === 'generated' ? [`lab/${this.id}`] : source === 'host' ? ['host/**'] : topics;
  }

  /** Events a second, of the last while. */
  get rate(): number {
    const { source, rate } = this.settings.value;
    const now = performance.now();
    const span = Math.min(10_000, Math.max(2000, now - this.since));
    const count =
      this.log.events.length - 1 - this.log.events.findLastIndex((event) => event.at < now - span);
    const measured = Math.max(0.02, count / (span / 1000));
    // A source that is asked for more than it can do does less.
    const falls = rate > 100 && measured < rate * 0.8;
    return source === 'generated' && !falls ? rate : measured;
  }

  /** Whether the origin that lanes share has room. Slowness alone looks as if the browser held requests back. */
  private async look(): Promise<void> {
    if (!this.settings.value.shared || !this.isOpen.value) return;
    const hasRoom = this.around.hasLab ? await this.lineHasRoom() : this.isSlow();
    for (const { record, protocol } of this.lanes) record.isRoomy = hasRoom || /^h[23]/.test(protocol);
  }

  /** The gateway knows how many connections the line has. */
  private async lineHasRoom(): Promise<boolean> {
    const line = await this.lines.read(SHARED).catch(() => undefined);
    // A WebSocket is none of the six.
    const sockets = this.lanes.filter((lane) => lane.transport === 'websocket' && lane.isOpen).length;
    return !line || line.connections - sockets < SIX;
  }

  /** What a network does it does to the WebSocket too; what six connections do it is spared. */
  private isSlow(): boolean {
    const since = performance.now() - RECENT;
    const socket = this.lanes.find((lane) => lane.transport === 'websocket' && lane.isOpen);
    const recent = socket?.record.arrivals.slice(-200).filter((arrival) => arrival.at > since) ?? [];
    return !recent.length || recent.some((arrival) => arrival.late > SWIFT);
  }

  /** Whether a lane has got through to its line, or may still. */
  get hasReached(): boolean {
    const running = this.lanes.filter((lane) => lane.state !== 'stopped');
    return !running.length || running.some((lane) => this.mayReach(lane));
  }

  private mayReach({ isOpen, record, transport }: Lane): boolean {
    if (isOpen || record.shown) return true;
    // A slow line takes its time. What fails at once is refused: there is no such port, or the page is from another.
    const isRefused = record.exchanges.some((x) => x.isFailed && (x.done ?? Infinity) - x.asked < REFUSED);
    return !isRefused && this.ledger.latest(transport) !== undefined;
  }

  run(): void {
    this.restart();
    const often = (ms: number, act: () => void) => this.timers.push(setInterval(act, ms));
    often(220, () => this.refresh());
    often(1000, () => {
      this.slow.value += 1;
      this.forget();
      void this.look();
    });
    if (this.around.hasLab) often(KEEP, () => void this.apply(false));
    this.say();
    this.tell();
  }

  /** Changes what is set, and does what follows from it. */
  change(next: Partial<Settings>, mark?: string, isOurs = true): void {
    const before = this.settings.value;
    const after = { ...before, ...next };
    this.settings.value = after;
    const query = format(after, this.around).toString();
    history.replaceState(null, '', query ? `?${query}` : location.pathname);
    const differs = (...names: (keyof Settings)[]) => names.some((name) => before[name] !== after[name]);
    if (isOurs && differs('rtt', 'kbps', 'loss', 'buffering', 'shared')) this.tell();
    if (differs('up')) this.say();
    if (differs('source') || (after.source === 'topics' && differs('topics'))) return this.restart();
    if (differs('rate', 'size', 'burst', 'up', 'poll', 'rtt', 'kbps', 'loss', 'buffering', 'shared')) {
      this.since = performance.now();
      if (mark) this.marks.push({ at: this.since, text: mark });
    }
    if (differs('rate', 'size', 'burst', 'rtt', 'kbps', 'loss', 'buffering', 'shared')) {
      clearTimeout(this.applying);
      this.applying = setTimeout(() => {
        this.applying = undefined;
        void this.apply(true);
      }, 120);
      this.isSettling = true;
      // What was measured so far is nothing to say of what is set now.
      this.refresh();
    }
    if (differs('rate', 'burst', 'size')) this.generate();
    for (const lane of this.lanes) {
      const isStopped = after.stopped.includes(lane.transport);
      if (isStopped !== before.stopped.includes(lane.transport)) {
        if (isStopped) lane.stop();
        else {
          lane.since = performance.now();
          this.startLane(lane);
        }
      } else if (lane.transport === 'poll' && differs('poll') && !isStopped) this.startLane(lane);
    }
  }

  toggleCut(isOurs = true): void {
    clearTimeout(this.cutEnds);
    const now = performance.now();
    if (this.cut.value === undefined) {
      this.cuts.push({ from: now, to: Number.POSITIVE_INFINITY });
      this.cut.value = now + CUT;
      this.cutEnds = setTimeout(() => this.toggleCut(), CUT);
    } else {
      const last = this.cuts.at(-1);
      if (last) last.to = now;
      this.cut.value = undefined;
    }
    if (isOurs && this.settings.value.shared) this.tabs.postMessage(this.cut.value !== undefined);
    void this.apply(false);
  }

  togglePause(): void {
    this.paused.value = this.paused.value === undefined ? performance.now() : undefined;
  }

  /** One event from here, for whoever has nothing to show. */
  publishOne(): void {
    this.count += 1;
    const [topic = 'lab/hello'] = this.topics.filter((pattern) => !pattern.includes('*'));
    this.control.publish(topic.startsWith('$') ? 'lab/hello' : topic, { hello: this.count });
  }

  hide(): void {
    const tab = window.open('about:blank', '_blank');
    this.hideIsBlocked.value = !tab;
    if (tab) setTimeout(() => tab.close(), 10_000);
  }

  leave(): void {
    for (const timer of this.timers) clearInterval(timer);
    this.lines.leave([SHARED]);
    for (const lane of this.lanes) lane.stop();
    this.control.close();
    this.tabs.close();
  }

  /** Tells the other tabs what the line is under that they share. */
  private tell(): void {
    const { shared, rtt, kbps, loss, buffering } = this.settings.value;
    if (this.around.hasLab && shared) this.tabs.postMessage({ rtt, kbps, loss, buffering } satisfies Network);
  }

  /** Another tab has changed it. */
  private adopt({ rtt, kbps, loss, buffering }: Network): void {
    const { settings } = this;
    const is = settings.value;
    if (is.rtt === rtt && is.kbps === kbps && is.loss === loss && is.buffering === buffering) return;
    const mark = WORDS[is.language].shared;
    this.change({ rtt, kbps, loss, buffering, preset: '' }, mark, false);
  }

  /** Another stream: everything begins anew. */
  private restart(): void {
    for (const lane of this.lanes) lane.clear();
    this.log.clear();
    this.ledger.clear();
    this.start = undefined;
    this.problem.value = '';
    this.since = performance.now();
    batch(() => {
      this.picked.value = undefined;
      this.tick.value += 1;
    });
    this.control.watch(this.topics);
  }

  /** The page's own socket is open, and says from where. */
  private begin(cursor: string): void {
    this.start = cursor;
    void this.apply(true);
    this.generate();
  }

  /** Tells the gateway of the lines, and moves lanes whose line is elsewhere. */
  private async apply(isNew: boolean): Promise<void> {
    const settings = this.settings.value;
    try {
      if (this.around.hasLab) await this.applyLines(settings);
    } catch (error) {
      this.problem.value = error instanceof Error ? error.message : String(error);
      this.settle();
      return;
    }
    for (const lane of this.lanes) lane.reshape(this.shapeOf(settings));
    if (isNew && !this.applying) this.settle();
    if (isNew && this.around.hasLab) this.problem.value = '';
    for (const lane of this.lanes)
      if (!settings.stopped.includes(lane.transport) && this.start) {
        const url = this.urlOf(lane);
        if (!lane.goes(url, settings.buffering)) this.startLane(lane);
      }
  }

  /** What was set is in force: figures count from here. */
  private settle(): void {
    if (!this.isSettling) return;
    this.isSettling = false;
    this.since = performance.now();
  }

  private async applyLines(settings: Settings): Promise<void> {
    const shape = conditions(settings, this.cut.value !== undefined);
    const ids = settings.shared ? [SHARED] : TRANSPORTS.map((name) => this.client(name));
    const lines = await Promise.all(ids.map((id) => this.lines.put(id, shape)));
    this.lost = lines.reduce((sum, line) => sum + line.lost, 0);
    this.origins = new Map(lines.map((line) => [line.id, this.lines.origin(line)]));
    const rate = settings.source === 'generated' ? settings.rate : 0;
    const { size, burst } = settings;
    await this.lines.put(`${this.id}.source`, { source: { topic: `lab/${this.id}`, rate, size, burst } });
  }

  private shapeOf({ rtt, loss, buffering, shared }: Settings): Shape {
    return { rtt, loss, buffering, shared, isShaped: this.around.hasLab };
  }

  private urlOf(lane: Lane): URL {
    const id = this.settings.value.shared ? SHARED : this.client(lane.transport);
    return this.origins.get(id) ?? this.base;
  }

  private startLane(lane: Lane): void {
    lane.start({
      url: this.urlOf(lane),
      topics: this.topics,
      after: this.start,
      pollInterval: this.settings.value.poll,
      client: this.client(lane.transport),
      buffering: this.settings.value.buffering,
    });
  }

  /** Without lab mode the page itself is the source, on its own socket. */
  private generate(): void {
    clearTimeout(this.publishing);
    const { source, rate, size, burst } = this.settings.value;
    if (this.around.hasLab || source !== 'generated') return;
    const next = () => {
      for (let n = 0; n < burst; n += 1) {
        this.count += 1;
        const head = `{"n":${this.count},"pad":""}`;
        this.control.publish(`lab/${this.id}`, {
          n: this.count,
          pad: '.'.repeat(Math.max(0, size - head.length)),
        });
      }
      this.publishing = setTimeout(next, (burst / rate) * 1000);
    };
    this.publishing = setTimeout(next, (burst / rate) * 1000);
  }

  /** The viewer's messages. */
  private say(): void {
    clearTimeout(this.saying);
    const { up } = this.settings.value;
    if (!up) return;
    this.saying = setTimeout(
      () => {
        for (const lane of this.lanes) lane.say(`lab/${this.id}/said`);
        this.say();
      },
      ((0.7 + 0.6 * Math.random()) / up) * 1000,
    );
  }

  /** Takes the figures anew. */
  refresh(): void {
    const now = performance.now();
    const from = Math.max(this.since, now - spanFor(this.rate));
    this.span = { from, to: now };
    for (const lane of this.lanes) {
      lane.confirm(this.ledger.latest(lane.transport), now);
      const since = this.isSettling ? now : Math.max(this.since, lane.since);
      this.figures.set(lane.transport, measure(lane.record, this.ledger, from, now, since));
    }
    this.tick.value += 1;
  }

  private forget(): void {
    const now = performance.now();
    // What a pause shows stays.
    const shown = this.paused.value ?? now;
    this.log.forget(shown);
    for (const lane of this.lanes) lane.record.forget(now, shown);
    this.marks = this.marks.filter((mark) => mark.at > shown - 60_000);
  }
}
