/**
 * A test for names as fnmatch(3) without flags: `*` any characters, `?` one, `[a-z]`, `[!a-z]` and `[[:alpha:]]` one of a set, a backslash
 * takes the next character as it is. Takes time in proportion to pattern and name at most, whatever the pattern.
 */
export function fnmatch(pattern: string): (name: string) => boolean {
  const tokens = tokensOf([...pattern]);
  return (name) => matches(tokens, name);
}

/** `*`, or a test of one character. */
type Token = '*' | ((char: string) => boolean);

const CLASSES: Readonly<Record<string, RegExp>> = {
  alnum: /[A-Za-z0-9]/,
  alpha: /[A-Za-z]/,
  blank: /[ \t]/,
  cntrl: /[\0-\x1f\x7f]/,
  digit: /[0-9]/,
  graph: /[!-~]/,
  lower: /[a-z]/,
  print: /[ -~]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /\s/,
  upper: /[A-Z]/,
  xdigit: /[A-Fa-f0-9]/,
};

function tokensOf(chars: readonly string[]): readonly Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? '';
    if (char === '*') {
      if (tokens.at(-1) !== '*') tokens.push('*');
    } else if (char === '?') tokens.push(() => true);
    else if (char === '[') {
      const set = setAt(chars, at + 1);
      tokens.push(set?.test ?? ((one) => one === '['));
      at = set?.end ?? at;
    } else {
      const plain = char === '\\' && at + 1 < chars.length ? (chars[++at] ?? '') : char;
      tokens.push((one) => one === plain);
    }
  }
  return tokens;
}

/** The set that begins behind a `[`, and the place of its `]`; undefined when there is none, which makes the `[` an ordinary character. */
function setAt(chars: readonly string[], start: number): { readonly test: (char: string) => boolean; readonly end: number } | undefined {
  const tests: ((char: string) => boolean)[] = [];
  const negated = chars[start] === '!' || chars[start] === '^';
  for (let at = negated ? start + 1 : start, first = true; at < chars.length; at++, first = false) {
    const char = chars[at] ?? '';
    if (char === ']' && !first) return { test: (one) => tests.some((test) => test(one)) !== negated, end: at };
    const name = char === '[' ? /^\[:([a-z]+):\]/.exec(chars.slice(at, at + 12).join(''))?.[1] : undefined;
    const known = name === undefined ? undefined : CLASSES[name];
    if (name !== undefined && known !== undefined) {
      tests.push((one) => known.test(one));
      at += name.length + 3;
      continue;
    }
    const low = char === '\\' ? (chars[++at] ?? '') : char;
    const isRange = chars[at + 1] === '-' && chars[at + 2] !== ']' && at + 2 < chars.length;
    const high = isRange ? (chars[at + 2] ?? '') : low;
    if (isRange) at += 2;
    tests.push((one) => one >= low && one <= high);
  }
  return undefined;
}

/** After a mismatch only the last `*` can take more: so no pattern takes exponential time. */
function matches(tokens: readonly Token[], name: string): boolean {
  const chars = [...name];
  let token = 0;
  let star = -1;
  let starAt = 0;
  let at = 0;
  while (at < chars.length) {
    const current = tokens[token];
    if (current === '*') {
      star = token++;
      starAt = at;
    } else if (current?.(chars[at] ?? '') === true) {
      token++;
      at++;
    } else if (star >= 0) {
      token = star + 1;
      at = ++starAt;
    } else return false;
  }
  while (tokens[token] === '*') token++;
  return token === tokens.length;
}
