import type { Flight } from '../lane/marks.ts';
import type { LaneRecord } from '../lane/record.ts';
import { isStream } from '../transports.ts';
import type { Pen } from './pen.ts';
import { hue, lines, type Scene } from './scene.ts';

/** Where an event is in a lane, in px: it waits from `x0` to `x1`, crosses to `x3`, stands until `x4`. */
export interface Way {
  x0: number;
  /** The bar it waits in. */
  bar: number;
  x1: number;
  x3: number;
  x4: number;
  /** Its bead. */
  bead: number;
  server: number;
  client: number;
  /** px between beads of a batch. */
  gap: number;
  /** Where the lost segment began. */
  dropped: number | undefined;
  /** How high the proxy holds it, if it does. */
  held: number | undefined;
  /** How far it has come on its way, 0 to 1. */
  progress: number;
  waits: boolean;
}

/** A wait that is shorter is the machine's, not the technique's, ms. */
export const WAITS = 10;
/** px of the longest column of beads' horizontal fan. */
const FAN = 8;

export function way(
  record: LaneRecord,
  flight: Flight,
  scene: Scene,
  X: (at: number) => number,
  height: number,
  step: number,
): Way {
  const { server, client } = lines(height);
  const { now } = scene;
  const published = flight.event.at;
  const bar = Math.max(3, server - flight.slot * step);
  const hasCome = flight.at !== undefined && flight.at <= now;
  // A proxy half-way; what it holds at once lies side by side.
  const held = server + (client - server) * (0.3 + 0.1 * (flight.slot % 5));
  const base = { x0: X(published), bar, server, client, held: flight.isHeld ? held : undefined };
  if (flight.at === undefined || flight.sent === undefined || flight.sent > now) {
    // Not come yet. Where the server may speak it is on its way, else it waits.
    const exchange = record.isHeldBack(now) ? undefined : record.exchange;
    const speaks = exchange && exchange.answered === undefined && exchange.opened !== undefined;
    const isHanging =
      record.transport === 'longpoll' &&
      exchange &&
      exchange.opened === undefined &&
      exchange.reached <= published;
    if (record.isBuffered && exchange && exchange.reached <= now) {
      const left = Math.max(published, exchange.reached);
      return {
        ...base,
        x1: X(left),
        x3: X(now),
        x4: X(now),
        bead: client,
        gap: 0,
        held,
        dropped: undefined,
        progress: 1,
        waits: left - published > WAITS,
      };
    }
    const isUnderWay = flight.sent === undefined && ((isStream(record.transport) && speaks) || isHanging);
    const delay = record.delay.value;
    const progress = isUnderWay ? Math.min(0.9, (now - published) / Math.max(1, delay)) : 0;
    const x1 = isUnderWay ? X(published) : X(now);
    const x3 = X(published + delay);
    return {
      ...base,
      x1,
      x3,
      x4: x3,
      bead: client,
      gap: 0,
      dropped: undefined,
      progress,
      waits: !isUnderWay,
    };
  }
  const count = flight.batch?.count ?? 1;
  const gap = count > 1 ? Math.min(7.5, (height - 5 - client) / (count - 1)) : 0;
  const fan = count > 1 ? Math.min(flight.index * 1.6, FAN) : 0;
  const landed = Math.min(flight.landed ?? flight.at, flight.at);
  const progress = Math.min(1, (now - flight.sent) / Math.max(0.001, landed - flight.sent));
  return {
    ...base,
    x1: X(flight.dropped ?? flight.sent) + (flight.dropped === undefined ? fan : 0),
    x3: X(landed),
    x4: X(hasCome ? flight.at : now),
    bead: client + flight.index * gap,
    gap,
    dropped: flight.dropped === undefined ? undefined : X(flight.sent),
    progress,
    waits: (flight.dropped ?? flight.sent) - published > WAITS,
  };
}

/** `scale`: 1, more if it is the one that is picked. */
export function drawFlight(
  pen: Pen,
  flight: Flight,
  w: Way,
  scene: Scene,
  scale: number,
  color?: string,
): void {
  const { p } = pen;
  const c = color ?? (p.events[hue(flight.event, scene.every)] as string);
  if (flight.isLost) {
    pen.dot(w.x0, w.server, 3, p.paper, p.red, 1.5);
    return;
  }
  const count = flight.batch?.count ?? 1;
  const isThin = count > 5 || scene.radius < 3;
  const stroke = (isThin ? 1.1 : 1.75) * scale;
  if (w.waits) pen.line(w.x0, w.bar, w.x1, w.bar, c, (isThin ? 1.6 : 2.6) * scale);
  if (w.progress > 0) {
    if (w.waits && w.bar < w.server) pen.line(w.x1, w.bar, w.x1, w.server, c, stroke);
    cross(pen, flight, w, c, stroke);
  }
  if (flight.at !== undefined && flight.at <= scene.now) {
    if (w.bead > w.client + 1) pen.line(w.x3, w.client, w.x3, w.bead, c, 1);
    if (w.x4 - w.x3 > 2) pen.line(w.x3, w.bead, w.x4, w.bead, c, 2.25 * scale, [2, 1.5]);
    const room = count > 2 ? 1.1 + w.gap * 0.45 : 4;
    const r = Math.max(1.7, Math.min(4, scene.radius, room)) * (scale > 1 ? 1.3 : 1);
    pen.dot(w.x4, w.bead, r, c);
  }
  pen.dot(w.x0, w.waits ? w.bar : w.server, Math.max(1.4, Math.min(2.6, scene.radius * 0.7)) * scale, c);
}

/** The slant, whose run is the time on the way. */
function cross(pen: Pen, flight: Flight, w: Way, c: string, stroke: number): void {
  const { p } = pen;
  const fall = w.client - w.server;
  if (w.held !== undefined) {
    const run = Math.min(12, (w.x3 - w.x1) / 4);
    pen.line(w.x1, w.server, w.x1 + run, w.held, c, stroke);
    const until = flight.at === undefined ? w.x3 : w.x3 - run;
    pen.line(w.x1 + run, w.held, until, w.held, c, stroke * 1.4, [4, 2]);
    if (flight.at !== undefined) pen.line(until, w.held, w.x3, w.client, c, stroke);
    return;
  }
  if (w.dropped !== undefined) {
    const run = (w.x3 - w.dropped) * 0.55;
    pen.line(w.x1, w.server, w.x1 + run, w.server + fall * 0.55, p.red, 1.25, [3, 2]);
    pen.cross(w.x1 + run, w.server + fall * 0.55, 3);
    pen.line(w.dropped, w.server, w.x3, w.client, c, stroke);
    return;
  }
  pen.line(w.x1, w.server, w.x1 + (w.x3 - w.x1) * w.progress, w.server + fall * w.progress, c, stroke);
}
