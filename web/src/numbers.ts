/** A number and its unit, apart: numerals align by eye when units are small. */
export type Quantity = readonly [value: string, unit: string];

/** A narrow space that does not break. */
const THIN = '\u202f';

export const join = ([value, unit]: Quantity): string => value + THIN + unit;

/** A duration in milliseconds. */
export function duration(ms: number): Quantity {
  const s = ms / 1000;
  if (s >= 99.5) return [String(Math.round(s)), 's'];
  if (s >= 9.95) return [s.toFixed(1), 's'];
  if (s >= 0.9995) return [s.toFixed(2), 's'];
  if (ms >= 9.95) return [String(Math.round(ms)), 'ms'];
  return [Math.max(0, ms).toFixed(1), 'ms'];
}

/** Bytes, in powers of ten. */
export function bytes(count: number): Quantity {
  if (count >= 999_500) return [(count / 1e6).toFixed(count >= 99.95e6 ? 0 : count >= 9.995e6 ? 1 : 2), 'MB'];
  if (count >= 99_950) return [String(Math.round(count / 1000)), 'kB'];
  if (count >= 9_995) return [(count / 1000).toFixed(1), 'kB'];
  if (count >= 999.5) return [(count / 1000).toFixed(2), 'kB'];
  return [String(Math.round(count)), 'B'];
}

/** Bytes that are round: `1.5 kB`, not `1.50 kB`. */
export function roundBytes(count: number): string {
  const [value, unit] = bytes(count);
  return join([String(Number(value)), unit]);
}

/** The value below which a share `q` of the sorted values lies (nearest rank); NaN of none. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  if (!sorted.length) return Number.NaN;
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] as number;
}

/** 1, 2 or 5 times a power of ten, or more steps where `steps` says so: the least that is not below `value`. */
export function nice(value: number, steps: readonly number[] = [1, 1.5, 2, 3, 4, 6, 8, 10]): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return (steps.find((step) => step * power >= value * 0.999_999) ?? 10) * power;
}
