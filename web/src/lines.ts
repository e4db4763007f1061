import type { Settings } from './settings.ts';

/** `PUT /v1/lab/ID`: a listener of its own on a free port, whose connections are shaped. */
export interface Line {
  id: string;
  port: number;
  connections: number;
  /** Segments that the model lost. */
  lost: number;
}

export interface Conditions {
  rtt_ms: number;
  down_kbps: number;
  up_kbps: number;
  loss: number;
  buffering: boolean;
  cut: boolean;
}

export interface GeneratedSource {
  topic: string;
  rate: number;
  size: number;
  burst: number;
}

export function conditions(settings: Settings, isCut: boolean): Conditions {
  return {
    rtt_ms: settings.rtt,
    down_kbps: settings.kbps,
    up_kbps: settings.kbps,
    loss: settings.loss,
    buffering: settings.buffering,
    cut: isCut,
  };
}

/** The gateway's lab: lines that this page has. A line that nobody asks for or uses ends after a minute. */
export class Lines {
  private readonly base: URL;
  private readonly mine = new Set<string>();

  constructor(base: URL) {
    this.base = base;
  }

  async put(id: string, body: Partial<Conditions> & { source?: GeneratedSource }): Promise<Line> {
    this.mine.add(id);
    return this.ask(id, { method: 'PUT', body: JSON.stringify(body) });
  }

  async read(id: string): Promise<Line> {
    return this.ask(id, {});
  }

  /** Ends those that only this page uses; the page is going. */
  leave(kept: readonly string[]): void {
    for (const id of this.mine)
      if (!kept.includes(id)) void fetch(this.url(id), { method: 'DELETE', keepalive: true }).catch(() => {});
    this.mine.clear();
  }

  /** Where a line is: the page's own host name, another port. */
  origin(line: Line): URL {
    const url = new URL('./', this.base);
    url.port = String(line.port);
    url.pathname = '/';
    return url;
  }

  private url(id: string): URL {
    return new URL(`v1/lab/${encodeURIComponent(id)}`, this.base);
  }

  private async ask(id: string, options: RequestInit): Promise<Line> {
    const headers = options.body ? { 'content-type': 'application/json' } : {};
    const response = await fetch(this.url(id), { ...options, headers, cache: 'no-store' });
    if (response.ok) return (await response.json()) as Line;
    const problem = (await response.json().catch(() => ({}))) as { title?: string; detail?: string };
    throw new Error(problem.detail ?? problem.title ?? `${response.status} ${response.statusText}`);
  }
}
