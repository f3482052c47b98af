import { formatIssue, type Issue } from '../../src-shared/issue.ts';
import type { VerbContext } from './context.ts';

/** Prints issues on stderr. `ignore_warnings` hides all but errors. Returns whether there is an error. */
export function reportIssues(context: VerbContext, issues: readonly Issue[]): boolean {
  const quiet = context.config.flag('ignore_warnings');
  for (const issue of issues) {
    if (issue.severity === 'error') context.log.message('error', formatIssue(issue));
    else if (!quiet) context.log.message(issue.severity, formatIssue(issue));
  }
  return issues.some((issue) => issue.severity === 'error');
}
