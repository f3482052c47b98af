import { z } from 'zod';

/** One problem in an input file. `line` and `column` count from 1; 0 means the whole file. */
export const Issue = z.object({
  file: z.string(),
  line: z.number().int().nonnegative(),
  column: z.number().int().nonnegative(),
  /** Path in the document, such as `domains.web.nics[0].net`; empty for the whole file. */
  path: z.string(),
  severity: z.enum(['error', 'warning', 'info']),
  /** What is wrong, one sentence. */
  message: z.string(),
  /** What to do about it, one sentence. */
  hint: z.string().optional(),
  /**
   * `machine`: the file may be right, but something that it names is missing on this machine (a template, a script, a free subnet).
   * `consent`: it names a file outside its folder, which needs the user's consent. Absent: the file itself is wrong.
   */
  about: z.enum(['machine', 'consent']).optional(),
});
export type Issue = z.infer<typeof Issue>;

/** `FILE:LINE:COLUMN: severity: message (hint)`, which editors can parse. */
export function formatIssue(issue: Issue): string {
  const place = issue.line > 0 ? `:${issue.line}:${issue.column}` : '';
  const key = issue.path === '' ? '' : `${issue.path}: `;
  const hint = issue.hint === undefined ? '' : ` ${issue.hint}`;
  return `${issue.file}${place}: ${issue.severity}: ${key}${issue.message}${hint}`;
}
