import type { TransportName } from '../transports.ts';

/** Each technique in one small picture: when the server may speak, and who does. */
export function Glyph({ transport }: { transport: TransportName }) {
  return (
    <svg class="glyph" viewBox="0 0 44 19" stroke-width="1.4" stroke-linejoin="round" aria-hidden="true">
      {shape(transport)}
    </svg>
  );
}

function shape(transport: TransportName) {
  const band = <path d="M2 3h40v13H2z" fill="var(--open)" stroke="none" />;
  switch (transport) {
    case 'poll':
      return <path d="M2 16 5 3l3 13M18 16l3-13 3 13M34 16l3-13 3 13" />;
    case 'longpoll':
      return <path d="M1 16 4 3h13l3 13 3-13h13l3 13" fill="var(--open)" />;
    case 'chunked':
      return (
        <>
          {band}
          <path d="M2 3h40M8 3l3 13M20 3l3 13M32 3l3 13" />
        </>
      );
    case 'sse':
      return (
        <>
          {band}
          <path d="M2 3h40M8 3l3 13M20 3l3 13M32 3l3 13" />
          <path d="M9.5 16h3M21.5 16h3M33.5 16h3" stroke-width="3" stroke-linecap="round" />
        </>
      );
    case 'websocket':
      return (
        <>
          {band}
          <path d="M2 3h40M2 16h40M8 3l3 13M20 16l3-13M32 3l3 13" />
        </>
      );
  }
}
