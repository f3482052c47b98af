/** Compares versions of Debian packages as dpkg does: negative when the left one is older. `~` is older than nothing at all. */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [split(left), split(right)];
  return a.epoch - b.epoch || comparePart(a.upstream, b.upstream) || comparePart(a.revision, b.revision);
}

/** Whether a version is as a dependency wants it (`>=`, `<<`, `=`…); any version is when it wants none. */
export function satisfies(version: string, relation: string | undefined, wanted: string | undefined): boolean {
  if (relation === undefined || wanted === undefined) return true;
  const order = compareVersions(version, wanted);
  switch (relation) {
    case '=':
      return order === 0;
    case '<<':
      return order < 0;
    case '>>':
      return order > 0;
    // The single ones are old names of these.
    case '<=':
    case '<':
      return order <= 0;
    default:
      return order >= 0;
  }
}

function split(version: string): { readonly epoch: number; readonly upstream: string; readonly revision: string } {
  const colon = version.indexOf(':');
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf('-');
  return {
    epoch: colon === -1 ? 0 : Number(version.slice(0, colon)) || 0,
    upstream: dash === -1 ? rest : rest.slice(0, dash),
    revision: dash === -1 ? '' : rest.slice(dash + 1),
  };
}

/** Text and numbers take turns; numbers count by value, letters before other characters. */
function comparePart(left: string, right: string): number {
  let [a, b] = [0, 0];
  while (a < left.length || b < right.length) {
    while ((a < left.length && !isDigit(left, a)) || (b < right.length && !isDigit(right, b))) {
      const order = weight(left, a) - weight(right, b);
      if (order !== 0) return order;
      a++;
      b++;
    }
    const [endOfA, endOfB] = [endOfNumber(left, a), endOfNumber(right, b)];
    const [first, second] = [left.slice(a, endOfA).replace(/^0+/, ''), right.slice(b, endOfB).replace(/^0+/, '')];
    // Of numbers without zeros before them the longer is greater; they may be too long for arithmetic.
    if (first !== second) return first.length - second.length || (first < second ? -1 : 1);
    [a, b] = [endOfA, endOfB];
  }
  return 0;
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0x30 && code <= 0x39;
}

function weight(text: string, at: number): number {
  if (at >= text.length || isDigit(text, at)) return 0;
  const char = text.charAt(at);
  if (char === '~') return -1;
  return /[A-Za-z]/.test(char) ? char.charCodeAt(0) : char.charCodeAt(0) + 256;
}

function endOfNumber(text: string, from: number): number {
  let at = from;
  while (at < text.length && isDigit(text, at)) at++;
  return at;
}
