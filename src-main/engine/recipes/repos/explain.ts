import type { RepoExplanation } from '../../../../src-shared/repos/package-repos.ts';
import type { EngineSettings } from '../../configuration/settings.ts';
import { chooseRepos } from './choose-repos.ts';
import type { RepoRequest } from './repo-request.ts';

/** Says which sections are used and why, before anything is fetched; see `chooseRepos`. Changes nothing and contacts no server. */
export async function explainRepos(
  context: { readonly settings: Pick<EngineSettings, 'reposyncConfig'> },
  root: string | undefined,
  request: RepoRequest,
): Promise<RepoExplanation> {
  const { sections, issues } = await chooseRepos(context, root, request);
  return {
    sections: sections.map(({ section, used, distro, reason }) => ({
      id: section.id,
      used,
      distro,
      reason,
      baseurl: section.kind === 'rpm' ? [...section.baseurls] : [section.uri],
      excludes: [...section.excludes],
    })),
    issues: [...issues],
  };
}
