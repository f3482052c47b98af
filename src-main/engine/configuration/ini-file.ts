/** One `key = value` of an INI file, uninterpolated. */
export interface IniEntry {
  readonly section: string;
  /** Lower case. */
  readonly key: string;
  readonly value: string;
  /** Counts from 1. */
  readonly line: number;
}

export interface IniProblem {
  readonly line: number;
  readonly message: string;
}

export interface IniFile {
  readonly entries: readonly IniEntry[];
  /** Empty for a well-formed file. */
  readonly problems: readonly IniProblem[];
}

/**
 * Reads the INI dialect of Python's configparser, which lago.conf uses: `=` or `:`, case-insensitive keys, `#` and `;` comments on lines of
 * their own, more deeply indented lines continue a value, and a section or key may appear only once in a file.
 */
export function parseIni(text: string): IniFile {
  const entries: { section: string; key: string; lines: string[]; line: number }[] = [];
  const problems: IniProblem[] = [];
  const seenSections = new Set<string>();
  const seenKeys = new Set<string>();
  let section: string | undefined;
  let open: { lines: string[] } | undefined;
  let indent = 0;

  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\r|\n/)
    .entries()) {
    const line = index + 1;
    const content = raw.trim();
    if (content.startsWith('#') || content.startsWith(';')) continue;
    if (content === '') {
      open?.lines.push('');
      continue;
    }
    const column = raw.search(/\S/);
    if (open !== undefined && column > indent) {
      open.lines.push(content);
      continue;
    }
    indent = column;
    open = undefined;
    const header = /^\[([^\]]+)\]/.exec(content);
    if (header !== null) {
      section = header[1] as string;
      if (seenSections.has(section)) problems.push({ line, message: `section [${section}] appears twice` });
      seenSections.add(section);
      continue;
    }
    if (section === undefined) {
      problems.push({ line, message: `"${content}" stands before the first [section]` });
      continue;
    }
    const pair = /^(.*?)\s*[=:]\s*(.*)$/.exec(content);
    if (pair === null || pair[1] === '') {
      problems.push({ line, message: pair === null ? `"${content}" is neither a [section] nor "key = value"` : `"${content}" has no key` });
      continue;
    }
    const key = (pair[1] as string).toLowerCase();
    const id = `${section}\0${key}`;
    if (seenKeys.has(id)) problems.push({ line, message: `"${key}" appears twice in section [${section}]` });
    seenKeys.add(id);
    const entry = { section, key, lines: [pair[2] as string], line };
    entries.push(entry);
    open = entry;
  }
  return {
    entries: entries.map((entry) => ({
      section: entry.section,
      key: entry.key,
      value: entry.lines.join('\n').trimEnd(),
      line: entry.line,
    })),
    problems,
  };
}

const MAX_DEPTH = 10;

/**
 * Replaces `%(name)s` with the value of `name` (lower-cased, found by `lookup`) and `%%` with `%`, recursively as configparser does.
 * Returns a problem sentence for anything else after a percent sign, an unknown name, or a cycle.
 */
export function interpolate(
  value: string,
  lookup: (key: string) => string | undefined,
  depth = 1,
): { readonly value: string } | { readonly problem: string } {
  if (depth > MAX_DEPTH) return { problem: 'its %(name)s references form a loop' };
  let result = '';
  let rest = value;
  for (let at = rest.indexOf('%'); at >= 0; at = rest.indexOf('%')) {
    result += rest.slice(0, at);
    rest = rest.slice(at);
    if (rest.startsWith('%%')) {
      result += '%';
      rest = rest.slice(2);
      continue;
    }
    const reference = /^%\(([^)]+)\)s/.exec(rest);
    if (reference === null) return { problem: 'a % must be written %% (or be part of %(name)s)' };
    const name = (reference[1] as string).toLowerCase();
    const found = lookup(name);
    if (found === undefined) return { problem: `%(${name})s refers to a key that does not exist` };
    const inner = interpolate(found, lookup, depth + 1);
    if ('problem' in inner) return inner;
    result += inner.value;
    rest = rest.slice(reference[0].length);
  }
  return { value: result + rest };
}
