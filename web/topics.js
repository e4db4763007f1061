// @ts-check

/** The topics in a line of text, however they are separated. */
export function parse(/** @type {string} */ line) {
  return [...new Set(line.split(/[\s,]+/).filter(Boolean))];
}

/**
 * Whether a pattern covers a topic: `*` is exactly one segment, a last `**` one or more, and neither, where it
 * leads, covers the gateway's own topics (`$…`).
 * @param {string} pattern
 * @param {string} topic
 */
export function covers(pattern, topic) {
  const wanted = pattern.split('/');
  const given = topic.split('/');
  if (given[0]?.startsWith('$') && wanted[0]?.startsWith('*')) return false;
  const open = wanted.at(-1) === '**';
  if (open) wanted.pop();
  if (open ? given.length <= wanted.length : given.length !== wanted.length) return false;
  return wanted.every((segment, at) => segment === '*' || segment === given[at]);
}
