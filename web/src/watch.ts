/** A span on the page's clock, ms; `to` is Infinity while it lasts. */
export interface Span {
  from: number;
  to: number;
}

/** Notes when nobody sees the page, and calls when somebody does again. */
export function watchVisibility(hidden: Span[], back: () => void): void {
  document.addEventListener('visibilitychange', () => {
    const now = performance.now();
    const last = hidden.at(-1);
    if (document.hidden) hidden.push({ from: now, to: Number.POSITIVE_INFINITY });
    else if (last) last.to = now;
    if (!document.hidden) back();
  });
  // A page that was frozen while it was seen.
  document.addEventListener('resume', back);
}

/** Tells over which HTTP the gateway was asked, as the browser says once a request is over. */
export function watchProtocols(tell: (origin: string, version: string) => void): void {
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as PerformanceResourceTiming[]) {
      const { origin, pathname } = new URL(entry.name);
      if (entry.nextHopProtocol && pathname.includes('/v1/')) tell(origin, entry.nextHopProtocol);
    }
    // Else the browser stops noting them after the first few hundred.
    performance.clearResourceTimings();
  }).observe({ type: 'resource' });
}
