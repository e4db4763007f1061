import { describe, expect, test } from 'vitest';
import type { Figures } from '../../src/figures.ts';
import { nothing } from '../../src/ledger.ts';
import { read, type Seen } from '../../src/reading.ts';
import { parse } from '../../src/settings.ts';
import { TRANSPORTS, type TransportName } from '../../src/transports.ts';
import { WORDS } from '../../src/words/index.ts';

const around = { language: 'en', isDark: false, isNarrow: false, hasLab: true };

function figures(of: Partial<Record<TransportName, Partial<Figures>>> = {}): Map<TransportName, Figures> {
  const usual: Figures = {
    p50: 60,
    p99: 66,
    least: 58,
    events: 30,
    requestsPerMinute: 2,
    bytesPerEvent: 500,
    parts: nothing(),
    bytes: 15_000,
    emptyShare: Number.NaN,
    delivered: 30,
    missed: 0,
    duplicated: 0,
  };
  return new Map(TRANSPORTS.map((name) => [name, { ...usual, ...of[name] }]));
}

function say(seen: Partial<Seen>, query = ''): string {
  const settings = parse(new URLSearchParams(query), around);
  const usual: Seen = {
    settings,
    figures: figures({ poll: { p50: 1090, bytesPerEvent: 1100, emptyShare: 0.2 } }),
    rate: settings.rate,
    isCut: false,
    sinceCut: undefined,
    isReconnecting: false,
    replayed: 0,
    isGone: false,
    missed: 0,
    gaps: { lanes: [], most: 0 },
    hidden: undefined,
    hasChanged: false,
    starved: [],
  };
  return read({ ...usual, ...seen })
    .flat()
    .join('');
}

const SITUATIONS: Record<string, [Partial<Seen>, string, RegExp]> = {
  usual: [
    {},
    '',
    /1\/s, polling every 2\u202fs sends 2\.2 times .* 1\.09\u202fs late; long polling is 60\u202fms/,
  ],
  cut: [{ isCut: true }, '', /network is cut/],
  back: [{ sinceCut: 100, isReconnecting: true }, '', /each with its cursor/],
  replayed: [{ sinceCut: 3000, replayed: 6 }, '', /up to 6 events replayed; nothing was lost/],
  lost: [{ sinceCut: 3000, replayed: 6, missed: 20 }, '', /20 events are gone/],
  hidden: [
    { hidden: { ms: 60_000, ago: 1000, polls: 3, expected: 30, missed: 0 } },
    '',
    /hidden for 60\.0\u202fs: polls went out 3 times where 30 were due, since .*; nothing was lost/,
  ],
  hiddenAndOnTime: [
    { hidden: { ms: 60_000, ago: 1000, polls: 30, expected: 30, missed: 0 } },
    '',
    /30 times where 30 were due; nothing was lost/,
  ],
  hiddenWithoutPoll: [
    { hidden: { ms: 60_000, ago: 1000, polls: 0, expected: 30, missed: 4 } },
    'off=poll',
    /hidden for 60\.0\u202fs; up to 4 events were lost/,
  ],
  gone: [{ isGone: true }, '', /reaches the gateway/],
  gaps: [
    { gaps: { lanes: ['sse', 'websocket'], most: 1515 } },
    '',
    /1515 events are lost to sse and websocket/,
  ],
  stopped: [{}, 'off=poll,longpoll,chunked,sse,websocket', /Every lane is stopped/],
  withoutPoll: [{}, 'off=poll', /1\/s, longpoll is 60\u202fms late, chunked 60\u202fms, sse/],
  withoutLongPoll: [{}, 'off=longpoll&rate=20', /20\/s, poll is 1\.09\u202fs late, chunked/],
  withoutSse: [{}, 'off=sse', /poll is 1\.09\u202fs late.* websocket 60\u202fms\.$/],
  bufferingWithoutChunked: [{}, 'off=chunked&buffering=1', /poll is 1\.09\u202fs late/],
  heldChunked: [
    { figures: figures({ chunked: { p50: Number.NaN } }) },
    'buffering=1',
    /: chunked has shown nothing yet/,
  ],
  notOfALane: [{ figures: figures({ longpoll: { p50: Number.NaN } }) }, '', /every lane has shown some/],
  lossAfterACut: [{ sinceCut: 35_000 }, 'preset=mobile', /^At 2\/s, polling every/],
  held: [
    { figures: figures({ sse: { p50: Number.NaN }, chunked: { p50: Number.NaN } }) },
    'buffering=1',
    /: chunked and SSE have shown nothing yet/,
  ],
  even: [{ figures: figures({ poll: { bytesPerEvent: 500 } }) }, '', /sends as many bytes as WebSocket/],
  starved: [{ starved: ['poll'] }, 'shared=1', /holds poll back, without an error/],
  nothing: [
    { figures: figures(Object.fromEntries(TRANSPORTS.map((n) => [n, { events: 0, p50: Number.NaN }]))) },
    '',
    /first event/,
  ],
  changed: [
    {
      hasChanged: true,
      figures: figures(Object.fromEntries(TRANSPORTS.map((n) => [n, { events: 0, p50: Number.NaN }]))),
    },
    'buffering=1',
    /published from now on/,
  ],
  buffering: [{}, 'buffering=1', /proxy holds streams back/],
  loss: [{}, 'preset=mobile', /At 5\u202f% loss .* 66\u202fms at p99/],
  empty: [
    { figures: figures({ poll: { p50: 990, emptyShare: 0.83 } }) },
    'preset=quiet',
    /8 of 10 polls come back empty/,
  ],
  fast: [{}, 'preset=ticker', /20\/s, long polling asks 2 times a minute/],
};

describe.each(Object.entries(SITUATIONS))('%s', (_, [seen, query, expected]) => {
  test('English says it with the figures', () => {
    expect(say(seen, query)).toMatch(expected);
  });

  test('Korean says it, with the same figures', () => {
    const korean = say(seen, `${query}&lang=ko`);
    expect(korean).toMatch(/\p{Script=Hangul}/u);
    expect(korean).not.toMatch(/NaN|undefined/);
    // Latencies are formatted alike in both; rates and intervals are worded.
    const late = (text: string) => (text.match(/[\d.]+\u202fms/g) ?? []).toSorted();
    expect(late(korean)).toEqual(late(say(seen, query)));
  });
});

test('after a while a cut is no longer the news', () => {
  expect(say({ sinceCut: 60_000, replayed: 6 })).toMatch(/polling every/);
});

test('without a ledger nothing is said of bytes', () => {
  const without = figures(
    Object.fromEntries(TRANSPORTS.map((name) => [name, { bytesPerEvent: Number.NaN }])),
  );
  expect(say({ figures: without })).not.toMatch(/bytes|NaN/);
});

test('both languages have the same words, and Korean is Korean', () => {
  const flat = (value: unknown, path: string): [string, unknown][] =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.entries(value).flatMap(([key, inner]) => flat(inner, `${path}.${key}`))
      : [[path, value]];
  const [english, korean] = [flat(WORDS.en, ''), flat(WORDS.ko, '')];
  expect(korean.map(([path]) => path)).toEqual(english.map(([path]) => path));
  const neutral = ['.none', '.perSecond', '.part.tcpip'];
  for (const [path, value] of korean) {
    if (neutral.includes(path)) continue;
    const text = typeof value === 'function' ? String(value(1, 2)) : String(value);
    expect(text, path).toMatch(/\p{Script=Hangul}/u);
  }
});
