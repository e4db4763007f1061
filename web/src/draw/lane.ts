import type { Flight } from '../lane/marks.ts';
import type { LaneRecord } from '../lane/record.ts';
import { duration, join } from '../numbers.ts';
import { isStream } from '../transports.ts';
import { dense } from './dense.ts';
import { drawFlight, way } from './flight.ts';
import type { Pen } from './pen.ts';
import { across, hue, isTracer, type Lines, lines, type Scale, type Scene } from './scene.ts';
import { drawExchange, drawMarks } from './traffic.ts';

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
  memory.step += (wanted - memory.step) * (scene.isCalm ? 1 : 0.08);

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
    if (record.isHeldByProxy) {
      const from = Math.max(4, X(record.exchange?.reached ?? scene.now) + 6);
      pen.text(scene.words.heldAll, from, (y.client + height) / 2, p.mid);
    }
  });
  const picked = scene.picked && record.flights.get(scene.picked.id);
  if (picked) dimension(pen, record, picked, scene, X, memory);
}

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
  const below = Math.min(y.client + 11, height - 7);
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
        pen.text(scene.words.replayed(batch.replayed), x - 11, below, p.ink, {
          align: 'right',
          weight: 600,
        });
      lastReplay = x;
    } else if (batch.count >= 6 && (!isStream(record.transport) || batch.count >= 10)) {
      if (x - last < 34) continue;
      last = x;
      pen.text(`×${batch.count}`, x - 8, below, p.mid, { align: 'right', weight: 600 });
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
