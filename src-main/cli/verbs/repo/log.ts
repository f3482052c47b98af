import { formatBytes } from '../../../../src-shared/bytes.ts';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { RepoAccess } from '../../../../src-shared/repos/repo-access.ts';
import type { VerbContext } from '../../context.ts';
import { flagValue, textValue } from '../../parser/table.ts';

/** `lago repo log [--follow] [--vm NAME]`: who fetched what. */
export async function log(context: VerbContext): Promise<number> {
  const { values, signal } = context;
  const prefix = await context.prefix();
  const vm = textValue(values, 'vm');
  const { vms } = await context.around.door.readSpecs(prefix.path);
  if (vm !== undefined && !vms.some(({ name }) => name === vm)) {
    throw new EngineError('vm.missing', `There is no VM "${vm}" in ${prefix.name}.`, {
      hint: `It has: ${vms.map(({ name }) => name).join(', ')}.`,
    });
  }
  const wanted = (access: RepoAccess): boolean => vm === undefined || access.vm === vm;
  const follow = flagValue(values, 'follow');
  return await context.withEngine(async (engine) => {
    const accesses = (await engine.repos.accesses(prefix.path)).filter(wanted);
    if (context.format !== 'default' && !follow) context.printValue(accesses, 'kept');
    else for (const access of accesses) tell(context, access);
    if (!follow) return 0;
    for await (const more of engine.repos.follow(prefix.path, signal)) for (const access of more.filter(wanted)) tell(context, access);
    return 0;
  });
}

/** With another format each request is a value of its own. */
function tell(context: VerbContext, access: RepoAccess): void {
  if (context.format !== 'default') context.printValue(access, 'kept');
  else context.print(textOf(access));
}

function textOf({ time, client, vm, method, path, status, bytes, range, milliseconds }: RepoAccess): string {
  const part = range === null ? '' : `  ${JSON.stringify(range).slice(1, -1)}`;
  // What a guest asks for may have anything in it.
  const asked = JSON.stringify(path).slice(1, -1);
  return `${time}  ${vm ?? client}  ${method} ${asked}  ${status}  ${formatBytes(bytes)}${part}  ${milliseconds} ms`;
}
