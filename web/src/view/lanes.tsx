import { useEffect, useRef } from 'preact/hooks';
import { usePage } from '../context.ts';
import type { Figures } from '../figures.ts';
import type { Lane } from '../lane/lane.ts';
import { PARTS, type Part } from '../ledger.ts';
import { bytes, duration, join, nice, type Quantity, roundBytes } from '../numbers.ts';
import type { Words } from '../words/index.ts';
import { Glyph } from './glyph.tsx';
import { usePointing } from './pointing.ts';

/** The scale that all ledger bars share, in bytes per event: it moves only when it must. */
let scale = 1000;

export function Lanes() {
  const { lab, words } = usePage();
  const host = useRef<HTMLDivElement>(null);
  usePointing(host);
  lab.tick.value;
  const most = Math.max(0, ...[...lab.figures.values()].map((f) => f.bytesPerEvent || 0));
  if (most > scale || (most > 0 && most < scale * 0.45)) scale = nice(most * 1.02);
  return (
    <>
      <div
        id="lanes"
        ref={host}
        role="group"
        tabIndex={0}
        aria-label={words.diagrams}
        aria-describedby="keys"
      >
        <Head />
        {lab.lanes.map((lane) => (
          <LaneView key={lane.transport} lane={lane} />
        ))}
        <Foot />
      </div>
      <p class="sr" id="keys">
        {words.keys}
      </p>
      <Spoken />
    </>
  );
}

function Canvas({ lane, kind }: { lane?: Lane; kind?: string }) {
  const { stage } = usePage();
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => (canvas.current ? stage.add(canvas.current, lane) : undefined), [stage, lane]);
  return <canvas ref={canvas} data-kind={kind} aria-hidden="true" />;
}

function Chip({ lane }: { lane?: Lane }) {
  const { stage } = usePage();
  const chip = useRef<HTMLDivElement>(null);
  useEffect(() => (chip.current ? stage.chip(chip.current, lane) : undefined), [stage, lane]);
  return (
    <div class="chip" ref={chip} aria-hidden="true">
      <b />
      <span />
    </div>
  );
}

function Head() {
  const { lab, words } = usePage();
  const heads = [
    words.p50,
    words.p99,
    words.requests,
    words.perEventHead,
    words.delivered,
    words.missed,
    words.duplicated,
  ];
  return (
    <div class="lane head">
      <div class="name">
        <span class="end published">{words.published}</span>
      </div>
      <div class="dia">
        <Canvas kind="head" />
        {lab.paused.value !== undefined && <span class="paused">{words.pausedHow}</span>}
      </div>
      <Chip />
      <div class="fig">
        <div class="nums" aria-hidden="true">
          {heads.map((head) => (
            <span key={head}>{head}</span>
          ))}
        </div>
      </div>
    </div>
  );
}

function Foot() {
  const { lab, words } = usePage();
  lab.tick.value;
  const ends = [0, 0.5, 1].map((part) => (part ? roundBytes(scale * part) : '0'));
  return (
    <div class="lane foot" aria-hidden="true">
      <div class="name" />
      <div class="dia">
        <Canvas kind="axis" />
      </div>
      <div />
      <div class="fig">
        <div class="scale">
          <span>{ends[0]}</span>
          <span>{ends[1]}</span>
          <span>{`${ends[2]} ${words.perEvent}`}</span>
        </div>
      </div>
    </div>
  );
}

