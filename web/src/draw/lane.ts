import type { Exchange, Flight } from '../lane/marks.ts';
import type { LaneRecord } from '../lane/record.ts';
import { duration, join } from '../numbers.ts';
import { isStream } from '../transports.ts';
import { dense } from './dense.ts';
import { drawFlight, way } from './flight.ts';
import type { Pen } from './pen.ts';
import { across, hue, isTracer, lines, type Scene } from './scene.ts';

/** How much of the rest is seen while one event is picked. */
const FADED = 0.22;

/** What a lane's canvas remembers from frame to frame: the distance of stacked bars, which glides. */
export interface Memory {
  step: number;
}

/** One lane: the server's line above, the client's below, time from left to right. */
export function drawLane(pen: Pen, record: LaneRecord, scene: Scene, memory: Memory): void {
  const { g, p, width, height } = pen;
  const X = across(width, scene);
  const y = lines(height);
  const begin = scene.now - scene.span - 1000;
  const shown: Flight[] = [];
  let most = 3;
  for (const flight of record.flights.values()) {
    if (flight.event.at > scene.now || (flight.at ?? scene.now) < begin) continue;
    if (flight.isLost && flight.event.at < begin) continue;
    shown.push(flight);
    if (isTracer(flight.event, scene.every)) most = Math.max(most, flight.slot);
  }
  const wanted = Math.min(5.5, (y.server - 5) / (scene.every > 1 ? 3 : most));
  memory.step += (wanted - memory.step) * 0.08;

  pen.within(0, 0, X(scene.now) + 0.5, height, () => {
    spans(pen, record, scene, X, y);
    cuts(pen, scene, X, y);
    pen.line(0, y.server, width, y.server, p.edge);
    pen.line(0, y.client, width, y.client, p.edge);
    edges(pen, record, scene, X, y);
    if (record.transport === 'poll' && width < 640) {
      pen.text(scene.words.server, 1, y.server + 8, p.mid, { size: 10 });
      pen.text(scene.words.client, 1, y.client - 7, p.mid, { size: 10 });
    }
    const quiet = scene.picked ? FADED : 1;
    g.globalAlpha = quiet;
    for (const exchange of record.exchanges) drawExchange(pen, exchange, record, scene, X, y);
    drawMarks(pen, record, scene, X, y);
    if (scene.every > 1) dense(pen, shown, scene, X, y);
    for (const flight of shown) {
      if (flight.event === scene.picked || !isTracer(flight.event, scene.every)) continue;
      g.globalAlpha = quiet;
      drawFlight(pen, flight, way(record, flight, scene, X, height, memory.step), scene, 1);
    }
    g.globalAlpha = 1;
    batches(pen, shown, record, scene, X, y);
  });
  const picked = scene.picked && record.flights.get(scene.picked.id);
  if (picked) dimension(pen, record, picked, scene, X, memory);
}

type Lines = { server: number; client: number };
type Scale = (at: number) => number;

/** The time during which the server may speak. */
function spans(pen: Pen, record: LaneRecord, scene: Scene, X: Scale, y: Lines): void {
  const { g, p } = pen;
  g.fillStyle = p.open;
  const begin = scene.now - scene.span - 1000;
  for (const x of record.exchanges) {
    if (x.isFailed || x.reached > scene.now) continue;
    if (x === record.exchange && record.isHeldBack(scene.now)) continue;
    const end = isStream(record.transport) ? x.done : x.opened;
    const [until, gone] = [
      Math.min(x.answered ?? Infinity, scene.now + 1000),
      Math.min(end ?? Infinity, scene.now + 1000),
    ];
    if (gone < begin) continue;
    // A stream that nobody answered yet, and a long poll on its way: it may speak from when the request is there.
    g.beginPath();
    g.moveTo(X(x.asked), y.client);
    g.lineTo(X(x.reached), y.server);
    g.lineTo(X(Math.max(x.reached, until)), y.server);
    g.lineTo(X(gone), y.client);
    g.closePath();
    g.fill();
  }
}

/** The heavy edges of what is held or open. */
function edges(pen: Pen, record: LaneRecord, scene: Scene, X: Scale, y: Lines): void {
  if (record.transport === 'poll') return;
  for (const x of record.exchanges) {
    if (x.isFailed || x.reached > scene.now) continue;
    if (x === record.exchange && record.isHeldBack(scene.now)) continue;
    const [a, b] = [X(x.reached), X(Math.min(x.answered ?? scene.now, scene.now))];
    if (b > a + 1) pen.line(Math.max(-4, a), y.server, b, y.server, pen.p.mid, 1.75);
    if (record.transport !== 'websocket') continue;
    pen.line(
      Math.max(-4, X(x.asked)),
      y.client,
      X(Math.min(x.done ?? scene.now, scene.now)),
      y.client,
      pen.p.mid,
      1.75,
    );
  }
}

