import type { RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { cumulative, distribution, REACH, reachFor, type Staleness, staleness } from '../charts/data.ts';
import { dots, type End, type PlotOptions, plot, whiskers } from '../charts/plot.ts';
import { usePage } from '../context.ts';
import { everyFor } from '../draw/scene.ts';
import { bytes, duration, join, quantile, roundBytes } from '../numbers.ts';
import { TRANSPORTS } from '../transports.ts';

const times = (_: uPlot, splits: number[]) =>
  splits.map((ms) => join(ms >= 1000 ? [String(ms / 1000), 's'] : [String(Number(ms.toFixed(1))), 'ms']));

/** A chart that is fed once a second, as wide as its place. */
function usePlot(
  host: RefObject<HTMLDivElement | null>,
  options: () => PlotOptions,
  feed: (u: uPlot) => void,
): void {
  const { lab } = usePage();
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const u = plot(element, options());
    const resize = new ResizeObserver(() =>
      u.setSize({ width: Math.max(200, element.clientWidth), height: element.clientHeight || 150 }),
    );
    resize.observe(element);
    const unsubscribe = lab.slow.subscribe(() => feed(u));
    // Another theme, or a lane that is pointed at.
    const again = [
      lab.over.subscribe(() => u.redraw(false, true)),
      lab.settings.subscribe(() => u.redraw(false, true)),
    ];
    return () => {
      unsubscribe();
      for (const end of again) end();
      resize.disconnect();
      u.destroy();
    };
  }, [host, lab]);
}

export function Charts() {
  return (
    <>
      <StalenessChart />
      <DistributionChart />
      <BytesChart />
    </>
  );
}

function Caption({ text }: { text: readonly string[] }) {
  return (
    <figcaption>
      <b>{text[0]}</b>
      {text[1]}
    </figcaption>
  );
}

const ago = (now: string) => (_: uPlot, splits: number[]) =>
  splits.map((s) => (s >= -0.5 ? now : `−${Math.round(-s)}\u202fs`));

function useOver(): () => number {
  const { lab } = usePage();
  return () => (lab.over.value ? TRANSPORTS.indexOf(lab.over.value) : -1);
}

function StalenessChart() {
  const { lab, words } = usePage();
  const host = useRef<HTMLDivElement>(null);
  const over = useOver();
  const now = useRef(words.now);
  now.current = words.now;
  const data = useRef<Staleness>({ x: [], lanes: [], p99: [] });
  const ends = (): End[] =>
    TRANSPORTS.flatMap((name, lane) => {
      const p50 = lab.figures.get(name)?.p50 ?? Number.NaN;
      return Number.isNaN(p50) ? [] : [{ lane, y: Math.max(0.1, p50), value: join(duration(p50)) }];
    });
  usePlot(
    host,
    () => ({
      x: { range: () => [-reachFor(lab.rate) / 1000, 0] },
      y: {
        distr: 3,
        range: (_, low, high) => [
          10 ** Math.floor(Math.log10(Math.max(0.1, low || 1))),
          10 **
            Math.ceil(Math.log10(Math.max(100, ...data.current.p99.flat().map((v) => v ?? 0), high || 100))),
        ],
      },
      xValues: (u, splits) => ago(now.current)(u, splits),
      yValues: times,
      logarithmic: 'y',
      ends,
      under: (u) => {
        const every = everyFor(lab.rate);
        for (const { record } of lab.lanes) dots(u, record.arrivals, performance.now(), every);
      },
      extra: (u) => whiskers(u, data.current.x, data.current.lanes, data.current.p99),
      over,
    }),
    (u) => {
      data.current = staleness(
        lab.lanes.map((lane) => lane.record),
        performance.now(),
        lab.rate,
      );
      u.setData([data.current.x, ...data.current.lanes] as uPlot.AlignedData);
    },
  );
  return (
    <figure>
      <Caption text={words.staleness} />
      <div class="plot" ref={host} role="img" aria-label={words.staleness.join('')} />
    </figure>
  );
}

function DistributionChart() {
  const { lab, words } = usePage();
  const host = useRef<HTMLDivElement>(null);
  const over = useOver();
  // All lines end at the top, so the names stand in a list.
  const ends = (): End[] =>
    lab.lanes.flatMap(({ record }, lane) => {
      const late = Float64Array.from(record.arrivals.map((arrival) => arrival.late)).sort();
      if (!late.length) return [];
      return [{ lane, y: 96 - lane * 12, value: join(duration(quantile(late, 0.9))) }];
    });
  usePlot(
    host,
    () => ({
      x: { distr: 3 },
      y: { range: () => [0, 100] },
      xValues: times,
      logarithmic: 'x',
      yValues: (_, splits) => splits.map((share) => `${share}\u202f%`),
      ends,
      over,
    }),
    (u) => {
      const { x, lanes } = distribution(
        lab.lanes.map((lane) => lane.record),
        Math.max(lab.since, performance.now() - REACH),
        lab.since,
      );
      u.setData([x, ...lanes] as uPlot.AlignedData);
    },
  );
  return (
    <figure>
      <Caption text={words.distribution} />
      <div class="plot" ref={host} role="img" aria-label={words.distribution.join('')} />
    </figure>
  );
}

function BytesChart() {
  const { lab, words } = usePage();
  const host = useRef<HTMLDivElement>(null);
  const over = useOver();
  const now = useRef(words.now);
  now.current = words.now;
  const sums = useRef<(number | null)[]>([]);
  const ends = (): End[] =>
    sums.current.flatMap((sum, lane) => (sum === null ? [] : [{ lane, y: sum, value: join(bytes(sum)) }]));
  usePlot(
    host,
    () => ({
      x: {},
      y: { range: (_, __, high) => [0, Math.max(1000, high || 0) * 1.04] },
      xValues: (u, splits) => ago(now.current)(u, splits),
      yValues: (_, splits) => splits.map((n) => (n ? roundBytes(n) : '0')),
      ends,
      over,
    }),
    (u) => {
      const { x, lanes } = cumulative(lab, lab.since, performance.now());
      sums.current = lanes.map((values) => values.at(-1) ?? null);
      u.setData([x, ...lanes] as uPlot.AlignedData);
    },
  );
  return (
    <figure>
      <Caption text={words.cumulative} />
      <div class="plot" ref={host} role="img" aria-label={words.cumulative.join('')} />
    </figure>
  );
}
