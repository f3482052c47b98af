import { quote } from '../../../../src-shared/init-file/name-rules.ts';
import type { FileIssues, Place } from './file-issues.ts';
import { USED_KEYS } from './rpm-keys.ts';

/** One line of a value, without the spaces around it. */
export interface ValueLine extends Place {
  readonly text: string;
}

export interface IniOption extends Place {
  /** In lower case, as yum reads keys. */
  readonly key: string;
  /** The first may be empty: `exclude =` with its values in the lines below. */
  readonly value: readonly ValueLine[];
}

export interface IniSection extends Place {
  readonly id: string;
  readonly options: readonly IniOption[];
}

interface OpenSection extends IniSection {
  readonly options: OpenOption[];
}

interface OpenOption extends IniOption {
  readonly value: ValueLine[];
}

const KEY = /^[\w.-]+$/;
const CONTINUING = 'Write KEY = VALUE. A line that goes on with the value above begins with a space.';

/**
 * Reads INI as dnf and yum do: `[section]`, `key = value` without indentation, indented lines that go on with a value (blank lines and
 * comments between them do not end it), comments in lines of their own. Sections and keys that occur twice are both in the result.
 * Whatever neither of the two programs could read is an error; the rest is read all the same.
 */
export function readIni(text: string, issues: FileIssues): readonly IniSection[] {
  const sections: OpenSection[] = [];
  let section: OpenSection | undefined;
  let option: OpenOption | undefined;
  for (const [index, raw] of text.split('\n').entries()) {
    const content = raw.trim();
    const place = { line: index + 1, column: raw.length - raw.trimStart().length + 1 };
    if (content === '' || /^[#;]/.test(raw) || /^rem(?:\s|$)/i.test(raw)) continue;
    if (content.startsWith('[')) {
      section = { ...place, id: sectionId(content, place, issues), options: [] };
      sections.push(section);
      option = undefined;
    } else if (section === undefined) {
      issues.error(place, '', `${quote(content)} stands before the first section.`, 'Begin with the id of a repository: [ID].');
    } else if (place.column > 1 && option !== undefined && !looksLikeOption(content)) {
      if (/^[#;]/.test(content)) commentInside(section, option, place, issues);
      else option.value.push({ ...place, text: content });
    } else {
      const next = readOption(content, place, section.id, issues);
      if (next === undefined) continue;
      if (place.column > 1) issues.error(place, pathOf(section, next), 'An option cannot be indented.', 'Remove the spaces before it.');
      option = next;
      section.options.push(next);
    }
  }
  return sections;
}

/** Whether an indented line is an option whose spaces are a mistake: dnf and yum would make it a part of the option above. */
function looksLikeOption(content: string): boolean {
  const key = /^(\w+)\s*=/.exec(content)?.[1];
  return key !== undefined && USED_KEYS.has(key.toLowerCase());
}

/** Where something is in the document, for issues. */
export function pathOf(section: Pick<IniSection, 'id'>, option: Pick<IniOption, 'key'>): string {
  return `${section.id}.${option.key}`;
}

function sectionId(content: string, place: Place, issues: FileIssues): string {
  const end = content.indexOf(']');
  const id = (end === -1 ? content.slice(1) : content.slice(1, end)).trim();
  if (end === -1) issues.error(place, id, `The “]” after ${quote(content)} is missing.`);
  else if (!/^\s*(?:[#;].*)?$/.test(content.slice(end + 1))) {
    issues.error({ ...place, column: place.column + end + 1 }, id, `There is more after the section ${quote(id)}.`, 'Begin a new line.');
  }
  if (id === '') issues.error(place, '', 'The section has no id.', 'Write the id of the repository: [ID].');
  return id;
}

function readOption(content: string, place: Place, section: string, issues: FileIssues): OpenOption | undefined {
  const equals = content.indexOf('=');
  const colon = content.indexOf(':');
  const byColon = colon !== -1 && (equals === -1 || colon < equals) && !content.startsWith('//', colon + 1);
  const end = byColon ? colon : equals;
  const written = end === -1 ? '' : content.slice(0, end).trim();
  if (!KEY.test(written)) {
    const problem = equals === 0 ? 'The key before the “=” is missing.' : `${quote(content)} is no option.`;
    issues.error(place, section, problem, CONTINUING);
    return undefined;
  }
  const key = written.toLowerCase();
  if (byColon)
    issues.warning(place, `${section}.${key}`, `dnf does not read ${quote(`${written}:`)}; yum does.`, 'Write = in place of the colon.');
  const rest = content.slice(end + 1);
  const text = rest.trim();
  const column = place.column + end + 1 + (rest.length - rest.trimStart().length);
  return { ...place, key, value: [{ line: place.line, column, text }] };
}

function commentInside(section: IniSection, option: IniOption, place: Place, issues: FileIssues): void {
  const message = `dnf takes an indented comment for a part of ${option.key}; here it is a comment.`;
  issues.info(place, pathOf(section, option), message, 'Begin it at the start of the line.');
}
