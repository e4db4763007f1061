import type { ComponentChildren } from 'preact';
import { usePage } from '../context.ts';
import { everyFor } from '../draw/scene.ts';
import { PARTS, type Part } from '../ledger.ts';

/** What the marks mean. */
export function Key() {
  const { lab, words } = usePage();
  lab.slow.value;
  const { key } = words;
  const every = everyFor(lab.rate);
  const short = (part: Part) => (words.partShort as Partial<Record<Part, string>>)[part] ?? words.part[part];
  return (
    <div class="key" aria-hidden="true">
      {every === 1 ? (
        <Sign text={key.event}>
          <circle cx="13" cy="6" r="4" fill="var(--e0)" stroke="none" />
        </Sign>
      ) : (
        <Sign text={key.dense(every)}>
          <path d="M3 6h1M7 6h1M17 6h1M21 6h1" stroke="var(--faint)" stroke-width="6" />
          <circle cx="12.5" cy="6" r="3.4" fill="var(--e4)" stroke="none" />
        </Sign>
      )}
      <Sign text={key.waiting}>
        <path d="M2 6h22" stroke="var(--e1)" stroke-width="3" />
      </Sign>
      <Sign text={key.open}>
        <path d="M1 11 5 1h16l4 10z" fill="var(--open)" stroke="none" />
      </Sign>
      <Sign text={key.empty}>
        <circle cx="13" cy="6" r="3.5" stroke="var(--faint)" />
      </Sign>
      <Sign text={key.heartbeat}>
        <path d="M13 1v10" stroke="var(--mid)" stroke-width="1.5" />
      </Sign>
      <Sign text={key.stalled}>
        <path d="M1 2l5 5M6 2 1 7" stroke="var(--red)" stroke-width="1.5" />
        <path d="M9 9h12" stroke="var(--e4)" stroke-width="2.25" stroke-dasharray="2 1.5" />
        <circle cx="22" cy="9" r="3" fill="var(--e4)" stroke="none" />
      </Sign>
      <Sign text={key.replayed}>
        <rect x="7" y=".7" width="12" height="10.6" rx="5.3" stroke="var(--ink)" />
        <circle cx="13" cy="6" r="2.6" fill="var(--e3)" stroke="none" />
      </Sign>
      <Sign text={key.gap}>
        <path d="M4 6h18" stroke="var(--red)" stroke-width="4" />
      </Sign>
      <span class="led">
        {PARTS.map((part) => (
          <span key={part}>
            <i class={`sw s-${part}`} />
            {short(part)}
          </span>
        ))}
      </span>
    </div>
  );
}

function Sign({ text, children }: { text: string; children: ComponentChildren }) {
  return (
    <span>
      <svg viewBox="0 0 26 12" role="presentation">
        {children}
      </svg>
      {text}
    </span>
  );
}
