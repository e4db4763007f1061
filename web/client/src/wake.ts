/**
 * Calls when a page is back: shown again, thawed, or on a network again. `moved` says that its connections are
 * hardly alive: the network was gone, or the page was taken out of the back/forward cache.
 */
export function onWake(woken: (moved: boolean) => void): () => void {
  const target: typeof globalThis | undefined = globalThis.document && globalThis;
  const listener = ({ type, persisted }: Event & { persisted?: boolean }) => {
    if (type === 'visibilitychange' && document.hidden) return;
    woken(type === 'online' || !!persisted);
  };
  const types = ['online', 'pageshow', 'visibilitychange', 'resume'];
  // What is sent to the document passes the window first.
  for (const type of types) target?.addEventListener(type, listener, true);
  return () => {
    for (const type of types) target?.removeEventListener(type, listener, true);
  };
}
