import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { listRunningHosts, resolveWorkdir } from '../../engine/index.ts';
import type { VerbContext } from '../context.ts';
import { bootText } from '../output/boot-text.ts';
import { statusModel } from '../output/status-model.ts';
import { flagValue, listValue, textValue } from '../parser/table.ts';

/** `lago status [--why [VM…]]`: read-only; starts nothing. */
export async function status(context: VerbContext): Promise<number> {
  const prefix = await context.prefix();
  const why = listValue(context.values, 'why');
  if (why !== undefined) return await whyNotUp(context, prefix.path, why);
  const { state, passwords } = await context.withEngine(async (engine) => {
    return { state: await engine.prefix.status(prefix.path), passwords: await engine.vm.rootPasswords(prefix.path) };
  });
  const problems = [state.problem, state.host.problem, ...state.networks.map((net) => net.problem)];
  for (const problem of problems) if (typeof problem === 'string') context.log.message('warning', problem);
  context.printValue(statusModel(state, passwords));
  return 0;
}

async function whyNotUp(context: VerbContext, prefix: string, vms: readonly string[]): Promise<number> {
  const boots = await context.withEngine(async (engine) => await engine.vm.boot(prefix, vms, context.signal));
  if (context.format === 'default') for (const [vm, boot] of Object.entries(boots)) context.print(bootText(vm, boot));
  else context.printValue(boots);
  return 0;
}

/** `lago list [WORKDIR_PATH]`. Accepts `list prefixes` and `list envs`, the syntax of Lago 0.29, as synonyms. */
export async function list(context: VerbContext): Promise<number> {
  if (flagValue(context.values, 'running')) return await listRunning(context);
  const given = textValue(context.values, 'workdir_path');
  const { cwd } = context.around;
  const old = (given === 'prefixes' || given === 'envs') && !existsSync(resolve(cwd, given));
  const path = given === undefined || old ? context.location().workdirPath : given;
  const workdir = await resolveWorkdir({ cwd, workdirPath: path });
  const names = await workdir.list();
  if (names.length > 0 || context.format === 'json' || context.format === 'yaml') context.printValue(names);
  return 0;
}

/** `lago list --running`: all running environments of this machine, and how to end those whose folder is gone. */
async function listRunning(context: VerbContext): Promise<number> {
  const hosts = await listRunningHosts();
  if (context.format === 'json' || context.format === 'yaml') {
    context.printValue(hosts.map(({ id, pid, prefix, orphaned }) => ({ prefix, pid, uuid: id ?? null, orphaned })));
    return 0;
  }
  for (const { prefix, pid, orphaned } of hosts) context.print(`${prefix} (pid ${pid})${orphaned ? ': its folder is gone' : ''}`);
  if (hosts.some((host) => host.orphaned)) context.log.message('info', 'End those whose folder is gone with "lago destroy --orphans".');
  return 0;
}

export async function setCurrent(context: VerbContext): Promise<number> {
  const { cwd } = context.around;
  const workdir = await resolveWorkdir({ cwd, workdirPath: context.location().workdirPath });
  await workdir.setCurrent(textValue(context.values, 'prefix_name') ?? '');
  return 0;
}