function cuts(pen: Pen, scene: Scene, X: Scale, y: Lines): void {
  const { g, p } = pen;
  for (const cut of scene.cuts) {
    const [x0, x1] = [Math.max(-20, X(cut.from)), X(Math.min(cut.to, scene.now))];
    if (x1 < 0 || cut.from > scene.now) continue;
    pen.within(x0, y.server, x1 - x0, y.client - y.server, () => {
      g.fillStyle = p.wash;
      g.fillRect(x0, y.server, x1 - x0, y.client - y.server);
      const off = X(cut.from) % 7;
      for (let x = x0 - 60 - ((x0 - off) % 7); x < x1; x += 7)
        pen.line(x, y.client, x + y.client - y.server, y.server, p.wash, 1.5);
    });
    pen.line(X(cut.from), y.server, X(cut.from), y.client, p.red, 1);
    if (cut.to <= scene.now) pen.line(x1, y.server, x1, y.client, p.red, 1);
  }
}

/** Requests and answers without events. */
function drawExchange(pen: Pen, x: Exchange, record: LaneRecord, scene: Scene, X: Scale, y: Lines): void {
  const { p } = pen;
  if (x.asked > scene.now || (x.done ?? scene.now) < scene.now - scene.span - 1000) return;
  const delay = x.reached - x.asked;
  if (x.queued !== undefined) heldBack(pen, X(x.queued), X(x.asked), y.client);
  if (x === record.exchange && record.isHeldBack(scene.now))
    return heldBack(pen, X(x.asked), X(scene.now), y.client);
  if (x.handshake !== undefined) {
    const third = (x.asked - x.handshake) / 2;
    pen.line(X(x.handshake), y.client, X(x.handshake + third), y.server, p.mid, 1, [1.5, 2.5]);
    pen.line(X(x.handshake + third), y.server, X(x.asked), y.client, p.mid, 1, [1.5, 2.5]);
  }
  if (x.isFailed && x.opened === undefined) {
    const rise = Math.min(1, ((x.done ?? scene.now) - x.asked) / Math.max(30, delay));
    const [xe, ye] = [
      X(x.asked + Math.max(30, delay) * rise * 0.6),
      y.client + (y.server - y.client) * rise * 0.6,
    ];
    pen.line(X(x.asked), y.client, xe, ye, p.red, 1.25);
    if (x.done !== undefined) pen.cross(xe, ye, 3);
    return;
  }
  if (x.lost === 'request') {
    const first = x.handshake ?? x.asked;
    pen.line(
      X(first),
      y.client,
      X(first + delay * 0.45),
      y.client + (y.server - y.client) * 0.45,
      p.red,
      1.25,
      [3, 2],
    );
    pen.cross(X(first + delay * 0.45), y.client + (y.server - y.client) * 0.45, 3);
    const sent = x.reached - record.delay.value;
    pen.line(X(sent), y.client, X(x.reached), y.server, p.mid, 1.25);
  } else {
    const at = Math.min(1, (scene.now - x.asked) / Math.max(0.001, delay));
    pen.line(
      X(x.asked),
      y.client,
      X(x.asked + delay * at),
      y.client + (y.server - y.client) * at,
      p.mid,
      1.25,
    );
  }
  if (x.lost === 'answer') {
    const half = record.delay.value * 0.55;
    pen.line(
      X(x.reached),
      y.server,
      X(x.reached + half),
      y.server + (y.client - y.server) * 0.55,
      p.red,
      1.25,
      [3, 2],
    );
    pen.cross(X(x.reached + half), y.server + (y.client - y.server) * 0.55, 3);
  }
}

/** The browser has the request, and no connection for it. */
function heldBack(pen: Pen, from: number, to: number, y: number): void {
  pen.line(from, y, to, y, pen.p.ink, 3, [3, 3]);
  pen.g.fillStyle = pen.p.paper;
  pen.g.fillRect(from - 3, y - 3, 6, 6);
  pen.g.strokeStyle = pen.p.ink;
  pen.g.strokeRect(from - 3, y - 3, 6, 6);
}

