/** How fluently the page runs: frames a second, and the longest block of its thread. */
export class Meter {
  /** Frames drawn in the last full second. */
  fps = 0;
  private frames = 0;
  private second = 0;
  private blocks: { at: number; ms: number }[] = [];
  /** Chromium alone tells of tasks over 50 ms. */
  private tells = PerformanceObserver.supportedEntryTypes.includes('longtask');

  constructor() {
    if (this.tells)
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries())
          this.blocks.push({ at: entry.startTime + entry.duration, ms: entry.duration });
      }).observe({ entryTypes: ['longtask'] });
  }

  frame(now: number): void {
    this.frames += 1;
    const span = now - this.second;
    if (span < 1000) return;
    this.fps = this.second && span < 2000 ? Math.round((this.frames * 1000) / span) : this.fps;
    this.frames = 0;
    this.second = now;
  }

  /** Of the last minute, ms; 0 if none was over 50 ms, undefined where the browser does not tell. */
  longest(now: number): number | undefined {
    if (!this.tells) return;
    this.blocks = this.blocks.filter((block) => block.at > now - 60_000);
    return this.blocks.reduce((most, block) => Math.max(most, block.ms), 0);
  }
}
