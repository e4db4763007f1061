import { describe, expect, test } from 'vitest';
import { spread } from '../../src/charts/spread.ts';
import { Clock, parseTime } from '../../src/clock.ts';
import { account, Ledger, type LedgerDocument, total } from '../../src/ledger.ts';
import { Meter } from '../../src/meter.ts';
import { bytes, duration, nice, quantile, roundBytes } from '../../src/numbers.ts';
import { between } from '../../src/published.ts';
import { format, KNOBS, nearest, PRESETS, parse, type Surroundings } from '../../src/settings.ts';

describe('numbers', () => {
  test('durations and bytes have three digits, and the unit that suits', () => {
    const told = [0.04, 1.26, 9.96, 60.4, 999.4, 999.6, 1094, 9960, 120_000].map((ms) =>
      duration(ms).join(' '),
    );
    expect(told).toEqual([
      '0.0 ms',
      '1.3 ms',
      '10 ms',
      '60 ms',
      '999 ms',
      '1.00 s',
      '1.09 s',
      '10.0 s',
      '120 s',
    ]);
    expect([0, 732.6, 999.4, 1187, 12_340, 99_960, 1_094_000].map((n) => bytes(n).join(' '))).toEqual([
      '0 B',
      '733 B',
      '999 B',
      '1.19 kB',
      '12.3 kB',
      '100 kB',
      '1.09 MB',
    ]);
    expect(roundBytes(1500)).toBe('1.5\u202fkB');
  });

  test('quantiles are values that occurred (nearest rank)', () => {
    const values = Float64Array.from({ length: 100 }, (_, at) => at + 1);
    expect([0, 0.5, 0.99, 1].map((q) => quantile(values, q))).toEqual([1, 50, 99, 100]);
    expect(quantile([], 0.5)).toBeNaN();
    expect(quantile([7], 0.99)).toBe(7);
  });

  test('a scale is round, and never below what it has to hold', () => {
    expect([1, 1.1, 730, 1230, 1780, 9900].map((n) => nice(n))).toEqual([1, 1.5, 800, 1500, 2000, 10_000]);
    expect(nice(0)).toBe(1);
  });
});

describe('the clock', () => {
  test('the quickest answer is believed, and the doubt is half of its round trip', () => {
    const clock = new Clock();
    const offset = 1_700_000_000_000;
    // The real offset, with a way there that is much longer than the way back.
    clock.add({ sent: 0, received: 100, time: offset + 90 });
    expect(clock.uncertainty).toBe(50);
    expect(Math.abs(clock.offset - offset)).toBeLessThanOrEqual(50);
    clock.add({ sent: 1000, received: 1002, time: offset + 1001 });
    expect(clock.uncertainty).toBeCloseTo(1, 5);
    expect(clock.offset).toBe(offset);
    clock.add({ sent: 2000, received: 2200, time: offset + 2190 });
    expect(clock.offset).toBe(offset);
    expect(clock.onPage(offset + 42)).toBe(42);
  });

  test('times keep their microseconds', () => {
    const whole = Date.parse('2026-11-22T09:31:02Z');
    expect(parseTime('2026-11-22T09:31:02.123456Z') - whole).toBeCloseTo(123.456, 3);
    expect(parseTime('2026-11-22T09:31:02Z')).toBe(whole);
  });
});

test('where the browser does not tell of long tasks, no task is said to be short', () => {
  // Node.js tells of none.
  expect(new Meter().longest(0)).toBeUndefined();
});

test('a gap bounds what lies behind one cursor and not behind the other', () => {
  expect(['e-5', 'e-6', 'e-9', 'e-10', 'f-7'].map((id) => between(id, 'e-5', 'e-9'))).toEqual([
    false,
    true,
    true,
    false,
    false,
  ]);
  expect(between('new-3', 'old-90', 'new-5')).toBe(true);
});

