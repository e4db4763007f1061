/** What is set, as far as it tells what a delay was. */
export interface Shape {
  /** ms */
  rtt: number;
  /** 0 to 1 */
  loss: number;
  buffering: boolean;
  /** Whether other lanes go over the same origin, and so over the same six connections. */
  shared: boolean;
  /** Whether all of that is the gateway's doing, and so known; else `rtt` is nothing. */
  isShaped: boolean;
}

/** What a browser and a gateway on one host add to a shaped way, ms. */
const OWN = 20;

/** The one-way delay to begin with, and the most that the line itself accounts for, ms. */
export function bounds({ rtt, isShaped }: Shape): [assumed: number, most: number] {
  return [Math.max(0.5, rtt / 2), isShaped ? rtt / 2 + OWN : Number.POSITIVE_INFINITY];
}
