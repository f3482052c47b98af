/** Epoch, version and release of a package. */
export interface Evr {
  /** Digits; `0` where the package says nothing. */
  readonly epoch: string;
  readonly version: string;
  readonly release: string;
}

/** Negative when `a` is older than `b`, positive when it is newer, 0 when rpm takes them for equal. */
export function compareEvr(a: Evr, b: Evr): number {
  return compareDigits(a.epoch, b.epoch) || compareVersions(a.version, b.version) || compareVersions(a.release, b.release);
}

/**
 * Compares two versions, or two releases, as rpm does (rpmvercmp): runs of digits by value, runs of letters by their bytes, digits are newer
 * than letters, everything else only separates; `~` sorts before the end of a version, `^` right after it.
 */
export function compareVersions(a: string, b: string): number {
  if (a === b) return 0;
  let left = a;
  let right = b;
  for (;;) {
    left = left.replace(SEPARATORS, '');
    right = right.replace(SEPARATORS, '');
    const tilde = bySign(left, right, '~', -1);
    if (tilde !== undefined) {
      if (tilde !== 0) return tilde;
      left = left.slice(1);
      right = right.slice(1);
      continue;
    }
    const caret = byCaret(left, right);
    if (caret !== undefined) {
      if (caret !== 0) return caret;
      left = left.slice(1);
      right = right.slice(1);
      continue;
    }
    if (left === '' || right === '') return Math.sign(left.length - right.length);
    const run = /^\d/.test(left) ? DIGITS : LETTERS;
    const one = run.exec(left)?.[0] ?? '';
    const other = run.exec(right)?.[0];
    if (other === undefined) return run === DIGITS ? 1 : -1;
    const order = run === DIGITS ? compareDigits(one, other) : byBytes(one, other);
    if (order !== 0) return order;
    left = left.slice(one.length);
    right = right.slice(other.length);
  }
}

const SEPARATORS = /^[^A-Za-z0-9~^]+/;
const DIGITS = /^\d+/;
const LETTERS = /^[A-Za-z]+/;

/** The order that one of two characters at the beginning decides; 0 when both have it, undefined when neither has. */
function bySign(left: string, right: string, sign: string, order: number): number | undefined {
  const [l, r] = [left.startsWith(sign), right.startsWith(sign)];
  if (!l && !r) return undefined;
  if (l && r) return 0;
  return l ? order : -order;
}

/** `^` is newer than the end, older than anything else that follows. */
function byCaret(left: string, right: string): number | undefined {
  if (left === '' && right.startsWith('^')) return -1;
  if (right === '' && left.startsWith('^')) return 1;
  return bySign(left, right, '^', -1);
}

/** Numbers may have more digits than a number of the language can hold. */
function compareDigits(a: string, b: string): number {
  const [left, right] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')];
  return Math.sign(left.length - right.length) || byBytes(left, right);
}

function byBytes(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
