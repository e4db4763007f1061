import type { LaneRecord } from '../lane/record.ts';
import type { Published } from '../published.ts';
import { way } from './flight.ts';
import { across, type Scene } from './scene.ts';

/** px within which one means an event. */
const REACH = 12;

/** The distance of a point from a line's piece. */
function away(px: number, py: number, ax: number, ay: number, bx: number, by: number): number {
  const [dx, dy] = [bx - ax, by - ay];
  const f = Math.max(0, Math.min(1, ((px - ax) * dx + (py - ay) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(px - ax - f * dx, py - ay - f * dy);
}

/** The event that a point of a lane means, or of the publisher's line. */
export function pickAt(
  record: LaneRecord | undefined,
  scene: Scene,
  x: number,
  y: number,
  size: { width: number; height: number },
  step: number,
): Published | undefined {
  const X = across(size.width, scene);
  let best: Published | undefined;
  let least = REACH;
  const consider = (event: Published, distance: number) => {
    if (distance >= least) return;
    least = distance;
    best = event;
  };
  if (!record) {
    for (const event of scene.log.events)
      if (event.at > scene.now - scene.span && event.at <= scene.now)
        consider(event, Math.abs(X(event.at) - x));
    return best;
  }
  for (const flight of record.flights.values()) {
    if (flight.event.at > scene.now || (flight.at ?? scene.now) < scene.now - scene.span) continue;
    const w = way(record, flight, scene, X, size.height, step);
    if (w.waits) consider(flight.event, away(x, y, w.x0, w.bar, w.x1, w.bar));
    if (w.held !== undefined) consider(flight.event, away(x, y, w.x1, w.held, w.x3, w.held));
    const start = w.dropped ?? w.x1;
    if (w.progress > 0 && w.held === undefined)
      consider(
        flight.event,
        Math.min(away(x, y, start, w.server, w.x3, w.client), away(x, y, w.x3, w.bead, w.x4, w.bead)),
      );
  }
  return best;
}
