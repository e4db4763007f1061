import type { Lab } from './lab.ts';
import { type Account, PARTS } from './ledger.ts';
import type { Stage } from './stage.ts';
import { TRANSPORTS } from './transports.ts';

/** Hands a file to the viewer. */
export function save(name: string, type: string, content: string | Blob): void {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A row for each event: when it was published, and how stale it was in each lane, in ms; empty where it never came. */
export function asCsv(lab: Lab): string {
  const rows = [
    ['n', 'id', 'topic', 'published', ...TRANSPORTS.flatMap((name) => [`${name}_ms`, `${name}_note`])],
  ];
  const late = lab.lanes.map(
    ({ record }) => new Map(record.arrivals.map((arrival) => [arrival.event.id, arrival] as const)),
  );
  for (const event of lab.log.events) {
    const cells = late.flatMap((arrivals) => {
      const arrival = arrivals.get(event.id);
      return arrival ? [arrival.late.toFixed(3), arrival.isReplayed ? 'replayed' : ''] : ['', ''];
    });
    rows.push([String(event.n), event.id, quoted(event.topic), new Date(event.time).toISOString(), ...cells]);
  }
  return `${rows.map((row) => row.join(',')).join('\r\n')}\r\n`;
}

/** RFC 4180. What begins like a formula, which a spreadsheet would carry out, is marked as text. */
function quoted(topic: string): string {
  const text = /^[=+\-@]/.test(topic) ? `'${topic}` : topic;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The conditions, the figures, the ledgers and every event: enough to compute it all again. */
export function asJson(lab: Lab): string {
  lab.refresh();
  const { uncertainty, offset } = lab.clock;
  const { from, to } = lab.span;
  /** The page's clock as the gateway's. */
  const iso = (at: number) => new Date(at + offset).toISOString();
  const booked = (account: Account | undefined) =>
    account
      ? {
          at: iso(account.at),
          events: account.events,
          requests: account.requests,
          segments: account.segments,
          bytes: account.bytes,
        }
      : null;
  const lanes = lab.lanes.map(({ transport, record, protocol, state, since }) => {
    const figures = lab.figures.get(transport);
    return {
      transport,
      state,
      http: protocol || null,
      one_way_delay_ms: record.delay.isMeasured ? record.delay.value : null,
      figures: figures && {
        staleness_p50_ms: figures.p50,
        staleness_p99_ms: figures.p99,
        requests_per_minute: figures.requestsPerMinute,
        bytes_per_event: figures.bytesPerEvent,
        delivered: figures.delivered,
        missed: figures.missed,
        duplicated: figures.duplicated,
      },
      // Staleness is of what was published since then, the conditions being those that are set.
      judged_since: iso(Math.max(lab.since, since)),
      ledger: booked(lab.ledger.latest(transport)),
      // What was booked until the figures begin: they are of the difference.
      ledger_before: booked(lab.ledger.before(transport, from)),
      requests: record.requests.map(iso),
      events: record.arrivals.map(({ event, late, isReplayed }) => ({
        id: event.id,
        staleness_ms: late,
        replayed: isReplayed,
      })),
    };
  });
  const { language: _, theme: __, window: ___, ...settings } = lab.settings.value;
  const document = {
    taken: new Date().toISOString(),
    browser: navigator.userAgent,
    address: location.href,
    settings,
    figures_from: iso(from),
    figures_to: iso(to),
    clock: {
      offset_ms: uncertainty === undefined ? null : offset - performance.timeOrigin,
      uncertainty_ms: uncertainty ?? null,
    },
    frames_per_second: lab.meter.fps,
    longest_block_ms: lab.meter.longest(performance.now()),
    segments_lost_by_the_model: lab.lost,
    ledger_kinds: PARTS,
    events: lab.log.events.map(({ n, id, topic, time }) => ({
      n,
      id,
      topic,
      time: new Date(time).toISOString(),
    })),
    lanes,
  };
  // NaN becomes null.
  return `${JSON.stringify(document, null, 1)}\n`;
}

/** px around the picture. */
const MARGIN = 24;
const NAMES = 110;

/** The diagrams as they are now, with the lanes' names and the sentence below. */
export async function asPicture(stage: Stage): Promise<Blob> {
  const canvases = stage.canvases;
  const scale = Math.min(3, devicePixelRatio || 1);
  const width = Math.max(...canvases.map((canvas) => canvas.width)) / scale;
  const height = canvases.reduce((sum, canvas) => sum + canvas.height / scale, 0);
  const picture = document.createElement('canvas');
  picture.width = (width + NAMES + 2 * MARGIN) * scale;
  picture.height = (height + 2 * MARGIN + 40) * scale;
  const g = picture.getContext('2d') as CanvasRenderingContext2D;
  const style = getComputedStyle(document.documentElement);
  g.scale(scale, scale);
  g.fillStyle = style.getPropertyValue('--paper').trim();
  g.fillRect(0, 0, picture.width, picture.height);
  g.fillStyle = style.getPropertyValue('--ink').trim();
  g.textBaseline = 'middle';
  const font = getComputedStyle(document.body).fontFamily;
  let y = MARGIN;
  for (const canvas of canvases) {
    const tall = canvas.height / scale;
    const name = canvas.closest<HTMLElement>('[data-transport]')?.dataset.transport;
    g.font = `600 14px ${font}`;
    if (name) g.fillText(name, MARGIN, y + tall / 2);
    g.drawImage(canvas, MARGIN + NAMES, y, canvas.width / scale, tall);
    y += tall;
  }
  g.font = `400 13px ${font}`;
  g.fillText(document.querySelector('#reading')?.textContent ?? '', MARGIN, y + 20, width + NAMES);
  g.font = `400 11px ${font}`;
  g.fillText(`${location.href} · ${new Date().toISOString()}`, MARGIN, y + 42, width + NAMES);
  return new Promise((resolve, reject) =>
    picture.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('no picture'))), 'image/png'),
  );
}
