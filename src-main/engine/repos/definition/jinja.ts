import { quote } from '../../../../src-shared/init-file/name-rules.ts';
import type { FileIssues } from './file-issues.ts';

const EXPRESSION = /\{\{.{0,200}?\}\}|\{%.{0,200}?%\}|\{\{|\{%/;

/** Reports what a Jinja template has that nothing has filled in, and returns the numbers of those lines. */
export function templatedLines(text: string, issues: FileIssues): ReadonlySet<number> {
  const lines = new Set<number>();
  if (!text.includes('{{') && !text.includes('{%')) return lines;
  for (const [index, line] of text.split('\n').entries()) {
    const found = /^\s*[#;]/.test(line) ? null : EXPRESSION.exec(line);
    if (found === null) continue;
    lines.add(index + 1);
    const place = { line: index + 1, column: found.index + 1 };
    const message = `The file is a Jinja template: nothing has filled in ${quote(found[0])}.`;
    issues.error(place, '', message, 'Write the file with the template filled in (ansible or jinja2), and give that one.');
  }
  return lines;
}

/** The text with empty lines in place of lines that have only a statement or comment of Jinja. */
export function blankStatements(text: string): string {
  return text.includes('{%') || text.includes('{#') ? text.replace(/^[ \t]*\{[%#].*[%#]\}[ \t]*$/gm, '') : text;
}