function drawMarks(pen: Pen, record: LaneRecord, scene: Scene, X: Scale, y: Lines): void {
  const { g, p } = pen;
  const tall = (y.client - y.server) * 0.16;
  for (const mark of record.marks) {
    if (mark.at > scene.now || mark.at < scene.now - scene.span - 1000) continue;
    if (mark.kind === 'heartbeat') {
      pen.line(X(mark.at - mark.delay), y.server, X(mark.at - mark.delay), y.server + tall, p.mid, 1.5);
      pen.line(X(mark.at), y.client, X(mark.at), y.client - tall, p.mid, 1.5);
      // The browser answers the ping that comes with it by itself.
      if (record.transport === 'websocket') {
        pen.line(X(mark.at) + 3, y.client, X(mark.at) + 3, y.client - tall, p.mid, 1.5);
        pen.line(X(mark.at + mark.delay), y.server, X(mark.at + mark.delay), y.server + tall, p.mid, 1.5);
      }
    } else if (mark.kind === 'empty') {
      pen.line(X(mark.at - mark.delay), y.server, X(mark.at), y.client, p.faint, 1, [3, 2]);
      pen.dot(X(mark.at), y.client, 3.5, p.paper, p.faint);
    } else if (mark.kind === 'said') {
      const dash = mark.isFrame ? [] : [3, 2];
      const color = mark.isFailed ? p.red : p.mid;
      const half = mark.back === undefined ? mark.delay : (mark.back - mark.at) / 2;
      const there = mark.at + half;
      const f = Math.min(1, (scene.now - mark.at) / half);
      pen.line(
        X(mark.at),
        y.client,
        X(mark.at + half * f),
        y.client + (y.server - y.client) * f,
        color,
        1.25,
        dash,
      );
      if (there <= scene.now) {
        g.fillStyle = color;
        g.fillRect(X(there) - 2.5, y.server - 2.5, 5, 5);
      }
      if (!mark.isFrame && mark.back !== undefined && mark.back <= scene.now)
        pen.line(X(there), y.server, X(mark.back), y.client, p.faint, 1, dash);
    } else {
      const x = X(mark.at);
      const alpha = g.globalAlpha;
      g.globalAlpha = 1;
      pen.line(x - 26, y.client, x - 6, y.client, p.red, 4);
      pen.text(scene.words.gap(mark.count), x - 30, y.client - 8, p.red, { align: 'right', weight: 600 });
      g.globalAlpha = alpha;
    }
  }
}

/** How many came at once, where they cannot be counted, and what was replayed. */
function batches(
  pen: Pen,
  shown: readonly Flight[],
  record: LaneRecord,
  scene: Scene,
  X: Scale,
  y: Lines,
): void {
  const { g, p, height } = pen;
  const seen = new Set<unknown>();
  let last = Number.NEGATIVE_INFINITY;
  let lastReplay = Number.NEGATIVE_INFINITY;
  for (const flight of shown) {
    const batch = flight.batch;
    if (!batch || seen.has(batch) || batch.at > scene.now) continue;
    seen.add(batch);
    const x = X(batch.at);
    if (batch.replayed) {
      const tall = batch.count > 1 ? Math.min(7.5 * (batch.count - 1), height - 5 - y.client) : 0;
      g.beginPath();
      g.roundRect(x - 6, y.client - 6, 12, tall + 11, 6);
      g.strokeStyle = p.ink;
      g.lineWidth = 1.25;
      g.stroke();
      // Those that follow at once have no room for words: their capsule says it.
      if (x - lastReplay > 90)
        pen.text(scene.words.replayed(batch.replayed), x - 11, y.client + 11, p.ink, {
          align: 'right',
          weight: 600,
        });
      lastReplay = x;
    } else if (batch.count >= 6 && (!isStream(record.transport) || batch.count >= 10)) {
      if (x - last < 34) continue;
      last = x;
      pen.text(`×${batch.count}`, x - 8, y.client + 11, p.mid, { align: 'right', weight: 600 });
    }
  }
}

/** The picked event: a line through all lanes, and its latency in this one. */
function dimension(
  pen: Pen,
  record: LaneRecord,
  flight: Flight,
  scene: Scene,
  X: Scale,
  memory: Memory,
): void {
  const { p, width, height } = pen;
  const from = X(flight.event.at);
  const isShown = flight.at !== undefined && flight.at <= scene.now;
  const to = Math.min(X(scene.now), isShown ? X(flight.at as number) : X(scene.now));
  pen.line(from, 0, from, height, p.ink, 1, [2, 3]);
  pen.within(0, 0, X(scene.now) + 6, height, () =>
    drawFlight(
      pen,
      flight,
      way(record, flight, scene, X, height, memory.step),
      scene,
      1.6,
      p.events[hue(flight.event, scene.every)],
    ),
  );
  const { words } = scene;
  if (!flight.isLost) {
    pen.line(from, height - 3.5, to, height - 3.5, p.ink, 1);
    pen.line(from, height - 7, from, height, p.ink, 1);
    pen.line(to, height - 7, to, height, p.ink, 1);
  }
  const late = (isShown ? (flight.at as number) : scene.now) - flight.event.at;
  const text = flight.isLost
    ? words.lost
    : isShown
      ? `+${join(duration(late))}`
      : `${join(duration(late))} · ${words.waiting}`;
  const right = to > width - 110;
  pen.text(text, right ? from - 8 : to + 8, height - 10, flight.isLost ? p.red : p.ink, {
    align: right ? 'right' : 'left',
    weight: 650,
    size: 13,
  });
}
