import type { Flight } from '../lane/marks.ts';
import { WAITS } from './flight.ts';
import type { Pen } from './pen.ts';
import type { Scene } from './scene.ts';

/** px of a column. */
const COLUMN = 3;

/**
 * Many events, as density in ink: how many wait on the server (an area above its line), each on its way (a hair), and
 * how many were shown when (bars below the client's line). One path each, however many there are.
 */
export function dense(
  pen: Pen,
  flights: readonly Flight[],
  scene: Scene,
  X: (at: number) => number,
  y: { server: number; client: number },
): void {
  const { g, p, width, height } = pen;
  const columns = Math.ceil(width / COLUMN) + 1;
  const waiting = new Float32Array(columns + 1);
  const shown = new Float32Array(columns + 1);
  const column = (x: number) => Math.max(0, Math.min(columns, Math.round(x / COLUMN)));
  const alpha = g.globalAlpha;
  g.beginPath();
  for (const flight of flights) {
    if (flight.isLost) continue;
    const sent = Math.min(flight.sent ?? scene.now, scene.now);
    if (sent - flight.event.at > WAITS) {
      const [from, to] = [column(X(flight.event.at)), column(X(sent))];
      if (to > from) {
        waiting[from] = (waiting[from] ?? 0) + 1;
        waiting[to] = (waiting[to] ?? 0) - 1;
      }
    }
    if (flight.at === undefined || flight.at > scene.now || flight.sent === undefined) continue;
    const x = X(flight.at);
    if (x < -20) continue;
    shown[column(x)] = (shown[column(x)] ?? 0) + 1;
    g.moveTo(X(flight.sent), y.server);
    g.lineTo(X(flight.landed ?? flight.at), y.client);
  }
  g.globalAlpha = alpha * 0.3;
  g.strokeStyle = p.mid;
  g.lineWidth = 0.75;
  g.stroke();

  let level = 0;
  let most = 6;
  for (let at = 0; at <= columns; at += 1) {
    level += waiting[at] ?? 0;
    waiting[at] = level;
    most = Math.max(most, level);
  }
  const scale = (y.server - 4) / most;
  g.globalAlpha = alpha * 0.32;
  g.fillStyle = p.mid;
  g.beginPath();
  g.moveTo(0, y.server);
  for (let at = 0; at <= columns; at += 1) {
    const top = y.server - (waiting[at] ?? 0) * scale;
    g.lineTo(at * COLUMN, top);
    g.lineTo((at + 1) * COLUMN, top);
  }
  g.lineTo(columns * COLUMN, y.server);
  g.fill();

  g.globalAlpha = alpha * 0.75;
  const room = height - y.client - 4;
  g.beginPath();
  for (let at = 0; at < columns; at += 1) {
    const count = shown[at] ?? 0;
    if (count) g.rect(at * COLUMN - 1, y.client + 1.5, 2, Math.min(room, 1.5 + Math.sqrt(count) * 2.4));
  }
  g.fill();
  g.globalAlpha = alpha;
}
