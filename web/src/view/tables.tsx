import { useSignal } from '@preact/signals';
import { usePage } from '../context.ts';
import { spanFor } from '../figures.ts';
import { PARTS } from '../ledger.ts';
import { bytes, duration, join } from '../numbers.ts';

/** How many events the last table has. */
const RECENT = 10;

/** The same as tables, for whoever does not see the diagrams. */
export function Tables() {
  const { words } = usePage();
  const isOpen = useSignal(false);
  return (
    <details
      class="alt"
      onToggle={(event) => {
        isOpen.value = event.currentTarget.open;
      }}
    >
      <summary>{words.asTable}</summary>
      <section class="scroll" aria-label={words.asTable} tabIndex={0}>
        {isOpen.value && (
          <>
            <FiguresTable />
            <LedgerTable />
            <RecentTable />
          </>
        )}
      </section>
    </details>
  );
}

function Heads({ names }: { names: readonly string[] }) {
  return (
    <thead>
      <tr>
        {names.map((name) => (
          <th key={name} scope="col">
            {name}
          </th>
        ))}
      </tr>
    </thead>
  );
}

function FiguresTable() {
  const { lab, words } = usePage();
  lab.slow.value;
  const time = (ms: number | undefined) =>
    ms === undefined || Number.isNaN(ms) ? words.none : join(duration(ms));
  const size = (n: number | undefined) => (n === undefined || Number.isNaN(n) ? words.none : join(bytes(n)));
  const span = Math.min(spanFor(lab.rate), performance.now() - lab.since);
  const { short } = words;
  return (
    <table>
      <caption>{words.figuresCaption(Math.round(span / 1000))}</caption>
      <Heads
        names={[
          words.transport,
          words.http,
          short.p50,
          short.p99,
          short.requests,
          short.perEvent,
          words.delivered,
          words.missed,
          words.duplicated,
        ]}
      />
      <tbody>
        {lab.lanes.map((lane) => {
          const f = lab.figures.get(lane.transport);
          return (
            <tr key={lane.transport}>
              <th scope="row">{lane.transport}</th>
              <td>{lane.protocol || words.none}</td>
              <td>{time(f?.p50)}</td>
              <td>{time(f?.p99)}</td>
              <td>{f ? Math.round(f.requestsPerMinute) : words.none}</td>
              <td>{size(f?.bytesPerEvent)}</td>
              <td>{lane.record.delivered}</td>
              <td>{lane.record.missed}</td>
              <td>{lane.record.duplicated}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function LedgerTable() {
  const { lab, words } = usePage();
  lab.slow.value;
  return (
    <table>
      <caption>{words.ledgerCaption}</caption>
      <Heads names={[words.transport, ...PARTS.map((part) => words.part[part])]} />
      <tbody>
        {lab.lanes.map(({ transport }) => {
          const f = lab.figures.get(transport);
          return (
            <tr key={transport}>
              <th scope="row">{transport}</th>
              {PARTS.map((part) => (
                <td key={part}>
                  {f && !Number.isNaN(f.bytesPerEvent) ? join(bytes(f.parts[part])) : words.none}
                </td>
              ))}
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function RecentTable() {
  const { lab, words } = usePage();
  lab.slow.value;
  return (
    <table>
      <caption>{words.recentCaption}</caption>
      <Heads names={[words.event, ...lab.lanes.map((lane) => lane.transport)]} />
      <tbody>
        {lab.log.events.slice(-RECENT).map((event) => (
          <tr key={event.id}>
            <th scope="row">{event.n}</th>
            {lab.lanes.map(({ transport, record }) => {
              const flight = record.flights.get(event.id);
              const text = flight?.isLost
                ? words.lost
                : flight?.at === undefined
                  ? words.waiting
                  : join(duration(flight.at - event.at));
              return <td key={transport}>{text}</td>;
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
