/**
 * Calls when a page is back: shown again, thawed, or on a network again. `moved` says that the network was gone and may
 * be another one, `thawed` that the page stood still (frozen, or in the back/forward cache): what was open then may
 * have ended without a word.
 */
export function onWake(woken: (moved: boolean, thawed: boolean) => void): () => void {
  const ends = new AbortController();
  // What is sent to the document passes the window first.
  const options = { capture: true, signal: ends.signal };
  const listener = ({ type, persisted }: Event & { persisted?: boolean }) => {
    if (type === 'visibilitychange' && document.hidden) return;
    woken(type === 'online', type === 'resume' || !!persisted);
  };
  if (globalThis.document) {
    for (const type of ['online', 'pageshow', 'visibilitychange', 'resume'])
      addEventListener(type, listener, options);
  }
  return () => ends.abort();
}
