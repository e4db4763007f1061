import uPlot from 'uplot';
import { FONT, palette } from '../draw/pen.ts';
import { hue, isTracer } from '../draw/scene.ts';
import type { Arrival } from '../lane/marks.ts';
import { TRANSPORTS } from '../transports.ts';
import { spread } from './spread.ts';

/** How each lane's line is drawn: by stroke, never by colour. */
const DASHES: number[][] = [[], [6, 3], [1.5, 2.5], [8, 2, 1.5, 2], []];
const WEIGHTS = [1.5, 1.5, 1.75, 1.25, 2.4];
/** px at the right for the names. */
const NAMES = 132;

/** The decades of what is shown, each with its name: left to itself uPlot drops names where it is narrow. */
const DECADES: Partial<uPlot.Axis> = {
  filter: (_, splits) => splits,
  splits: (_, __, low, high) =>
    [-1, 0, 1, 2, 3, 4, 5]
      .map((power) => 10 ** power)
      .filter((ms) => ms >= low * 0.999 && ms <= high * 1.001),
};

/** A line's name and value at its end. */
export interface End {
  lane: number;
  /** In the y scale's units. */
  y: number;
  value: string;
}

export interface PlotOptions {
  x: uPlot.Scale;
  y: uPlot.Scale;
  xValues: (u: uPlot, splits: number[]) => string[];
  yValues: (u: uPlot, splits: number[]) => string[];
  /** Which of the two is logarithmic: its lines stand at the decades. */
  logarithmic?: 'x' | 'y';
  ends: () => readonly End[];
  /** Drawn under the lines. */
  under?: (u: uPlot) => void;
  /** Drawn over the lines. */
  extra?: (u: uPlot) => void;
  /** A lane that stands out. */
  over: () => number;
}

/** A uPlot with the page's strokes, and names at the lines' ends in place of a legend. */
export function plot(host: HTMLElement, options: PlotOptions): uPlot {
  const color = (name: 'ink' | 'mid' | 'hair' | 'edge') => () => palette()[name];
  const axis = (values: PlotOptions['xValues'], more: Partial<uPlot.Axis>): uPlot.Axis => ({
    values,
    stroke: color('mid'),
    font: `11px ${FONT}`,
    grid: { stroke: color('hair'), width: 1 },
    ticks: { stroke: color('edge'), width: 1, size: 4 },
    gap: 4,
    ...more,
  });
  return new uPlot(
    {
      width: Math.max(200, host.clientWidth),
      height: host.clientHeight || 150,
      padding: [8, NAMES, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: false, ...options.x }, y: options.y },
      axes: [
        axis(options.xValues, { size: 24, space: 60, ...(options.logarithmic === 'x' && DECADES) }),
        axis(options.yValues, { size: 54, space: 26, ...(options.logarithmic === 'y' && DECADES) }),
      ],
      series: [
        {},
        ...TRANSPORTS.map((label, at) => ({
          label,
          stroke: color('ink'),
          width: WEIGHTS[at] as number,
          dash: DASHES[at] as number[],
          points: { show: false },
          spanGaps: true,
        })),
      ],
      hooks: {
        drawAxes: [(u) => options.under?.(u)],
        draw: [
          (u) => {
            options.extra?.(u);
            names(u, options.ends(), options.over());
          },
        ],
      },
    },
    [[], ...TRANSPORTS.map(() => [])] as unknown as uPlot.AlignedData,
    host,
  );
}

function names(u: uPlot, ends: readonly End[], over: number): void {
  const { ctx } = u;
  const scale = uPlot.pxRatio;
  const p = palette();
  const right = (u.bbox.left + u.bbox.width) / scale;
  const [top, bottom] = [u.bbox.top / scale, (u.bbox.top + u.bbox.height) / scale];
  const at = ends.map((end) => Math.min(bottom, Math.max(top, u.valToPos(end.y, 'y', true) / scale)));
  const placed = spread(at, 13.5, top + 3, bottom - 1);
  ctx.save();
  ctx.scale(scale, scale);
  ctx.textBaseline = 'middle';
  ends.forEach((end, index) => {
    const y = placed[index] as number;
    const isFaint = over >= 0 && over !== end.lane;
    ctx.strokeStyle = p.faint;
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(right + 2, at[index] as number);
    ctx.lineTo(right + 11, y);
    ctx.stroke();
    ctx.fillStyle = isFaint ? p.faint : p.ink;
    ctx.font = `600 11.5px ${FONT}`;
    ctx.textAlign = 'left';
    ctx.fillText(TRANSPORTS[end.lane] ?? '', right + 14, y);
    ctx.fillStyle = isFaint ? p.faint : p.mid;
    ctx.font = `400 11.5px ${FONT}`;
    ctx.textAlign = 'right';
    ctx.fillText(end.value, right + NAMES - 2, y);
  });
  ctx.restore();
}

/** Each event at the moment it was shown, in its own colour; of very many some. */
export function dots(u: uPlot, arrivals: readonly Arrival[], now: number, every: number): void {
  const { ctx } = u;
  const scale = uPlot.pxRatio;
  const p = palette();
  const [begin, end] = [u.scales.x?.min ?? 0, u.bbox.top + u.bbox.height];
  ctx.save();
  for (const { at, late, event } of arrivals) {
    const second = (at - now) / 1000;
    if (second < begin || !isTracer(event, every)) continue;
    const y = u.valToPos(Math.max(0.1, late), 'y', true);
    if (y > end) continue;
    ctx.fillStyle = p.events[hue(event, every)] as string;
    ctx.beginPath();
    ctx.arc(u.valToPos(second, 'x', true), y, 1.75 * scale, 0, 7);
    ctx.fill();
  }
  ctx.restore();
}

/** From p50 up to p99, one whisker a lane, side by side: the streams' lines coincide. */
export function whiskers(
  u: uPlot,
  x: readonly number[],
  low: (number | null)[][],
  high: (number | null)[][],
): void {
  const { ctx } = u;
  const scale = uPlot.pxRatio;
  const p = palette();
  ctx.save();
  ctx.strokeStyle = p.mid;
  ctx.lineWidth = scale;
  ctx.beginPath();
  high.forEach((values, lane) => {
    values.forEach((value, at) => {
      const [from, second] = [low[lane]?.[at], x[at]];
      if (
        value === null ||
        from === null ||
        from === undefined ||
        second === undefined ||
        value < from * 1.12
      )
        return;
      const px = u.valToPos(second, 'x', true) + (lane - 2) * 3 * scale;
      const [y0, y1] = [u.valToPos(from, 'y', true), u.valToPos(value, 'y', true)];
      ctx.moveTo(px, y0);
      ctx.lineTo(px, y1);
      ctx.moveTo(px - 1.5 * scale, y1);
      ctx.lineTo(px + 1.5 * scale, y1);
    });
  });
  ctx.stroke();
  ctx.restore();
}
