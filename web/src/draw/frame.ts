import type { Pen } from './pen.ts';
import { across, hue, isTracer, type Scene } from './scene.ts';

/** The publisher's line, on top. */
export function drawHead(pen: Pen, scene: Scene): void {
  const { g, p, width, height } = pen;
  const X = across(width, scene);
  const y = height - 14.5;
  pen.line(0, y, X(scene.now), y, p.edge);
  for (const span of scene.hidden) {
    const [x0, x1] = [Math.max(0, X(span.from)), X(Math.min(span.to, scene.now))];
    if (x1 < 0 || span.from > scene.now) continue;
    g.fillStyle = p.hair;
    g.fillRect(x0, 0, x1 - x0, height);
    const seconds = Math.round((Math.min(span.to, scene.now) - span.from) / 1000);
    pen.text(scene.words.hidden(`${seconds}\u202fs`), x0 + 3, height - 4, p.mid, { size: 10.5 });
  }
  for (const mark of scene.marks) {
    if (mark.at < scene.now - scene.span || mark.at > scene.now) continue;
    pen.line(X(mark.at), y, X(mark.at), height, p.faint, 1);
    pen.text(mark.text, X(mark.at) + 4, height - 4, p.mid, { size: 10.5 });
  }
  const chosen = scene.picked;
  const { events } = scene.log;
  const room = 9 + 7 * String(scene.log.count).length;
  const counts = new Map<number, number>();
  let last = Number.POSITIVE_INFINITY;
  for (let at = events.length - 1; at >= 0; at -= 1) {
    const event = events[at];
    if (!event || event.at > scene.now) continue;
    if (event.at < scene.now - scene.span - 200) break;
    const x = X(event.at);
    const isChosen = event === chosen;
    if (!isChosen && !isTracer(event, scene.every)) {
      const column = Math.round(x / 3);
      counts.set(column, (counts.get(column) ?? 0) + 1);
      continue;
    }
    g.globalAlpha = chosen && !isChosen ? 0.3 : 1;
    pen.dot(
      x,
      y,
      isChosen ? 6 : Math.max(2.4, Math.min(4.5, scene.radius + 0.4)),
      p.events[hue(event, scene.every)],
    );
    const isNear = chosen && !isChosen && Math.abs(X(chosen.at) - x) < room;
    if (isChosen || (last - x > room && !isNear)) {
      const right = Math.min(x, width - 4 - 3.5 * String(event.n).length);
      pen.text(event.n, right, y - 13, isChosen ? p.ink : p.mid, {
        align: 'center',
        weight: isChosen ? 700 : 400,
        size: isChosen ? 13 : 11,
      });
      last = x;
    }
    if (isChosen) pen.line(x, y + 7, x, height, p.ink, 1, [2, 3]);
  }
  g.globalAlpha = chosen ? 0.2 : 0.55;
  g.fillStyle = p.mid;
  g.beginPath();
  for (const [column, count] of counts) {
    const tall = Math.min(9, 2 + Math.sqrt(count) * 2);
    g.rect(column * 3 - 1, y - tall / 2, 2, tall);
  }
  g.fill();
  g.globalAlpha = 1;
}

/** The time axis. */
export function drawFoot(pen: Pen, scene: Scene): void {
  const { p, width } = pen;
  const X = across(width, scene);
  const step = scene.span > 10_000 ? 5 : 1;
  for (let s = 0; s * 1000 < scene.span; s += step) {
    const x = X(scene.now - s * 1000);
    pen.line(x, 0, x, 4, p.faint);
    const now = scene.lag > 50 ? `−${(scene.lag / 1000).toFixed(1)}\u202fs` : scene.words.now;
    pen.text(s ? `−${s}\u202fs` : now, s ? x : x + 5, 12, p.mid, { align: s ? 'center' : 'right' });
  }
}
