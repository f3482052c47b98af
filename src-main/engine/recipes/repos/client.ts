import { existsSync } from 'node:fs';
import { EngineError, isCancelled } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import type { Step } from '../../core/operation.ts';
import type { SshConnection } from '../../guest/ssh.ts';
import { distroOf } from '../../plan/distro.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import { CLIENT_PATHS, clientFile, type ServedRepo, servedRepos } from '../../repos/serve/client-file.ts';
import { visitGuest } from '../../runtime/access.ts';
import { activeVms, PARALLEL } from '../../runtime/bring-down.ts';
import { packageServer } from '../../runtime/packages/package-server.ts';
import type { RecipeContext } from '../../runtime/recipe.ts';

/** Files that guests should have, as they are called there; undefined: none. */
type WantedFiles = Readonly<Record<ServedRepo['kind'], string | undefined>>;

/**
 * Tells all VMs that run where the environment's packages are, as `tellGuest` does. A VM that cannot be reached is a warning: its own scripts
 * will fail, if it has any.
 */
export async function tellGuests(context: RecipeContext, prefix: Prefix, step: Step): Promise<void> {
  // Nothing is served on another machine.
  if (prefix.record?.repos?.client !== 'auto' || prefix.record.host?.kind === 'remote') return;
  const session = await context.hosts.find(prefix, step.signal);
  if (session === undefined) return;
  const running = await activeVms(session, prefix, step.signal);
  await step.step('Tell the VMs where packages are', async (all) => {
    await all.each(
      running,
      PARALLEL,
      (vm) => `Tell ${vm.name}`,
      async (vm, one) => {
        try {
          await using guest = await visitGuest(context, prefix, vm, { signal: one.signal, onWait: (message) => one.progress(0, message) });
          await tellGuest(prefix, vm, guest.connection, one);
        } catch (error) {
          if (!(error instanceof EngineError) || isCancelled(error)) throw error;
          one.log.warn(`${vm.name} was not told where its packages are: ${error.message}`);
        }
      },
    );
  });
}

/**
 * Writes into a guest where the environment's packages for its distribution are, in place of what an earlier call wrote; takes that away when
 * there are none. A guest without yum, dnf and apt is left alone.
 */
async function tellGuest(prefix: Prefix, vm: VmSpec, connection: SshConnection, step: Step): Promise<void> {
  const wanted = await filesFor(prefix, vm);
  for (const kind of ['rpm', 'deb'] as const) {
    const path = CLIENT_PATHS[kind];
    const content = wanted[kind];
    const result = await connection.exec(content === undefined ? `rm -f ${path}` : writing(path), {
      input: content ?? '',
      signal: step.signal,
    });
    if (result.code !== 0) step.log.warn(`${vm.name} was not told where its packages are: ${result.stderr.trim()}`);
  }
}

/** Writes stdin to the file, at once, if its folder is there: that is what the package manager made. */
function writing(path: string): string {
  const folder = path.slice(0, path.lastIndexOf('/'));
  return `if [ -d ${folder} ]; then cat >${path}.new && mv ${path}.new ${path}; fi`;
}

async function filesFor(prefix: Prefix, vm: VmSpec): Promise<WantedFiles> {
  const { folder, address, port } = packageServer(prefix);
  const repos = existsSync(folder) ? await servedRepos(folder) : [];
  const own = repos.filter(({ distro }) => distro === distroOf(vm));
  const content = (kind: ServedRepo['kind']): string | undefined => {
    const repo = own.find((one) => one.kind === kind);
    return repo === undefined ? undefined : clientFile(`http://${address}:${port}/`, repo).content;
  };
  return { rpm: content('rpm'), deb: content('deb') };
}
