import { quote } from '../../../src-shared/init-file/name-rules.ts';
import type { DomainDefinition } from '../../../src-shared/init-file/schema.ts';
import type { IssueList, PlanContext } from './plan-context.ts';
import { askConsent, expandVariables, reportMissing, reportUnusable, resolvePath } from './plan-paths.ts';

/** One deploy script to be copied into the prefix. */
export interface ScriptCopy {
  /** Absolute path on this machine. */
  readonly source: string;
  /** `$LAGO_PREFIX_PATH/scripts/NAME` */
  readonly path: string;
}

/**
 * Names the copies of deploy scripts: the path as given, variables replaced, `/` as `_`. A script used by several VMs is copied once. Two
 * paths that would get the same name (`a/b` and `a_b`) get different ones, unlike in Lago.
 */
export class ScriptPlanner {
  readonly #context: PlanContext;
  readonly #issues: IssueList;
  readonly #copies = new Map<string, ScriptCopy>();
  readonly #names = new Set<string>();

  constructor(context: PlanContext, issues: IssueList) {
    this.#context = context;
    this.#issues = issues;
  }

  get copies(): readonly ScriptCopy[] {
    return [...this.#copies.values()];
  }

  /** The copies that this VM runs, in order. `deploy-scripts` takes precedence over its old name `ovirt-scripts`. */
  plan(vm: string, domain: DomainDefinition): readonly ScriptCopy[] {
    const metadata = domain.metadata ?? {};
    const field = isFilled(metadata['deploy-scripts']) ? 'deploy-scripts' : 'ovirt-scripts';
    const given = metadata[field];
    if (given === undefined || given === null) return [];
    const key = ['domains', vm, 'metadata', field];
    if (!Array.isArray(given)) {
      this.#issues.error(key, `${field} must be a list of paths.`);
      return [];
    }
    return given.flatMap((path: unknown, index) => {
      if (typeof path === 'string' && path !== '' && !path.includes('\0')) return this.#copy(path, [...key, index]);
      this.#issues.error([...key, index], 'A deploy script is given by its path.');
      return [];
    });
  }

  #copy(given: string, key: readonly (string | number)[]): readonly ScriptCopy[] {
    const source = resolvePath(given, key, this.#context, this.#issues);
    const found = this.#context.fileInfo(source);
    const info = found?.packed === undefined ? found : undefined;
    if (info === undefined) {
      reportMissing('Script', source, key, this.#issues);
      return [];
    }
    if (info.kind !== 'file' && info.problem === undefined) {
      this.#issues.error(key, `The deploy script ${quote(source)} is not a file.`, 'Name a file.');
      return [];
    }
    if (info.problem !== undefined) {
      reportUnusable('Script', source, info.problem, key, this.#issues);
      return [];
    }
    askConsent(source, info, 'read', key, this.#context, this.#issues);
    const known = this.#copies.get(source);
    if (known !== undefined) return [known];
    const copy: ScriptCopy = { source, path: `$LAGO_PREFIX_PATH/scripts/${this.#name(expandVariables(given, this.#context))}` };
    this.#copies.set(source, copy);
    return [copy];
  }

  #name(expanded: string): string {
    const wanted = expanded.replaceAll('/', '_').slice(-200);
    let name = wanted;
    for (let count = 2; this.#names.has(name); count++) name = `${wanted}.${count}`;
    this.#names.add(name);
    return name;
  }
}

function isFilled(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null;
}
