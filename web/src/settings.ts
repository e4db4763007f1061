import { TRANSPORTS, type TransportName } from './transports.ts';

/** What is compared, under which conditions, and how it is shown. The address holds all of it. */
export interface Settings {
  preset: PresetName | '';
  source: Source;
  /** Of the source `topics`. */
  topics: string[];
  /** Events a second, on average. */
  rate: number;
  /** Bytes of an event's data. */
  size: number;
  /** Events at once. */
  burst: number;
  /** Messages a second that the viewer sends from each lane; 0: none. */
  up: number;
  /** From poll to poll, ms. */
  poll: number;
  /** Round-trip time, ms. */
  rtt: number;
  /** Bandwidth each way, kbit/s; 0: unlimited. */
  kbps: number;
  /** Share of segments that are lost, 0 to 1. */
  loss: number;
  /** A proxy that holds streams back. */
  buffering: boolean;
  /** All lanes over one origin, and so over the browser's six connections. */
  shared: boolean;
  /** Lanes that are stopped. */
  stopped: TransportName[];
  /** Time shown, s. */
  window: number;
  language: 'en' | 'ko';
  theme: 'light' | 'dark';
}

/** `generated`: a stream of set rate; `host`: this host's own figures; `topics`: whatever is published there. */
export type Source = 'generated' | 'host' | 'topics';

export type PresetName = 'chat' | 'delivery' | 'ticker' | 'quiet' | 'mobile' | 'llm';

type Conditions = Pick<
  Settings,
  'rate' | 'size' | 'burst' | 'up' | 'poll' | 'rtt' | 'kbps' | 'loss' | 'window'
>;

export const PRESETS: Record<PresetName, Conditions> = {
  chat: { rate: 1, size: 200, burst: 1, up: 0.25, poll: 2000, rtt: 120, kbps: 20_000, loss: 0, window: 8 },
  delivery: { rate: 0.5, size: 400, burst: 1, up: 0, poll: 5000, rtt: 160, kbps: 5000, loss: 0, window: 20 },
  ticker: { rate: 20, size: 120, burst: 2, up: 0, poll: 1000, rtt: 40, kbps: 20_000, loss: 0, window: 4 },
  quiet: { rate: 0.1, size: 200, burst: 1, up: 0, poll: 2000, rtt: 80, kbps: 20_000, loss: 0, window: 20 },
  mobile: { rate: 2, size: 400, burst: 1, up: 0, poll: 2000, rtt: 400, kbps: 128, loss: 0.05, window: 8 },
  llm: { rate: 40, size: 40, burst: 1, up: 0, poll: 1000, rtt: 80, kbps: 20_000, loss: 0, window: 4 },
};

export type KnobName = 'rate' | 'size' | 'burst' | 'up' | 'poll' | 'rtt' | 'kbps' | 'loss';

export interface Knob {
  name: KnobName;
  stops: readonly number[];
  /** A rule stands before it. */
  begins?: boolean;
  /** It needs the gateway's lab mode. */
  isShaped?: boolean;
  /** It concerns the generated source alone. */
  isSource?: boolean;
}

export const KNOBS: readonly Knob[] = [
  { name: 'rate', stops: [0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 40, 100], isSource: true },
  { name: 'size', stops: [40, 120, 200, 400, 1000, 2000, 4000, 8000, 16_000], isSource: true },
  { name: 'burst', stops: [1, 2, 5, 10, 20, 50], isSource: true },
  { name: 'up', stops: [0, 0.1, 0.25, 0.5, 1, 2] },
  { name: 'poll', stops: [250, 500, 1000, 2000, 3000, 5000, 10_000, 30_000], begins: true },
  { name: 'rtt', stops: [0, 10, 20, 40, 80, 120, 160, 200, 300, 400, 600], begins: true, isShaped: true },
  { name: 'kbps', stops: [32, 64, 128, 256, 512, 1000, 5000, 20_000, 0], isShaped: true },
  { name: 'loss', stops: [0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12], isShaped: true },
];

/** The stop that is nearest. */
export function nearest(stops: readonly number[], value: number): number {
  return stops.reduce(
    (best, stop, at) => (Math.abs(stop - value) < Math.abs((stops[best] as number) - value) ? at : best),
    0,
  );
}

/** What the browser and the gateway suggest. */
export interface Surroundings {
  language: string;
  isDark: boolean;
  isNarrow: boolean;
  hasLab: boolean;
}

