import { z } from 'zod';
import { Issue } from '../issue.ts';

/** Port on which an environment's packages are served to its VMs, as in Lago. */
export const REPO_PORT = 8585;

/** How a source of packages is merged, at the end of its name: `build:only-missing`. */
export const SOURCE_RULES = ['only-missing', 'pinned', 'latest'] as const;
export type SourceRule = (typeof SOURCE_RULES)[number];

/** A source of packages without the rules at its end, and these. */
export function splitSource(source: string): { readonly place: string; readonly rules: readonly SourceRule[] } {
  const rules: SourceRule[] = [];
  let place = source.trim();
  for (;;) {
    const rule = SOURCE_RULES.find((one) => place.endsWith(`:${one}`));
    if (rule === undefined) return { place, rules };
    rules.unshift(rule);
    place = place.slice(0, -rule.length - 1);
  }
}

/** What an environment has of package repositories, as its init file says (`repos`). Kept in its record. */
export const EnvironmentRepos = z.object({
  /** .repo files and apt sources; absolute paths. */
  files: z.array(z.string()),
  /** Ids of the sections to use; by Lago's rule if absent. */
  sections: z.array(z.string()).optional(),
  /** What is merged with what was synchronised: URLs, absolute paths and patterns, each perhaps with rules at its end; see `splitSource`. */
  sources: z.array(z.string()),
  /** Whether guests are told by themselves where the packages are. */
  client: z.enum(['auto', 'none']),
  /** Whether they are served while the environment runs. */
  serve: z.boolean(),
  port: z.number(),
});
export type EnvironmentRepos = z.infer<typeof EnvironmentRepos>;

/** Whether one section of a file is used; documented and stable as the JSON output of `lago repo explain`. */
export const ExplainedSection = z.object({
  id: z.string(),
  used: z.boolean(),
  /** The part of its id after the last `-`; null without one. */
  distro: z.string().nullable(),
  /** Why it is used or not, one sentence. */
  reason: z.string(),
  /** Addresses, with variables replaced where they are known. */
  baseurl: z.array(z.string()),
  /** Patterns of packages that are left out. */
  excludes: z.array(z.string()),
});
export type ExplainedSection = z.infer<typeof ExplainedSection>;

/** What files of package repositories mean for an environment. */
export const RepoExplanation = z.object({
  /** In the order of the files. */
  sections: z.array(ExplainedSection),
  issues: z.array(Issue),
});
export type RepoExplanation = z.infer<typeof RepoExplanation>;
