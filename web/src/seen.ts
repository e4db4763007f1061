import type { Lab } from './lab.ts';
import type { LaneRecord } from './lane/record.ts';
import type { Seen } from './reading.ts';

/** So long a gap is news, ms. */
const LATELY = 20_000;

/** What the reading is made from, as it is now. */
export function look(lab: Lab): Seen {
  const now = performance.now();
  const settings = lab.settings.value;
  const cut = lab.cuts.at(-1);
  const ended = cut && cut.to < Number.POSITIVE_INFINITY ? cut.to : undefined;
  const after = cut?.from ?? now;
  const running = lab.lanes.filter((lane) => lane.state !== 'stopped');
  const replayed = running.map(
    ({ record }) => record.arrivals.filter((arrival) => arrival.isReplayed && arrival.at > after).length,
  );
  const lately = Math.max(lab.since, now - LATELY);
  const gaps = running.filter(({ record }) => lostSince(record, lately) > 0);
  const hidden = lab.hidden.findLast(
    (span) => span.to < Number.POSITIVE_INFINITY && span.to - span.from > 2000,
  );
  const poll = lab.lanes.find((lane) => lane.transport === 'poll');
  return {
    settings,
    figures: lab.figures,
    rate: lab.rate,
    isCut: lab.cut.value !== undefined,
    sinceCut: ended === undefined ? undefined : now - ended,
    isReconnecting: running.some((lane) => !lane.isOpen),
    isGone: !lab.isOpen.value && lab.log.count > 0 && !running.some((lane) => lane.isOpen),
    replayed: Math.max(0, ...replayed),
    missed: Math.max(0, ...running.map(({ record }) => lostSince(record, after))),
    gaps: {
      lanes: gaps.map((lane) => lane.transport),
      most: Math.max(0, ...gaps.map(({ record }) => lostSince(record, lately))),
    },
    hidden: hidden && {
      ms: hidden.to - hidden.from,
      ago: now - hidden.to,
      polls: poll?.record.requests.filter((at) => at >= hidden.from && at < hidden.to).length ?? 0,
      expected: Math.floor((hidden.to - hidden.from) / settings.poll),
      missed: Math.max(0, ...running.map(({ record }) => lostSince(record, hidden.from))),
    },
    hasChanged: lab.log.events.some((event) => event.at < lab.since),
    starved:
      lab.isOpen.value && lab.cut.value === undefined
        ? running.filter(({ record }) => isStarved(record, now)).map((lane) => lane.transport)
        : [],
  };
}

/** Events that gaps told as lost since then. */
function lostSince(record: LaneRecord, from: number): number {
  return record.marks.reduce(
    (sum, mark) => sum + (mark.kind === 'gap' && mark.at > from ? mark.count : 0),
    0,
  );
}

/** Whether the browser holds its requests back, or did a moment ago. */
function isStarved(record: LaneRecord, now: number): boolean {
  if (record.isRoomy) return false;
  return (
    record.isHeldBack(now) || record.exchanges.some((x) => x.queued !== undefined && x.asked > now - 10_000)
  );
}
