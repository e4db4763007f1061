import { drawFoot, drawHead } from './draw/frame.ts';
import { drawLane, type Memory } from './draw/lane.ts';
import { Pen, palette } from './draw/pen.ts';
import { pickAt } from './draw/pick.ts';
import { everyFor, hue, PAD, type Scene } from './draw/scene.ts';
import type { Lab } from './lab.ts';
import type { Lane } from './lane/lane.ts';
import type { Published } from './published.ts';
import { WORDS } from './words/index.ts';

/** How far behind an event that is pointed at may hold the view, ms. */
const LONGEST_HOLD = 20_000;

interface Surface {
  canvas: HTMLCanvasElement;
  size: { width: number; height: number };
  lane: Lane | undefined;
  memory: Memory;
}

interface Chip {
  element: HTMLElement;
  lane: Lane | undefined;
  shown: string;
}

/** Draws the canvases, frame by frame, and keeps the time that they show. */
export class Stage {
  private readonly lab: Lab;
  private surfaces = new Map<HTMLCanvasElement, Surface>();
  private chips = new Map<HTMLElement, Chip>();
  private colors = palette();
  private calm = matchMedia('(prefers-reduced-motion: reduce)');
  private observer: ResizeObserver;
  private lag = 0;
  private stopped: number | undefined;
  private last = 0;
  private request = 0;
  scene: Scene;

  constructor(lab: Lab) {
    this.lab = lab;
    this.scene = this.compose(performance.now());
    this.observer = new ResizeObserver((entries) => {
      for (const entry of entries) {
        const surface = this.surfaces.get(entry.target as HTMLCanvasElement);
        if (surface) surface.size = entry.contentRect;
      }
    });
  }

  /** `kind`: the publisher's line (undefined lane), an axis, or a lane. */
  add(canvas: HTMLCanvasElement, lane: Lane | undefined): () => void {
    const { width, height } = canvas.getBoundingClientRect();
    this.surfaces.set(canvas, { canvas, size: { width, height }, lane, memory: { step: 5 } });
    this.observer.observe(canvas);
    return () => {
      this.surfaces.delete(canvas);
      this.observer.unobserve(canvas);
    };
  }

  chip(element: HTMLElement, lane: Lane | undefined): () => void {
    this.chips.set(element, { element, lane, shown: '' });
    return () => this.chips.delete(element);
  }

  recolor(): void {
    this.colors = palette();
    for (const chip of this.chips.values()) chip.shown = '';
  }

  run(): void {
    const frame = (ms: number) => {
      this.request = requestAnimationFrame(frame);
      this.draw(ms);
    };
    this.request = requestAnimationFrame(frame);
  }

  halt(): void {
    cancelAnimationFrame(this.request);
  }

  /** What a point of a canvas means. */
  at(canvas: HTMLCanvasElement, clientX: number, clientY: number): Published | undefined {
    const surface = this.surfaces.get(canvas);
    if (!surface) return;
    const box = canvas.getBoundingClientRect();
    const [x, y] = [clientX - box.left, clientY - box.top];
    return pickAt(surface.lane?.record, this.scene, x, y, surface.size, surface.memory.step);
  }

  /** The canvases as one picture's parts, in their order. */
  get canvases(): readonly HTMLCanvasElement[] {
    return [...this.surfaces.keys()];
  }

  private draw(ms: number): void {
    const now = performance.now();
    const passed = Math.min(100, ms - this.last);
    this.last = ms;
    this.lab.meter.frame(ms);
    this.tell(now, passed);
    this.scene = this.compose(now);
    for (const { canvas, size, lane, memory } of this.surfaces.values()) {
      const pen = Pen.on(canvas, size, this.colors);
      if (!pen) continue;
      if (lane) drawLane(pen, lane.record, this.scene, memory);
      else if (canvas.dataset.kind === 'axis') drawFoot(pen, this.scene);
      else drawHead(pen, this.scene);
    }
    this.showChips();
  }

  /** Pointing holds the time; leaving lets it catch up. */
  private tell(now: number, passed: number): void {
    if (this.lab.paused.value !== undefined) {
      this.stopped ??= now - this.lag;
      this.lag = now - this.stopped;
      return;
    }
    this.stopped = undefined;
    if (this.lab.picked.value) this.lag = Math.min(LONGEST_HOLD, this.lag + passed);
    else this.lag = this.lag < 10 || this.calm.matches ? 0 : this.lag * Math.exp((-passed * 9) / 1000);
  }

  private compose(now: number): Scene {
    const { lab } = this;
    const settings = lab.settings.value;
    const picked = lab.picked.value;
    const rate = lab.rate;
    const span = settings.window * 1000;
    const edge = this.stopped ?? now - this.lag;
    const shown = this.calm.matches && !picked ? Math.floor(edge / 1000) * 1000 : edge;
    const width = this.surfaces.values().next().value?.size.width ?? 600;
    return {
      now: shown,
      isCalm: this.calm.matches,
      span,
      lag: picked || this.lag > 10 ? this.lag : 0,
      log: lab.log,
      words: WORDS[settings.language],
      picked,
      every: everyFor(rate),
      radius: Math.max(
        1.7,
        Math.min(4, 1.4 + ((width - PAD) / Math.max(0.5, rate * settings.window)) * 0.09),
      ),
      cuts: lab.cuts,
      hidden: lab.hidden,
      marks: lab.marks,
    };
  }

  /** What each viewer's screen shows now, and how far that is behind. */
  private showChips(): void {
    const { now, log, words, every } = this.scene;
    const newest = log.events.findLast((event) => event.at <= now);
    for (const chip of this.chips.values()) {
      const event = chip.lane
        ? chip.lane.record.arrivals.findLast((arrival) => arrival.at <= now)?.event
        : newest;
      const behind = chip.lane ? (newest?.n ?? 0) - (event?.n ?? 0) : 0;
      const shown = `${event?.n ?? ''}|${behind}|${every}|${words.latest}`;
      if (shown === chip.shown) continue;
      chip.shown = shown;
      const [square, text] = [chip.element.firstElementChild, chip.element.lastElementChild] as HTMLElement[];
      if (!square || !text) continue;
      square.textContent = event ? String(event.n) : '';
      square.style.fontSize = event && event.n > 9999 ? '10px' : event && event.n > 999 ? '12px' : '';
      // Among many, its neighbours have a tracer's colour: which stretch of the stream it is from.
      square.style.color = event ? (this.colors.onEvents[hue(event, every)] ?? '') : '';
      square.style.background = event ? (this.colors.events[hue(event, every)] ?? '') : '';
      text.textContent = !chip.lane || !newest ? '' : behind > 0 ? words.behind(behind) : words.latest;
      chip.element.classList.toggle('behind', behind > 0);
    }
  }
}
