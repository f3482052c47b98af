import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { EngineError } from '../../../../src-shared/errors.ts';
import { run } from '../../core/run.ts';
import { findXml, readXml } from '../../core/xml/read-xml.ts';
import { findQemu } from '../../host/kvm.ts';
import type { HostSession } from '../../runtime/session.ts';

/** A machine's processor as its kernel sees it. */
const Processor = z.object({ vendor: z.string(), model: z.string(), flags: z.array(z.string()) });
export type Processor = z.infer<typeof Processor>;

/** What the memory of VMs needs of the machine on which they go on. */
export const NeededMachine = z.object({
  accelerator: z.enum(['kvm', 'tcg']),
  /** QEMU's machine types. */
  types: z.array(z.string()),
  /** Of the machine that it was written on; null when no VM has that machine's own processor. */
  processor: Processor.nullable(),
  /** Version of the QEMU that wrote it; empty when it is not known. */
  qemu: z.string(),
});
export type NeededMachine = z.infer<typeof NeededMachine>;

/**
 * Flags by which kernels tell of themselves, of power and heat, and of what only they use: guests do not see them, and the same processor
 * has others under another kernel.
 */
const OF_THE_KERNEL = new RegExp(
  `^(?:${[
    'constant_tsc|nonstop_tsc|tsc_reliable|tsc_known_freq|rep_good|nopl|xtopology|cpuid|amd_dcm|aperfmperf|extd_apicid|acc_power',
    'arch_perfmon|pebs|bts|ds_cpl|dtes64|dts|acpi|tm2?|est|epb|dtherm|ida|arat|pln|pts|hwp\\w*|hfi|monitor|smx|hypervisor|split_lock_detect',
    'retpoline\\w*|ibrs|ibpb|stibp|ssbd|ibrs_enhanced|pti|kaiser|flush_l1d|invpcid_single|user_shstk',
    'tpr_shadow|flexpriority|ept|ept_ad|vpid|vnmi|cqm\\w*|rdt_a|cat_l\\d|cdp_l\\d|mba',
  ].join('|')})$`,
);

/** What a machine has. */
export interface Machine {
  readonly accelerator: 'kvm' | 'tcg' | 'unknown';
  readonly processor: Processor | null;
  readonly qemu: string;
}

/** What VMs with these descriptions need, whose memory was written on this machine; null without any. */
export async function neededMachine(descriptions: readonly string[], signal: AbortSignal): Promise<NeededMachine | null> {
  if (descriptions.length === 0) return null;
  const domains = descriptions.map((xml) => readXml(xml));
  const types = domains.flatMap((domain) => findXml(domain, 'os', 'type')?.attributes.get('machine') ?? []);
  const own = domains.some((domain) => findXml(domain, 'cpu')?.attributes.get('mode') === 'host-passthrough');
  return {
    accelerator: domains.some((domain) => domain.attributes.get('type') === 'kvm') ? 'kvm' : 'tcg',
    types: [...new Set(types)].sort(),
    processor: own ? await readProcessor() : null,
    qemu: await qemuVersion(signal),
  };
}

/** `not-available` when the VMs cannot go on on this machine, with the reason. */
export async function requireMachine({ host, hypervisor }: HostSession, needed: NeededMachine, signal: AbortSignal): Promise<void> {
  const qemu = (await hypervisor.version({ signal })).hypervisor;
  const problem = machineProblem(needed, { accelerator: host.accelerator, processor: await readProcessor(), qemu });
  if (problem !== undefined) throw problem;
  for (const machine of needed.types) {
    try {
      const virtType = needed.accelerator === 'kvm' ? 'kvm' : 'qemu';
      await hypervisor.domainCapabilities({ arch: 'x86_64', machine, virtType }, { signal });
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== 'hypervisor.failed') throw error;
      throw new EngineError('not-available', `The QEMU of this machine does not have the machine type ${machine} any more.`, {
        cause: error,
        hint: 'Resume it with a QEMU nearer to the one that wrote it, and take a snapshot there with the VMs off.',
      });
    }
  }
}

/** Why memory that needs one machine cannot go on on another; undefined when it can. */
export function machineProblem(needed: NeededMachine, here: Machine): EngineError | undefined {
  const name = { kvm: 'hardware virtualization (KVM)', tcg: 'software emulation' };
  if (here.accelerator !== needed.accelerator) {
    return problem(
      `The VMs ran with ${name[needed.accelerator]}, and would not here${here.accelerator === 'unknown' ? '' : `, where there is ${name[here.accelerator]}`}.`,
      needed.accelerator === 'kvm'
        ? 'Resume it on a machine on which KVM works (lago-desktop shows that under “This machine”).'
        : 'Set "accelerator = tcg" in lago.conf for this environment.',
    );
  }
  if (isOlder(here.qemu, needed.qemu)) {
    return problem(`The memory was written by QEMU ${needed.qemu}, and QEMU is older here (${here.qemu}).`, 'Update QEMU on this machine.');
  }
  const { processor } = needed;
  if (processor === null) return undefined;
  const missing = processor.flags.filter((flag) => !OF_THE_KERNEL.test(flag) && here.processor?.flags.includes(flag) !== true);
  if (here.processor?.vendor === processor.vendor && missing.length === 0) return undefined;
  const lacks = missing.length === 0 ? '' : `; missing: ${missing.slice(0, 8).join(', ')}${missing.length > 8 ? '…' : ''}`;
  return problem(
    `The VMs need the processor that they ran on (${processor.model}), and this machine has another one (${here.processor?.model ?? 'unknown'})${lacks}.`,
    'Resume it on a machine of that kind. For snapshots that go anywhere, give the VMs a "cpu_model" in the init file.',
  );
}

function problem(message: string, hint: string): EngineError {
  return new EngineError('not-available', message, { hint });
}

/** By major and minor number; fixes do not change what memory looks like. Never when a version is not known. */
function isOlder(one: string, other: string): boolean {
  const [a = 0, b = 0] = one.split('.').map(Number);
  const [c = 0, d = 0] = other.split('.').map(Number);
  return one !== '' && other !== '' && (a < c || (a === c && b < d));
}

async function readProcessor(): Promise<Processor | null> {
  return parseProcessor(await readFile('/proc/cpuinfo', 'utf8'));
}

/** The first processor of the kernel's `/proc/cpuinfo`. */
export function parseProcessor(text: string): Processor | null {
  const value = (key: string): string => new RegExp(`^${key}\\s*: (.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
  const flags = value('flags').split(/\s+/).filter(Boolean);
  return flags.length === 0 ? null : { vendor: value('vendor_id'), model: value('model name'), flags };
}

async function qemuVersion(signal: AbortSignal): Promise<string> {
  const qemu = findQemu();
  if (qemu === undefined) return '';
  const { stdout } = await run([qemu, '--version'], { signal });
  return /version (\d+\.\d+(?:\.\d+)?)/.exec(stdout)?.[1] ?? '';
}
