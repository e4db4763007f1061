import type { Exchange, Mark } from '../lane/marks.ts';
import type { LaneRecord } from '../lane/record.ts';
import type { Pen } from './pen.ts';
import type { Lines, Scale, Scene } from './scene.ts';

/** Requests and answers without events. */
export function drawExchange(
  pen: Pen,
  x: Exchange,
  record: LaneRecord,
  scene: Scene,
  X: Scale,
  y: Lines,
): void {
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

/** Heartbeats, empty answers, what the viewer sent, gaps. */
export function drawMarks(pen: Pen, record: LaneRecord, scene: Scene, X: Scale, y: Lines): void {
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
      drawSaid(pen, mark, record, scene, X, y);
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

/** The viewer's own message, and its answer. */
function drawSaid(
  pen: Pen,
  mark: Mark & { kind: 'said' },
  record: LaneRecord,
  scene: Scene,
  X: Scale,
  y: Lines,
): void {
  const { g, p } = pen;
  const dash = mark.isFrame ? [] : [3, 2];
  // It was sent again until somebody answered. Where nothing is lost, a busy machine is late as well.
  const isLate = (mark.back ?? scene.now) - mark.at > 4 * mark.delay + (record.isLossy ? 250 : 1500);
  if (isLate || mark.isFailed) {
    const rise = (y.server - y.client) * 0.3;
    pen.line(X(mark.at), y.client, X(mark.at + mark.delay * 0.3), y.client + rise, p.red, 1.25, dash);
    pen.cross(X(mark.at + mark.delay * 0.3), y.client + rise, 3);
    if (mark.back === undefined || mark.isFailed) return;
  }
  const sent = isLate && mark.back !== undefined ? mark.back - 2 * mark.delay : mark.at;
  const half = mark.back === undefined ? mark.delay : (mark.back - sent) / 2;
  const f = Math.min(1, (scene.now - sent) / half);
  if (f < 0) return;
  pen.line(X(sent), y.client, X(sent + half * f), y.client + (y.server - y.client) * f, p.mid, 1.25, dash);
  if (f === 1) {
    g.fillStyle = p.mid;
    g.fillRect(X(sent + half) - 2.5, y.server - 2.5, 5, 5);
  }
  if (!mark.isFrame && mark.back !== undefined && mark.back <= scene.now)
    pen.line(X(sent + half), y.server, X(mark.back), y.client, p.faint, 1, dash);
}
