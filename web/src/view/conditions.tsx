import { useSignal } from '@preact/signals';
import { usePage } from '../context.ts';
import { KNOBS, type Knob, nearest, PRESETS, type PresetName, type Source, windowFor } from '../settings.ts';
import { Experiments } from './experiments.tsx';
import { knobText } from './knob.ts';

export function Conditions() {
  const { lab, words } = usePage();
  const settings = lab.settings.value;
  const isWide = useSignal(!lab.around.isNarrow);
  const told = (['rate', 'size', 'poll', 'rtt', 'loss'] as const).map((name) =>
    knobText(name, settings[name], words),
  );
  return (
    <section class="strip" aria-label={words.conditions}>
      <div class="strip-row">
        <fieldset class="seg presets" aria-label={words.presets}>
          {(Object.keys(PRESETS) as PresetName[]).map((name) => (
            <button
              key={name}
              type="button"
              aria-pressed={settings.preset === name}
              disabled={!lab.around.hasLab}
              onClick={() => {
                const preset = PRESETS[name];
                const window = windowFor(preset.window, lab.around.isNarrow);
                lab.change({ ...preset, window, preset: name, source: 'generated' }, words.preset[name]);
              }}
            >
              {words.preset[name]}
            </button>
          ))}
        </fieldset>
        <Actions />
      </div>
      <details
        class="knobs-box"
        open={isWide.value}
        onToggle={(event) => {
          isWide.value = event.currentTarget.open;
        }}
      >
        <summary>{[words.conditions, ...told].join(' · ')}</summary>
        <div class="knobs">
          {KNOBS.map((knob) => (
            <KnobView key={knob.name} knob={knob} />
          ))}
        </div>
        <div class="strip-row second">
          <SourceView />
          <Experiments />
        </div>
        {!lab.around.hasLab && <p class="note">{words.noLab}</p>}
      </details>
    </section>
  );
}

function Actions() {
  const { lab, words } = usePage();
  lab.tick.value;
  const { window } = lab.settings.value;
  const cut = lab.cut.value;
  const left = Math.max(0, (cut ?? 0) - performance.now()) / 1000;
  return (
    <div class="acts">
      <fieldset class="seg" aria-label={words.window}>
        {[4, 8, 20].map((seconds) => (
          <button
            key={seconds}
            type="button"
            aria-pressed={window === seconds}
            onClick={() => lab.change({ window: seconds })}
          >
            {seconds}
            {'\u202f'}s
          </button>
        ))}
      </fieldset>
      <button
        type="button"
        id="cut"
        class="btn danger"
        aria-pressed={cut !== undefined}
        disabled={!lab.around.hasLab}
        onClick={() => lab.toggleCut()}
      >
        {cut === undefined ? words.cut : `${words.restore} · ${left.toFixed(1)}\u202fs`}
      </button>
      <button
        type="button"
        id="pause"
        class="btn"
        aria-pressed={lab.paused.value !== undefined}
        aria-keyshortcuts="Space"
        onClick={() => lab.togglePause()}
      >
        {lab.paused.value === undefined ? words.pause : words.resume}
      </button>
    </div>
  );
}

function KnobView({ knob }: { knob: Knob }) {
  const { lab, words } = usePage();
  const settings = lab.settings.value;
  const value = settings[knob.name];
  const text = knobText(knob.name, value, words);
  const isOff = (knob.isShaped && !lab.around.hasLab) || (knob.isSource && settings.source !== 'generated');
  return (
    <div
      class={`knob ${knob.begins ? 'begins' : ''} ${isOff ? 'is-off' : ''}`}
      title={knob.name === 'loss' ? words.lossTitle : undefined}
    >
      <label for={`knob-${knob.name}`}>{words.knob[knob.name]}</label>
      <output for={`knob-${knob.name}`}>{text}</output>
      <input
        type="range"
        id={`knob-${knob.name}`}
        min={0}
        max={knob.stops.length - 1}
        step={1}
        value={nearest(knob.stops, value)}
        aria-valuetext={text}
        disabled={isOff}
        onInput={(event) => {
          const next = knob.stops[Number(event.currentTarget.value)] as number;
          const mark = `${words.knob[knob.name]} ${knobText(knob.name, next, words)}`;
          lab.change({ [knob.name]: next, preset: '' }, mark);
        }}
      />
    </div>
  );
}

function SourceView() {
  const { lab, words } = usePage();
  const { source, topics } = lab.settings.value;
  const draft = useSignal(topics.join(' '));
  return (
    <form
      class="source"
      onSubmit={(event) => {
        event.preventDefault();
        const wanted = draft.value.split(/\s+/).filter(Boolean);
        if (wanted.length) lab.change({ source: 'topics', topics: wanted, preset: '' });
      }}
    >
      <fieldset class="seg" aria-label={words.sourceLabel}>
        {(['generated', 'host', 'topics'] as Source[]).map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={source === name}
            onClick={() => lab.change({ source: name, preset: '' })}
          >
            {words.source[name]}
          </button>
        ))}
      </fieldset>
      {source === 'topics' && (
        <>
          <input
            type="text"
            class="topics"
            aria-label={words.topicsLabel}
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            value={draft.value}
            onInput={(event) => {
              draft.value = event.currentTarget.value;
            }}
          />
          <button type="submit" class="btn small">
            {words.show}
          </button>
        </>
      )}
    </form>
  );
}