describe('the ledger', () => {
  const kinds = { heads: 100, payload: 10, envelope: 5, framing: 2, heartbeats: 1, empty: 0, controls: 3 };
  const document = (times: number): LedgerDocument => ({
    client: 'page.sse',
    time: '2026-11-25T09:31:02.123456Z',
    transports: {
      sse: {
        requests: times,
        events: 2 * times,
        open: 1,
        in: { heads: 50 * times },
        out: Object.fromEntries(Object.entries(kinds).map(([kind, n]) => [kind, n * times])),
        tcp: {
          segments_in: 2,
          segments_out: 3,
          retransmits: 0,
          rtt_us: 100,
          bytes_in: 40 * times,
          bytes_out: 60 * times,
        },
      },
      publish: { requests: times, events: 9, open: 0, in: { payload: 7 * times }, out: {} },
    },
  });

  test('both ways and what the viewer sent are summed; published events are not deliveries', () => {
    const sum = account(document(1), 0);
    expect(sum.bytes).toEqual({
      payload: 17,
      envelope: 5,
      framing: 2,
      heads: 150,
      controls: 3,
      heartbeats: 1,
      empty: 0,
      tcpip: 100,
    });
    expect(total(sum.bytes)).toBe(278);
    expect(sum).toMatchObject({ events: 2, requests: 2, segments: 5 });
  });

  test('a span is the difference of two accounts', () => {
    const ledger = new Ledger();
    for (const times of [1, 2, 5]) ledger.take(document(times), times * 1000);
    expect(ledger.between('sse', 2500)).toMatchObject({ events: 6, requests: 6 });
    expect(total(ledger.between('sse', 2500)?.bytes ?? account(document(0), 0).bytes)).toBe(3 * 278);
    expect(ledger.between('sse', 0)).toMatchObject({ events: 10 });
    expect(ledger.between('poll', 0)).toBeUndefined();
  });

  test('another stream does not pay for the last one', () => {
    const ledger = new Ledger();
    for (const times of [1, 2]) ledger.take(document(times), times * 1000);
    ledger.clear();
    ledger.take(document(3), 3000);
    expect(ledger.between('sse', 2100)).toMatchObject({ events: 2, requests: 2 });
    expect(ledger.since('sse', 0)).toHaveLength(2);
    expect(ledger.between('poll', 0)).toBeUndefined();
  });
});

describe('settings', () => {
  const around: Surroundings = { language: 'en-US', isDark: false, isNarrow: false, hasLab: true };
  const read = (query: string, more: Partial<Surroundings> = {}) =>
    parse(new URLSearchParams(query), { ...around, ...more });

  test('an address holds the whole setting', () => {
    const settings = {
      ...read('preset=mobile'),
      poll: 500,
      preset: '' as const,
      buffering: true,
      shared: true,
      stopped: ['poll' as const, 'sse' as const],
      language: 'ko' as const,
      theme: 'dark' as const,
      window: 20,
    };
    expect(read(format(settings, around).toString())).toEqual(settings);
    for (const preset of Object.keys(PRESETS)) {
      const all = read(`preset=${preset}`);
      expect(format(all, around).toString()).toBe(`preset=${preset}`);
      expect(all).toMatchObject(PRESETS[preset as keyof typeof PRESETS]);
    }
    const topics = read('topic=a/b&topic=host/**');
    expect(topics).toMatchObject({ source: 'topics', topics: ['a/b', 'host/**'] });
    expect(read(format(topics, around).toString())).toEqual(topics);
  });

  test('nonsense in an address changes nothing, and bounds hold', () => {
    expect(read('rate=fast&preset=x&lang=fr&theme=blue&off=carrier-pigeon&source=9')).toEqual(read(''));
    expect(read('rate=1e9&rtt=-4&loss=2&size=1')).toMatchObject({ rate: 1000, rtt: 0, loss: 0.5, size: 20 });
    // The gateway would refuse them.
    expect(read('size=99.9&burst=1.5&rtt=12.5&kbps=0.4')).toMatchObject({
      size: 100,
      burst: 2,
      rtt: 13,
      kbps: 1,
    });
  });

  test('without lab mode nothing is shaped and nothing is generated unless one asks', () => {
    expect(read('rtt=400&loss=0.1&buffering=1', { hasLab: false })).toMatchObject({
      rtt: 0,
      loss: 0,
      buffering: false,
      source: 'topics',
    });
    const stream = read('preset=mobile', { hasLab: false });
    expect(stream).toMatchObject({ preset: '', source: 'generated', rate: 2, rtt: 0 });
    const without = { ...around, hasLab: false };
    expect(read(format(stream, without).toString(), { hasLab: false })).toEqual(stream);
  });

  test('language, theme and width come from the browser', () => {
    expect(read('', { language: 'ko-KR', isDark: true, isNarrow: true })).toMatchObject({
      language: 'ko',
      theme: 'dark',
      window: 4,
    });
  });

  test('every preset stands at stops of the knobs', () => {
    for (const preset of Object.values(PRESETS))
      for (const { name, stops } of KNOBS)
        expect(stops[nearest(stops, preset[name])], name).toBe(preset[name]);
  });
});

test('names at the ends of lines keep their distance, their order and their bounds', () => {
  const placed = spread([50, 50, 51, 10, 99], 13, 0, 100);
  const sorted = placed.toSorted((a, b) => a - b);
  for (const [at, y] of sorted.entries())
    if (at) expect(y - (sorted[at - 1] as number)).toBeGreaterThanOrEqual(13);
  expect(Math.max(...placed)).toBeLessThanOrEqual(100);
  expect(placed[3]).toBe(Math.min(...placed));
});
