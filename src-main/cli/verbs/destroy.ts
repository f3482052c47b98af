import { lstat, unlink } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { EngineError } from '../../../src-shared/errors.ts';
import { type Engine, endOrphanedHosts, listRunningHosts, type PrefixLocation, resolveWorkdir, type Workdir } from '../../engine/index.ts';
import type { VerbContext } from '../context.ts';
import { flagValue } from '../parser/table.ts';

/** `lago destroy`: also removes incomplete and already cleaned prefixes. If the prefix is a symlink, removes only the link. */
export async function destroy(context: VerbContext): Promise<number> {
  if (flagValue(context.values, 'orphans')) return await destroyOrphans(context);
  if (flagValue(context.values, 'all_prefixes')) return await destroyAll(context);
  const prefix = await context.prefix();
  if (!(await agreed(context, prefix.path))) return 0;
  await context.withEngine(async (engine) => await destroyOne(context, engine, prefix));
  return 0;
}

async function destroyOrphans(context: VerbContext): Promise<number> {
  const orphans = (await listRunningHosts()).filter((host) => host.orphaned);
  if (orphans.length > 0 && !(await agreed(context, `the VMs that were in ${orphans.map((host) => host.prefix).join(', ')}`))) return 0;
  for (const { prefix, pid } of await endOrphanedHosts()) context.log.message('info', `Ended the host of ${prefix} (pid ${pid}).`);
  return 0;
}

async function destroyAll(context: VerbContext): Promise<number> {
  const workdir = await resolveWorkdir({ cwd: context.around.cwd, workdirPath: context.location().workdirPath });
  if (!(await agreed(context, `all the prefixes under ${workdir.path}`))) return 0;
  await context.withEngine(async (engine) => {
    for (const name of await workdir.list()) {
      const path = workdir.prefixPath(name);
      if (await workdir.holdsPrefix(name)) await destroyOne(context, engine, { path, name, workdir: workdir.path });
      else context.log.message('warning', `${path} is not a Lago prefix, and is not removed.`);
    }
  });
  await workdir.repair();
  return 0;
}

async function destroyOne(context: VerbContext, engine: Engine, prefix: PrefixLocation): Promise<void> {
  const link = prefix.workdir === null ? undefined : await linkOf(prefix.workdir, prefix.name);
  if (link === undefined) {
    const input = flagValue(context.values, 'forget') ? { forget: true } : {};
    await context.follow((options) => engine.prefix.destroy(prefix.path, input, options));
    return;
  }
  await unlink(link.path);
  await link.workdir.repair();
  context.log.message('info', `${link.path} was a link; only the link was removed.`);
}

async function linkOf(workdirPath: string, name: string): Promise<{ readonly path: string; readonly workdir: Workdir } | undefined> {
  const workdir = await resolveWorkdir({ cwd: workdirPath, workdirPath });
  const path = workdir.prefixPath(name);
  return (await lstat(path)).isSymbolicLink() ? { path, workdir } : undefined;
}

async function agreed(context: VerbContext, what: string): Promise<boolean> {
  if (flagValue(context.values, 'yes')) return true;
  const { stdin, stderr } = context.around;
  if (stdin.isTTY !== true) {
    throw new EngineError('input.usage', `Not destroying ${what}: standard input is not a terminal, so it cannot ask.`, {
      hint: 'Use "lago destroy --yes".',
    });
  }
  const reader = createInterface({ input: stdin, output: stderr });
  try {
    const answer = await reader.question(`Do you really want to destroy ${what}? [Yn] `, { signal: context.signal });
    if (['', 'y', 'yes'].includes(answer.trim().toLowerCase())) return true;
  } finally {
    reader.close();
  }
  context.log.message('info', 'Aborting on user input');
  return false;
}
