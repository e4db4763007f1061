import { useRef } from 'preact/hooks';
import { usePage } from '../context.ts';
import { duration, join } from '../numbers.ts';
import { read } from '../reading.ts';
import { look } from '../seen.ts';

/** The plain-language reading, about once a second. */
export function Reading() {
  const { lab } = usePage();
  lab.slow.value;
  lab.cut.value;
  return (
    <p class="reading" id="reading">
      {read(look(lab)).map((piece, at) =>
        typeof piece === 'string' ? piece : <b key={`${at}${piece[0]}`}>{piece[0]}</b>,
      )}
    </p>
  );
}

/** In which the slowest line would have brought something to the gateway, ms. */
const PATIENCE = 12_000;

/** What went wrong, and what to do where nothing was published. */
export function Notices() {
  const { lab, words } = usePage();
  lab.slow.value;
  const since = useRef(performance.now());
  const { source, topics } = lab.settings.value;
  const isGone = !lab.isOpen.value && performance.now() - since.current > 3000;
  const refused = lab.lanes.find((lane) => lane.state === 'refused')?.problem;
  const problem = lab.problem.value || refused;
  const isQuiet =
    source === 'topics' && lab.isOpen.value && !lab.log.count && performance.now() - lab.since > 1500;
  // `demo` publishes them once a second.
  const isHostless =
    source === 'host' && lab.isOpen.value && !lab.log.count && performance.now() - lab.since > 4000;
  // The gateway has set the lines up, and nothing has come over any of them.
  const isUnreached =
    lab.around.hasLab &&
    lab.isOpen.value &&
    lab.cut.value === undefined &&
    !lab.hasReached &&
    performance.now() - lab.since > PATIENCE;
  const topic = topics.find((pattern) => !pattern.includes('*')) ?? 'lab/hello';
  const command = `curl -d '{"hello":"world"}' -H 'content-type: application/json' '${new URL(`v1/publish?topic=${encodeURIComponent(topic).replaceAll('%2F', '/').replaceAll("'", '%27')}`, lab.base)}'`;
  return (
    <>
      {isGone && (
        <p class="notice bad" role="alert">
          {words.gone}
        </p>
      )}
      {problem && (
        <p class="notice bad" role="alert" id="problem">
          {words.refused} {problem}
        </p>
      )}
      {isUnreached && (
        <p class="notice bad" role="alert" id="unreached">
          {words.unreached}
        </p>
      )}
      {isHostless && <p class="notice">{words.emptyHost}</p>}
      {isQuiet && (
        <div class="notice" id="quiet">
          <p>
            {words.emptyTopics} {words.emptyHow}
          </p>
          <pre>
            <code>{command}</code>
          </pre>
          <button type="button" class="btn" onClick={() => lab.publishOne()}>
            {words.publishOne}
          </button>
        </div>
      )}
    </>
  );
}

/** How fluently the page itself runs. */
export function Fluency() {
  const { lab, words } = usePage();
  lab.slow.value;
  const longest = lab.meter.longest(performance.now());
  return (
    <p class="fluency" data-fps={lab.meter.fps} data-longest={longest}>
      {words.frames(lab.meter.fps)}
      {longest !== undefined && ` · ${words.longest(longest ? join(duration(longest)) : '< 50\u202fms')}`}
    </p>
  );
}
