/** Names that do not run into each other. */
export function spread(at: readonly number[], gap: number, low: number, high: number): number[] {
  const order = at.map((y, index) => ({ y, index })).sort((a, b) => a.y - b.y || a.index - b.index);
  let last = low - gap;
  for (const item of order) {
    item.y = Math.max(item.y, last + gap);
    last = item.y;
  }
  last = high + gap;
  for (const item of order.toReversed()) {
    item.y = Math.min(item.y, last - gap);
    last = item.y;
  }
  const placed: number[] = [];
  for (const item of order) placed[item.index] = item.y;
  return placed;
}