/** On a narrow screen a slope stays readable if less time is shown. */
export function windowFor(seconds: number, isNarrow: boolean): number {
  return isNarrow ? (seconds > 8 ? 8 : 4) : seconds;
}

export function defaults({ language, isDark, isNarrow, hasLab }: Surroundings): Settings {
  const chat = PRESETS.chat;
  return {
    ...chat,
    ...(hasLab ? {} : { rtt: 0, kbps: 0, loss: 0, up: 0 }),
    window: windowFor(chat.window, isNarrow),
    preset: hasLab ? 'chat' : '',
    source: hasLab ? 'generated' : 'topics',
    topics: ['**'],
    buffering: false,
    shared: false,
    stopped: [],
    language: language.startsWith('ko') ? 'ko' : 'en',
    theme: isDark ? 'dark' : 'light',
  };
}

const NUMBERS: readonly (KnobName | 'window')[] = [...KNOBS.map((knob) => knob.name), 'window'];
const LIMITS: Record<KnobName | 'window', readonly [least: number, most: number]> = {
  rate: [0.01, 1000],
  size: [20, 60_000],
  burst: [1, 1000],
  up: [0, 10],
  poll: [100, 60_000],
  rtt: [0, 5000],
  kbps: [0, 1_000_000],
  loss: [0, 0.5],
  window: [2, 30],
};

/** What the gateway takes in whole numbers. A fraction counts up, so that none becomes 0, which is no bound. */
const WHOLE: ReadonlySet<string> = new Set<KnobName>(['size', 'burst', 'rtt', 'kbps']);

/** Reads an address's query; what is not understood is left at its default. */
export function parse(query: URLSearchParams, around: Surroundings): Settings {
  const settings = defaults(around);
  const preset = query.get('preset');
  if (preset && Object.hasOwn(PRESETS, preset)) {
    settings.preset = preset as PresetName;
    Object.assign(settings, PRESETS[preset as PresetName]);
    settings.window = windowFor(settings.window, around.isNarrow);
    settings.source = 'generated';
  }
  const source = query.get('source');
  if (source === 'generated' || source === 'host' || source === 'topics') {
    settings.source = source;
    if (!preset) settings.preset = '';
  }
  const topics = query.getAll('topic').filter(Boolean);
  if (topics.length) {
    settings.topics = topics;
    if (!source) settings.source = 'topics';
    if (!preset) settings.preset = '';
  }
  for (const name of NUMBERS) {
    const text = query.get(name);
    const value = Number(text);
    if (!text || !Number.isFinite(value)) continue;
    const [least, most] = LIMITS[name];
    settings[name] = Math.min(most, Math.max(least, WHOLE.has(name) ? Math.ceil(value) : value));
    if (name !== 'window') settings.preset = '';
  }
  settings.buffering = query.get('buffering') === '1';
  settings.shared = query.get('shared') === '1';
  const stopped = (query.get('off') ?? '').split(',');
  settings.stopped = TRANSPORTS.filter((name) => stopped.includes(name));
  const language = query.get('lang');
  if (language === 'en' || language === 'ko') settings.language = language;
  const theme = query.get('theme');
  if (theme === 'light' || theme === 'dark') settings.theme = theme;
  // A preset is more than its stream: without its network it is not that preset.
  if (!around.hasLab)
    Object.assign(settings, { preset: '', rtt: 0, kbps: 0, loss: 0, buffering: false, shared: true });
  return settings;
}

/** The query of an address that shows the same: whatever differs from what a visitor would get without it. */
export function format(settings: Settings, around: Surroundings): URLSearchParams {
  const query = new URLSearchParams();
  const usual = parse(new URLSearchParams(settings.preset ? { preset: settings.preset } : {}), around);
  if (settings.preset) query.set('preset', settings.preset);
  if (settings.source !== usual.source) query.set('source', settings.source);
  if (settings.source === 'topics') for (const topic of settings.topics) query.append('topic', topic);
  for (const name of NUMBERS)
    if (settings[name] !== usual[name] || (!settings.preset && name !== 'window'))
      query.set(name, String(settings[name]));
  if (settings.buffering) query.set('buffering', '1');
  if (settings.shared && around.hasLab) query.set('shared', '1');
  if (settings.stopped.length) query.set('off', settings.stopped.join(','));
  if (settings.language !== usual.language) query.set('lang', settings.language);
  if (settings.theme !== usual.theme) query.set('theme', settings.theme);
  return query;
}
