import { posix } from 'node:path';
import { quote } from '../../../src-shared/init-file/name-rules.ts';
import type { PathKey } from '../../../src-shared/init-file/source.ts';
import type { FileInfo, IssueList, PlanContext } from './plan-context.ts';
import type { FileAccess } from './trust.ts';

/**
 * Replaces `$NAME` and `${NAME}` like Python's expandvars: unknown variables stay. Lago sets LAGO_INITFILE_PATH, LAGO_PREFIX_PATH and
 * LAGO_WORKDIR_PATH during init; they take precedence over the environment.
 */
export function expandVariables(text: string, context: Pick<PlanContext, 'env' | 'initFileDir' | 'prefixPath' | 'workdirPath'>): string {
  const own: Readonly<Record<string, string | undefined>> = {
    LAGO_INITFILE_PATH: context.initFileDir,
    LAGO_PREFIX_PATH: context.prefixPath,
    LAGO_WORKDIR_PATH: context.workdirPath,
  };
  return text.replace(/\$(?:\{([^}]*)\}|([A-Za-z0-9_]+))/g, (whole, braced: string | undefined, bare: string | undefined) => {
    const name = braced ?? bare ?? '';
    const value = Object.hasOwn(own, name) ? own[name] : undefined;
    return value ?? (Object.hasOwn(context.env, name) ? context.env[name] : undefined) ?? whole;
  });
}

/** The first unreplaced `$NAME` in a text. */
export function unsetVariable(text: string): string | undefined {
  return /\$(?:\{[^}]*\}|[A-Za-z_][A-Za-z0-9_]*)/.exec(text)?.[0];
}

/**
 * Resolves a path of the init file: variables replaced, relative to the init file's folder. Lago used the current folder; a file that
 * exists only there is used, with an issue that says so.
 */
export function resolvePath(given: string, key: readonly PathKey[], context: PlanContext, issues: IssueList): string {
  const expanded = expandVariables(given, context);
  if (posix.isAbsolute(expanded)) return posix.normalize(expanded);
  const beside = posix.resolve(context.initFileDir, expanded);
  const current = posix.resolve(context.cwd, expanded);
  if (beside === current) return beside;
  const isBeside = context.fileInfo(beside) !== undefined;
  if (context.fileInfo(current) === undefined) return beside;
  if (isBeside) {
    issues.warning(key, `${quote(expanded)} exists beside the init file and in the current folder; the one beside the init file is used.`);
    return beside;
  }
  issues.info(key, `${quote(expanded)} is taken from the current folder, as Lago did; beside the init file there is none.`);
  return current;
}

/** Reports a missing file, and that an unset variable may be the reason. */
export function reportMissing(what: string, path: string, key: readonly PathKey[], issues: IssueList): void {
  const variable = unsetVariable(path);
  const hint =
    variable === undefined ? 'Relative paths begin at the folder of the init file.' : `The environment variable ${variable} is not set.`;
  issues.lacking(key, `${what} ${path} does not exist.`, hint);
}

/** Reports why an existing file cannot be used. */
export function reportUnusable(what: string, path: string, problem: string, key: readonly PathKey[], issues: IssueList): void {
  issues.lacking(key, `${what} ${path} cannot be used: ${problem}.`, 'Give yourself the right to read it, or name another file.');
}

/** Requests permission for a file outside of what an init file may name. */
export function askConsent(
  path: string,
  info: FileInfo,
  access: FileAccess,
  key: readonly PathKey[],
  context: PlanContext,
  issues: IssueList,
): void {
  const real = info.target ?? info.packed ?? path;
  const belonging = context.trust.judge(real, access);
  if (belonging === 'own') return;
  const leads = real === (info.packed ?? path) ? real : `${path} leads to ${real}, which`;
  const does = access === 'write' ? 'a guest could read and change it' : 'a guest could read it';
  issues.consent(key, real, access, belonging, `${leads} lies outside of the init file's folder; ${does}.`);
}
