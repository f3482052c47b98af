import { access, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Inspection } from '../../../src-shared/contract.ts';
import type { HostChoice } from '../../../src-shared/host/host-choice.ts';
import type { Plan } from '../../../src-shared/plan.ts';
import { silentLog } from '../core/log.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import { defaultHostChoice } from '../runtime/session.ts';
import { draftEnvironment } from './draft.ts';

export interface InspectRequest {
  /** The init file's text, instead of its saved content. */
  readonly text?: string | undefined;
  readonly workdir: string;
  readonly name?: string | undefined;
  readonly host?: HostChoice | undefined;
  readonly freshLeases?: boolean;
  readonly allowPaths?: readonly string[] | undefined;
  readonly signal?: AbortSignal;
}

/** Written for each overlay on creation: qcow2 header and tables. */
const OVERLAY_BYTES = 256 * 1024;

/** What an init file would create: issues, and the plan if there is one. Changes nothing. `input.missing-file`. */
export async function inspectInitFile(context: RecipeContext, path: string, request: InspectRequest): Promise<Inspection> {
  const file = resolve(path);
  const workdir = resolve(request.workdir);
  const name = request.name ?? (await freeName(workdir, await proposedName(file)));
  const draft = await draftEnvironment(context, silentLog, {
    initFile: file,
    text: request.text,
    root: join(workdir, name),
    workdir,
    host: request.host ?? defaultHostChoice(context.settings),
    cwd: process.cwd(),
    ...(request.freshLeases === undefined ? {} : { freshLeases: request.freshLeases }),
    allowPaths: request.allowPaths,
    signal: request.signal,
  });
  const plan = draft.environment?.plan;
  return {
    file,
    name,
    workdir,
    issues: [...draft.issues],
    outside: [...draft.outside],
    ...(plan === undefined ? {} : { plan: { ...plan, issues: [...draft.issues] } }),
    memory: Object.values(plan?.vms ?? {}).reduce((sum, vm) => sum + vm.memory, 0),
    disk: plan === undefined ? 0 : diskNeed(plan),
  };
}

/** Bytes written by creating it: downloads and small overlays; empty disks are sparse. */
function diskNeed(plan: Plan): number {
  const downloads = plan.downloads.reduce((sum, download) => sum + (download.size ?? 0), 0);
  const disks = Object.values(plan.vms).reduce((sum, vm) => sum + vm.disks.length, 0);
  return downloads + disks * OVERLAY_BYTES;
}

/** The file's own name, or its folder's if the file has a standard name. */
async function proposedName(file: string): Promise<string> {
  const stem = basename(file).replace(/\.(json|ya?ml|in)$/i, '');
  const folder = (await stat(file).catch(() => undefined))?.isDirectory() === true ? basename(file) : basename(dirname(file));
  const source = /^(lagoinitfile|init|default)$/i.test(stem) ? folder : stem;
  const name = source
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '-')
    .replace(/^[^a-z0-9]+|-+$/g, '')
    .slice(0, 40);
  return name === '' ? 'environment' : name;
}

async function freeName(workdir: string, name: string): Promise<string> {
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? name : `${name}-${number}`;
    const taken = await access(join(workdir, candidate)).then(
      () => true,
      () => false,
    );
    if (!taken) return candidate;
  }
}
