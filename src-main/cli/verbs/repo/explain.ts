import type { ExplainedSection } from '../../../../src-shared/repos/package-repos.ts';
import type { VerbContext } from '../../context.ts';
import { reportIssues } from '../../issues.ts';
import { environmentIfAny, repoRequest } from './request.ts';

/** `lago repo explain [FILE…]`: the sections on stdout and, in the default format, the issues on stderr. */
export async function explain(context: VerbContext): Promise<number> {
  const request = repoRequest(context);
  const alone = request.files.length > 0 && request.distros.length > 0;
  const prefix = alone ? undefined : await environmentIfAny(context);
  const explanation = await context.withEngine(async (engine) => await engine.repos.explain(prefix, request));
  const { sections, issues } = explanation;
  if (context.format !== 'default') context.printValue(explanation, 'kept');
  else {
    reportIssues(context, issues);
    if (sections.length > 0) context.print(sections.map(textOf).join('\n'));
  }
  return issues.some((issue) => issue.severity === 'error') ? 2 : 0;
}

function textOf({ id, used, reason, baseurl, excludes }: ExplainedSection): string {
  const lines = [`${used ? '+' : '-'} ${id}: ${reason}`, ...baseurl.map((url) => `    ${url}`)];
  if (excludes.length > 0) lines.push(`    without ${excludes.join(' ')}`);
  return lines.join('\n');
}
