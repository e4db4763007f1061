import type { Log, Published } from '../published.ts';
import type { Span } from '../watch.ts';
import type { Words } from '../words/index.ts';

/** Room at the right for a dot at 'now'. */
export const PAD = 7;
/** From so many events a second on single ones blur: then only some keep their colour, the rest is density. */
export const DENSE = 18;
/** Coloured events a second, among the dense. */
const TRACERS = 4;

/** One frame, as all canvases share it. Times in ms on the page's clock. */
export interface Scene {
  /** The time at the right edge. */
  now: number;
  /** Whether nothing glides: time moves in steps. */
  isCalm: boolean;
  /** How much is shown. */
  span: number;
  /** Whether the edge lags behind, since an event is pointed at. */
  lag: number;
  log: Log;
  words: Words;
  picked: Published | undefined;
  /** Every so many-th event has a colour; 1: all. */
  every: number;
  /** px, of a dot: fewer events, larger dots. */
  radius: number;
  cuts: readonly Span[];
  hidden: readonly Span[];
  marks: readonly { at: number; text: string }[];
}

/** Where a moment lies, px. */
export type Scale = (at: number) => number;
/** Where a lane's two lines lie, px. */
export interface Lines {
  server: number;
  client: number;
}

export function across(width: number, scene: Scene): Scale {
  const perMs = (width - PAD) / scene.span;
  return (at) => width - PAD - (scene.now - at) * perMs;
}

export function lines(height: number): Lines {
  return { server: Math.round(height * 0.27) + 0.5, client: Math.round(height * 0.77) + 0.5 };
}

/** How many events share a colour's turn at this rate. */
export function everyFor(rate: number): number {
  return rate < DENSE ? 1 : Math.max(2, Math.ceil(rate / TRACERS));
}

/** Whether it is drawn by itself. */
export function isTracer(event: Published, every: number): boolean {
  return every === 1 || event.n % every === 0;
}

export function hue(event: Published, every: number): number {
  return Math.floor(event.n / every) % 5;
}
