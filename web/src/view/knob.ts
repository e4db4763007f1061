import { join, roundBytes } from '../numbers.ts';
import type { KnobName } from '../settings.ts';
import type { Words } from '../words/index.ts';

/** What a knob is at, in words. */
export function knobText(name: KnobName, value: number, words: Words): string {
  const rate = (perSecond: number) =>
    perSecond >= 1 ? words.perSecond(perSecond) : words.perMinute(Math.round(perSecond * 60));
  switch (name) {
    case 'rate':
      return rate(value);
    case 'up':
      return value ? rate(value) : words.off;
    case 'size':
      return roundBytes(value);
    case 'burst':
      return String(value);
    case 'poll':
      return join(value < 1000 ? [String(value), 'ms'] : [String(value / 1000), 's']);
    case 'rtt':
      return join([String(value), 'ms']);
    case 'kbps':
      if (!value) return words.unlimited;
      return join(value >= 1000 ? [String(value / 1000), 'Mbit/s'] : [String(value), 'kbit/s']);
    case 'loss':
      return join([String(Number((value * 100).toFixed(1))), '%']);
  }
}
