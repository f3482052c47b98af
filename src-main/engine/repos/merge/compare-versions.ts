/** Epoch, version and release (for Debian: the revision) of a package. */
export interface Version {
  readonly epoch: number;
  readonly version: string;
  /** Empty where there is none. */
  readonly release: string;
}

/** Less than 0 when `a` is older than `b`, as rpm sees it. */
export function compareRpmVersions(a: Version, b: Version): number {
  return a.epoch - b.epoch || compareRpmText(a.version, b.version) || compareRpmText(a.release, b.release);
}

/** Less than 0 when `a` is older than `b`, as dpkg sees it. */
export function compareDebVersions(a: Version, b: Version): number {
  return a.epoch - b.epoch || compareDebText(a.version, b.version) || compareDebText(a.release, b.release);
}

/** rpm's rpmvercmp: runs of digits and of letters count, `~` comes before everything, also the end, and `^` after the end only. */
export function compareRpmText(a: string, b: string): number {
  const [left, right] = [runsOf(a), runsOf(b)];
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const [one, other] = [left[at], right[at]];
    if (one === other) continue;
    const order = compareSpecial(one, other) ?? compareRuns(one, other);
    if (order !== 0) return order;
  }
  return 0;
}

type Run = string | undefined;

function runsOf(text: string): readonly string[] {
  return text.match(/\d+|[a-zA-Z]+|[~^]/g) ?? [];
}

/** Undefined when neither is special. */
function compareSpecial(one: Run, other: Run): number | undefined {
  if (one === '~') return -1;
  if (other === '~') return 1;
  if (one === '^') return other === undefined ? 1 : -1;
  if (other === '^') return one === undefined ? -1 : 1;
  return undefined;
}

function compareRuns(one: Run, other: Run): number {
  if (one === undefined) return -1;
  if (other === undefined) return 1;
  const [isNumber, isOtherNumber] = [/^\d/.test(one), /^\d/.test(other)];
  if (isNumber !== isOtherNumber) return isNumber ? 1 : -1;
  return isNumber ? compareNumbers(one, other) : compareCodes(one, other);
}

/** Numbers of any length. */
function compareNumbers(one: string, other: string): number {
  const [a, b] = [one.replace(/^0+/, ''), other.replace(/^0+/, '')];
  return a.length - b.length || compareCodes(a, b);
}

function compareCodes(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** deb-version(7): parts without digits and numbers in turns; letters come before other characters, `~` before the end. */
function compareDebText(a: string, b: string): number {
  const [left, right] = [a.match(/(\D*)(\d*)/g) ?? [], b.match(/(\D*)(\d*)/g) ?? []];
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const [one, other] = [split(left[at]), split(right[at])];
    const order = compareDebLetters(one.letters, other.letters) || compareNumbers(one.digits, other.digits);
    if (order !== 0) return order;
  }
  return 0;
}

function split(part = ''): { readonly letters: string; readonly digits: string } {
  const letters = /^\D*/.exec(part)?.[0] ?? '';
  return { letters, digits: part.slice(letters.length) };
}

function compareDebLetters(a: string, b: string): number {
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const order = weight(a[at]) - weight(b[at]);
    if (order !== 0) return order;
  }
  return 0;
}

function weight(character: string | undefined): number {
  if (character === undefined) return 0;
  if (character === '~') return -1;
  const code = character.charCodeAt(0);
  return /[a-zA-Z]/.test(character) ? code : code + 256;
}
