import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { formatBytes } from '../../../src-shared/bytes.ts';
import type { Inspection } from '../../../src-shared/contract.ts';
import { formatIssue } from '../../../src-shared/issue.ts';
import type { Plan } from '../../../src-shared/plan.ts';
import type { EngineSettings } from '../../engine/index.ts';
import type { VerbContext } from '../context.ts';
import { reportIssues } from '../issues.ts';
import { flagValue, listValue, textValue } from '../parser/table.ts';

async function inspect(context: VerbContext, changes: Partial<EngineSettings> = {}): Promise<Inspection> {
  const file = resolve(context.around.cwd, textValue(context.values, 'file') ?? 'LagoInitFile');
  const workdir = resolve(context.around.cwd, context.config.get('workdir_path') || '.lago');
  const allowPaths = listValue(context.values, 'allow_path') ?? [];
  return await context.withEngine(async (engine) => await engine.initFile.inspect(file, { workdir, allowPaths }), changes);
}

/** `lago validate FILE`: prints the issues on stdout, as they are its output. Returns 2 when `init` would refuse the file here. */
export async function validate(context: VerbContext): Promise<number> {
  const { file, issues } = await inspect(context);
  if (context.format !== 'default') context.printValue(issues, 'kept');
  else if (issues.length === 0) context.print(`${file}: no problems found`);
  else context.print(issues.map(formatIssue).join('\n'));
  return issues.some((issue) => issue.severity === 'error') ? 2 : 0;
}

/** `lago plan FILE`: prints the plan on stdout and, in the default format, its issues on stderr. */
export async function plan(context: VerbContext): Promise<number> {
  const inspection = flagValue(context.values, 'fresh_leases') ? await withFreshLeases(context) : await inspect(context);
  if (context.format === 'default') {
    reportIssues(context, inspection.issues);
    if (inspection.plan !== undefined) context.printValue({ Plan: planForPeople(inspection.plan) });
  } else context.printValue(inspection.plan ?? { vms: {}, nets: {}, downloads: [], issues: inspection.issues }, 'kept');
  // Something missing on this machine does not make the plan invalid.
  return inspection.issues.some((issue) => issue.severity === 'error' && issue.about !== 'machine') ? 2 : 0;
}

/** The plan with mappings in place of lists, which the default format prints badly, and with sizes in units. */
export function planForPeople(plan: Plan): Record<string, unknown> {
  const vms = Object.entries(plan.vms).map(([name, vm]) => [
    name,
    {
      ...vm,
      memory: formatBytes(vm.memory * 1024 ** 2),
      disks: Object.fromEntries(
        vm.disks.map(({ dev, ...disk }) => [dev, { ...disk, size: disk.size === null ? null : formatBytes(disk.size) }]),
      ),
      nics: Object.fromEntries(vm.nics.map((nic, index) => [`eth${index}`, nic])),
      groups: vm.groups.join(', '),
      scripts: vm.scripts.length === 0 ? null : vm.scripts,
    },
  ]);
  const downloads = plan.downloads.map(({ name, from, size }) => [name, { from, size: size === null ? null : formatBytes(size) }]);
  return { downloads: Object.fromEntries(downloads), nets: plan.nets, vms: Object.fromEntries(vms) };
}

async function withFreshLeases(context: VerbContext): Promise<Inspection> {
  const leaseDir = await mkdtemp(join(tmpdir(), 'lago-leases-'));
  try {
    return await inspect(context, { leaseDir });
  } finally {
    await rm(leaseDir, { recursive: true, force: true });
  }
}
