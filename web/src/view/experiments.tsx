import { usePage } from '../context.ts';
import { asCsv, asJson, asPicture, save } from '../export.ts';

/** The second row: what happens if a proxy buffers, six connections are not enough, nobody looks. */
export function Experiments() {
  const { lab, stage, words } = usePage();
  const { buffering, shared } = lab.settings.value;
  const { hasLab } = lab.around;
  const name = () => `fanlight-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}`;
  return (
    <fieldset class="experiments" aria-label={words.experiments}>
      <label class="switch" title={words.bufferingTitle}>
        <input
          type="checkbox"
          id="buffering"
          checked={buffering}
          disabled={!hasLab}
          onChange={(event) => lab.change({ buffering: event.currentTarget.checked }, words.buffering)}
        />
        {words.buffering}
      </label>
      <label class="switch" title={words.sharedTitle}>
        <input
          type="checkbox"
          id="shared"
          checked={shared}
          disabled={!hasLab}
          onChange={(event) => lab.change({ shared: event.currentTarget.checked }, words.shared)}
        />
        {words.shared}
      </label>
      <a class="link" href={location.href} target="_blank" rel="noreferrer">
        {words.secondTab}
      </a>
      <button type="button" id="hide" class="link" title={words.hideTitle} onClick={() => lab.hide()}>
        {words.hide}
      </button>
      <span class="exports">
        {words.exportAs}
        <button type="button" class="link" onClick={() => save(`${name()}.csv`, 'text/csv', asCsv(lab))}>
          CSV
        </button>
        <button
          type="button"
          class="link"
          onClick={() => save(`${name()}.json`, 'application/json', asJson(lab))}
        >
          JSON
        </button>
        <button
          type="button"
          class="link"
          onClick={async () => save(`${name()}.png`, 'image/png', await asPicture(stage))}
        >
          PNG
        </button>
      </span>
      {lab.hideIsBlocked.value && <span role="alert">{words.hideBlocked}</span>}
    </fieldset>
  );
}
