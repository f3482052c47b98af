import type { VmSpec } from '../../../src-shared/specs.ts';
import type { Step } from '../core/operation.ts';
import { findAgent, type GuestAgent } from '../guest/agent.ts';
import { domainName, type Prefix } from '../prefix/prefix.ts';
import type { HostSession } from './session.ts';

/** The agent of a VM that runs; see `findAgent`. */
export async function agentOf(
  { hypervisor }: HostSession,
  prefix: Prefix,
  vm: VmSpec,
  { signal, log }: Pick<Step, 'signal' | 'log'>,
): Promise<GuestAgent | undefined> {
  const domain = domainName(prefix.uuid, vm.name);
  const ask = async (command: string, options: { readonly signal: AbortSignal; readonly timeoutMs: number }): Promise<string> =>
    await hypervisor.agentCommand(domain, command, options);
  return await findAgent(vm.name, ask, signal, log);
}
