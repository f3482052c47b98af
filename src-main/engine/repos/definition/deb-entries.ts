import { quote } from '../../../../src-shared/init-file/name-rules.ts';
import type { FileIssues, Place } from './file-issues.ts';

/** A field of an entry, by its name in deb822 and in lower case. */
export interface DebField extends Place {
  readonly name: string;
  /** As people wrote it, for issues. */
  readonly written: string;
  readonly values: readonly string[];
  /** The lines of the value as they are, for keys that are in the file itself. */
  readonly lines: readonly string[];
}

/** One line of a .list file, or one stanza of a .sources file. */
export interface DebEntry extends Place {
  readonly fields: readonly DebField[];
}

/** The names that options have in one line, where they are not those of deb822. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  arch: 'architectures',
  lang: 'languages',
  target: 'targets',
  'lago-name': 'x-lago-name',
  'lago-distro': 'x-lago-distro',
  'lago-packages': 'x-lago-packages',
  'lago-exclude': 'x-lago-exclude',
};

/** Reads the one-line style: `deb [option=value,value …] URI SUITE COMPONENT…`, with `#` before a comment. */
export function readDebLines(text: string, issues: FileIssues): readonly DebEntry[] {
  return text.split('\n').flatMap((raw, index) => {
    const content = raw.replace(/#.*$/, '').trimEnd();
    const place = { line: index + 1, column: content.length - content.trimStart().length + 1 };
    if (content.trim() === '') return [];
    const [, type = '', , options, rest = ''] = /^\s*(\S+)(\s+\[([^\]]*)\])?(?:\s+(.*))?$/.exec(content) ?? [];
    if (!/^deb(?:-src)?$/.test(type) || (options === undefined && rest.startsWith('['))) {
      const problem = type.startsWith('deb') ? 'The “]” after the options is missing.' : `${quote(content.trim())} is no source.`;
      issues.error(place, '', problem, 'Write deb [OPTION=VALUE] URI SUITE COMPONENT.');
      return [];
    }
    const field = (name: string, values: readonly string[], written = name): DebField => ({
      ...place,
      name,
      written,
      values,
      lines: values,
    });
    const [uri, suite, ...components] = rest.split(/\s+/).filter((word) => word !== '');
    const fields = [field('types', [type])];
    if (uri !== undefined) fields.push(field('uris', [uri]));
    if (suite !== undefined) fields.push(field('suites', [suite]));
    if (components.length > 0) fields.push(field('components', components));
    for (const option of (options ?? '').split(/\s+/).filter((word) => word !== '')) {
      const [, name, sign = '', value] = /^([\w-]+?)([+-]?)=(.*)$/.exec(option) ?? [];
      if (name === undefined || value === undefined) {
        issues.error(place, '', `${quote(option)} is no option.`, 'Write OPTION=VALUE, without spaces around the “=”.');
        continue;
      }
      const long = SHORT_NAMES[name.toLowerCase()] ?? name.toLowerCase();
      const changed = sign === '' ? long : `${long}-${sign === '+' ? 'add' : 'remove'}`;
      fields.push(
        field(
          changed,
          value.split(',').filter((word) => word !== ''),
          name,
        ),
      );
    }
    return [{ ...place, fields }];
  });
}

interface OpenField extends DebField {
  readonly values: string[];
  readonly lines: string[];
}

interface OpenEntry extends DebEntry {
  readonly fields: OpenField[];
}

/** Reads the deb822 style: stanzas of `Field: value`, between empty lines, with `#` before a comment line. */
export function readDeb822(text: string, issues: FileIssues): readonly DebEntry[] {
  const entries: OpenEntry[] = [];
  let entry: OpenEntry | undefined;
  for (const [index, raw] of text.split('\n').entries()) {
    const content = raw.trim();
    const place = { line: index + 1, column: raw.length - raw.trimStart().length + 1 };
    if (content === '') entry = undefined;
    if (content === '' || raw.startsWith('#')) continue;
    const field = entry?.fields.at(-1);
    if (place.column > 1 && field !== undefined) {
      field.lines.push(content);
      field.values.push(...content.split(/\s+/));
      continue;
    }
    const [, written, value = ''] = /^([\w-]+)\s*:\s*(.*)$/.exec(content) ?? [];
    if (written === undefined) {
      issues.error(
        place,
        '',
        `${quote(content)} is no field.`,
        'Write FIELD: VALUE. A line that goes on with the value above begins with a space.',
      );
      continue;
    }
    if (entry === undefined) {
      entry = { ...place, fields: [] };
      entries.push(entry);
    }
    const name = written.toLowerCase();
    const known = entry.fields.findIndex((other) => other.name === name);
    if (known !== -1) {
      issues.warning(
        place,
        written,
        `${written} is also in line ${entry.fields[known]?.line}; the last one counts.`,
        'Remove one of the two.',
      );
      entry.fields.splice(known, 1);
    }
    entry.fields.push({
      ...place,
      name,
      written,
      values: value.split(/\s+/).filter((word) => word !== ''),
      lines: value === '' ? [] : [value],
    });
  }
  return entries;
}
