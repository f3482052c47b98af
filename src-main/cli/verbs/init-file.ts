import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Inspection } from '../../../src-shared/contract.ts';
import { formatIssue } from '../../../src-shared/issue.ts';
import type { EngineSettings } from '../../engine/index.ts';
import type { VerbContext } from '../context.ts';
import { reportIssues } from '../issues.ts';
import { flagValue, textValue } from '../parser/table.ts';

async function inspect(context: VerbContext, changes: Partial<EngineSettings> = {}): Promise<Inspection> {
  const file = resolve(context.around.cwd, textValue(context.values, 'file') ?? 'LagoInitFile');
  const workdir = resolve(context.around.cwd, context.config.get('workdir_path') || '.lago');
  return await context.withEngine(async (engine) => await engine.inspect(file, { workdir }), changes);
}

function exitCode(inspection: Inspection): number {
  return inspection.issues.some((issue) => issue.severity === 'error') ? 2 : 0;
}

/** `lago validate FILE`: the issues are the output, so they go to stdout. */
export async function validate(context: VerbContext): Promise<number> {
  const inspection = await inspect(context);
  if (context.format !== 'default') context.printValue(inspection.issues);
  else if (inspection.issues.length === 0) context.print(`${inspection.file}: no problems found`);
  else context.print(inspection.issues.map(formatIssue).join('\n'));
  return exitCode(inspection);
}

/** `lago plan FILE`: the plan goes to stdout, and for people its issues to stderr. */
export async function plan(context: VerbContext): Promise<number> {
  const inspection = flagValue(context.values, 'fresh_leases') ? await withFreshLeases(context) : await inspect(context);
  if (context.format === 'default') {
    reportIssues(context, inspection.issues);
    if (inspection.plan !== undefined) {
      const { vms, nets, downloads } = inspection.plan;
      context.printValue({ Plan: { vms, nets, downloads: downloads.map((one) => `${one.name} from ${one.from}`) } });
    }
  } else context.printValue(inspection.plan ?? { vms: {}, nets: {}, downloads: [], issues: inspection.issues });
  return exitCode(inspection);
}

async function withFreshLeases(context: VerbContext): Promise<Inspection> {
  const leaseDir = await mkdtemp(join(tmpdir(), 'lago-leases-'));
  try {
    return await inspect(context, { leaseDir });
  } finally {
    await rm(leaseDir, { recursive: true, force: true });
  }
}
