/**
 * The one-way delay of a lane, ms: half of the quickest round trip, or the quickest way of an event, whichever of the
 * last ones was least. Whatever takes longer has waited somewhere.
 */
export class Delay {
  private ways: number[] = [];
  private assumed: number;
  private most: number;

  /** `assumed`: what holds until something was measured; `most`: more than this was not the way's doing. */
  constructor(assumed: number, most = Number.POSITIVE_INFINITY) {
    this.assumed = assumed;
    this.most = most;
  }

  oneWay(ms: number): void {
    this.ways.push(Math.max(0.05, ms));
    if (this.ways.length > 60) this.ways.shift();
  }

  roundTrip(ms: number): void {
    this.oneWay(ms / 2);
  }

  get value(): number {
    return this.ways.length ? Math.min(this.most, ...this.ways) : this.assumed;
  }

  get isMeasured(): boolean {
    return this.ways.length > 0;
  }

  /** The conditions changed. */
  reset(assumed: number, most = Number.POSITIVE_INFINITY): void {
    this.ways = [];
    this.assumed = assumed;
    this.most = most;
  }
}
