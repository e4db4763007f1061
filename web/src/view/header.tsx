import { usePage } from '../context.ts';
import { duration, join } from '../numbers.ts';

export function Header() {
  const { lab, words } = usePage();
  const { language, theme } = lab.settings.value;
  return (
    <header class="top">
      <svg
        width="30"
        height="30"
        viewBox="0 0 32 32"
        stroke-width="1.7"
        stroke-linecap="round"
        aria-hidden="true"
      >
        <path d="M3 18a13 13 0 0 1 26 0M11.5 18a4.5 4.5 0 0 1 9 0" />
        <path d="M12.1 15.7 4.7 11.5M13.8 14.1 9.5 6.7M16 13.5V5M18.2 14.1 22.5 6.7M19.9 15.7 27.3 11.5" />
        <path d="M3 18h26M3 18v11M29 18v11M16 18v11" />
      </svg>
      <h1>Fanlight</h1>
      <span class="sub">{words.subtitle}</span>
      <div class="right">
        <Clock />
        <State />
        <fieldset class="seg" aria-label={words.language}>
          {(['en', 'ko'] as const).map((value) => (
            <button
              key={value}
              type="button"
              lang={value}
              aria-pressed={language === value}
              onClick={() => lab.change({ language: value })}
            >
              {value === 'en' ? 'English' : '한국어'}
            </button>
          ))}
        </fieldset>
        <fieldset class="seg" aria-label={words.theme}>
          {(['light', 'dark'] as const).map((value) => (
            <button
              key={value}
              type="button"
              aria-pressed={theme === value}
              onClick={() => lab.change({ theme: value })}
            >
              {words[value]}
            </button>
          ))}
        </fieldset>
      </div>
    </header>
  );
}

function Clock() {
  const { lab, words } = usePage();
  lab.slow.value;
  const { offset, uncertainty } = lab.clock;
  const text =
    uncertainty === undefined
      ? words.clockAssumed
      : words.clock(join(duration(Math.abs(offset - performance.timeOrigin))), join(duration(uncertainty)));
  return (
    <span class="clock" title={words.clockTitle} data-uncertainty={uncertainty}>
      {text}
    </span>
  );
}

function State() {
  const { lab, words } = usePage();
  lab.tick.value;
  const running = lab.lanes.filter((lane) => lane.state !== 'stopped');
  const open = running.filter((lane) => lane.isOpen).length;
  const isOffline = !navigator.onLine;
  const isCut = lab.cut.value !== undefined;
  const waits = running.length - open;
  const kind =
    isCut || isOffline || waits || !lab.isOpen.value ? 'bad' : lab.paused.value !== undefined ? 'idle' : '';
  const wasOpen = running.some((lane) => lane.state === 'reconnecting');
  const text = isCut
    ? words.cutState
    : isOffline
      ? words.offline
      : waits || !lab.isOpen.value
        ? lab.problem.value && !wasOpen
          ? words.refusedState
          : wasOpen || running.every((lane) => lane.isOpen)
            ? words.reconnecting
            : words.connecting
        : lab.paused.value !== undefined
          ? words.paused
          : words.connected(open, lab.lanes.length);
  return (
    <div class={`state ${kind}`} role="status" data-open={open}>
      <i />
      <span>{text}</span>
    </div>
  );
}