function LaneView({ lane }: { lane: Lane }) {
  const { lab, words } = usePage();
  lab.tick.value;
  const { transport, record } = lane;
  const figures = lab.figures.get(transport);
  const isStopped = lab.settings.value.stopped.includes(transport);
  const isFirst = transport === 'poll';
  return (
    <section
      class={`lane ${isStopped ? 'is-stopped' : ''}`}
      aria-label={transport}
      data-transport={transport}
      data-state={lane.state}
      data-delivered={record.delivered}
      data-missed={record.missed}
      data-duplicated={record.duplicated}
      data-gaps={record.gaps}
      data-last={record.shown?.id}
      data-least={figures?.least}
      data-p50={figures?.p50}
      data-p99={figures?.p99}
      data-bytes={lab.ledger.latest(transport) && JSON.stringify(lab.ledger.latest(transport)?.bytes)}
    >
      <div class="name">
        <Glyph transport={transport} />
        <div class="who">
          <h2>{transport}</h2>
          <div class="how">
            {isStopped ? words.stopped : lane.state === 'held' ? words.held : words.how[transport]}
          </div>
          <div class="wire">
            <span class="http">{lane.protocol}</span>
            <button
              type="button"
              class="link"
              aria-label={isStopped ? words.startLane(transport) : words.stopLane(transport)}
              onClick={() => {
                const { stopped } = lab.settings.value;
                const others = stopped.filter((name) => name !== transport);
                lab.change({ stopped: isStopped ? others : [...others, transport] });
              }}
            >
              {isStopped ? words.start : words.stop}
            </button>
          </div>
        </div>
        {isFirst && <span class="end at-server">{words.server}</span>}
        {isFirst && <span class="end at-client">{words.client}</span>}
      </div>
      <div class="dia">
        <Canvas lane={lane} />
      </div>
      <Chip lane={lane} />
      <div class="fig">{figures && <Numbers figures={figures} words={words} />}</div>
    </section>
  );
}

function Numbers({ figures, words }: { figures: Figures; words: Words }) {
  const count = (value: number) =>
    value < 9.5 ? String(Number(value.toFixed(1))) : String(Math.round(value));
  const late = (ms: number) => (Number.isNaN(ms) ? undefined : duration(ms));
  const size = Number.isNaN(figures.bytesPerEvent) ? undefined : bytes(figures.bytesPerEvent);
  return (
    <>
      <div class="nums">
        <Cell name={words.short.p50} value={late(figures.p50)} />
        <Cell name={words.short.p99} value={late(figures.p99)} />
        <Cell
          name={words.short.requests}
          value={[count(figures.requestsPerMinute), '']}
          class={figures.requestsPerMinute ? '' : 'zero'}
        />
        <Cell name={words.short.perEvent} value={size} />
        <Cell name={words.delivered} value={[String(figures.delivered), '']} />
        <Cell
          name={words.missed}
          value={[String(figures.missed), '']}
          class={figures.missed ? 'bad' : 'zero'}
        />
        <Cell
          name={words.duplicated}
          value={[String(figures.duplicated), '']}
          class={figures.duplicated ? 'bad' : 'zero'}
        />
      </div>
      <Bar figures={figures} words={words} />
    </>
  );
}

function Cell({
  name,
  value,
  class: kind = '',
}: {
  name: string;
  value: Quantity | undefined;
  class?: string;
}) {
  return (
    <span class={kind}>
      <i class="cap">{name} </i>
      {value ? value[0] : '–'}
      {value?.[1] && <small>{value[1]}</small>}
    </span>
  );
}

/** The ledger: what an event cost, by kind, from the gateway's own count. */
function Bar({ figures, words }: { figures: Figures; words: Words }) {
  const told = (part: Part) => `${words.part[part]} ${join(bytes(figures.parts[part]))}`;
  const parts = PARTS.filter((part) => figures.parts[part] > 0);
  return (
    <div
      class="bar"
      role="img"
      aria-label={`${words.perEvent}: ${parts.map(told).join(', ') || words.none}`}
      title={parts.map(told).join('\n')}
    >
      {PARTS.map((part) => (
        <i
          key={part}
          class={`s-${part}`}
          hidden={!(figures.parts[part] > 0)}
          style={{ width: `${(figures.parts[part] / scale) * 100}%` }}
        />
      ))}
    </div>
  );
}

/** Speaks the picked event; nothing that ticks. */
function Spoken() {
  const { lab, words } = usePage();
  const event = lab.picked.value;
  const told = (lane: Lane) => {
    const flight = event && lane.record.flights.get(event.id);
    if (!flight || (flight.at === undefined && !flight.isLost)) return words.waiting;
    return flight.isLost ? words.lost : join(duration((flight.at as number) - flight.event.at));
  };
  return (
    <p class="sr" aria-live="polite">
      {event &&
        `${words.event} ${event.n}: ${lab.lanes.map((lane) => `${lane.transport} ${told(lane)}`).join(', ')}`}
    </p>
  );
}
