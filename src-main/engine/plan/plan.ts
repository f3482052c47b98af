import { posix } from 'node:path';
import { macOf, octetsOf } from '../../../src-shared/addresses.ts';
import { quote } from '../../../src-shared/init-file/name-rules.ts';
import type { InitFile } from '../../../src-shared/init-file/parse.ts';
import type { DomainDefinition } from '../../../src-shared/init-file/schema.ts';
import type { PathKey } from '../../../src-shared/init-file/source.ts';
import type { Issue } from '../../../src-shared/issue.ts';
import type { OutsidePath, Plan, PlannedNet, PlannedVm } from '../../../src-shared/plan.ts';
import type { EnvironmentRepos } from '../../../src-shared/repos/package-repos.ts';
import type { SnapshotKeep } from '../../../src-shared/snapshot/snapshot-keep.ts';
import type { EnvironmentSpecs, NetSpec, NicSpec, VmSpec } from '../../../src-shared/specs.ts';
import { type BuilderOptions, customizeProblems, filesOf } from '../appliance/customize-options.ts';
import { guestFamily } from '../appliance/sysprep-commands.ts';
import { cpuCustomProblem, vcpuOf } from '../libvirt/xml/cpu.ts';
import { distroOf } from './distro.ts';
import { IssueList, type PlanContext } from './plan-context.ts';
import { type DiskJob, type OvaImport, type PlannedDisks, planDisks } from './plan-disks.ts';
import { planNets } from './plan-nets.ts';
import { askConsent, reportMissing, reportUnusable } from './plan-paths.ts';
import { planRepos } from './plan-repos.ts';
import { type ScriptCopy, ScriptPlanner } from './plan-scripts.ts';
import { checkStartOrder } from './start-order.ts';
import { checkUserData, userDataFile, userDataPath } from './user-data.ts';
import { applyVmType, checkKinds, reviewVmTypes, vmTypeOf } from './vm-types.ts';

/** Lago's default when neither the file nor the configuration says anything. */
export const DEFAULT_MEMORY = 16_384;

/** One `build` command that changes a finished image. */
export interface BuildJob {
  readonly vm: string;
  readonly disk: string;
  /** `virt-customize` is the only builder. */
  readonly builder: string;
  readonly options: Readonly<Record<string, unknown>>;
}

export interface PlannedEnvironment {
  /** For the window and `lago plan`. */
  readonly plan: Plan;
  /** Saved below `virt/`, complete except for what an OVA adds. */
  readonly specs: EnvironmentSpecs;
  /** The disks to create, in file order. */
  readonly disks: readonly DiskJob[];
  readonly ovas: readonly OvaImport[];
  readonly scripts: readonly ScriptCopy[];
  readonly builds: readonly BuildJob[];
  /** Which automatic snapshots are kept; undefined where the file says nothing. */
  readonly snapshotKeep: SnapshotKeep | undefined;
  /** Package repositories; undefined where the file says nothing. */
  readonly repos: EnvironmentRepos | undefined;
  /** VM → absolute path of its user-data file. */
  readonly userDataFiles: ReadonlyMap<string, string>;
  /** Files that need the user's permission, including those that have it. */
  readonly outside: readonly OutsidePath[];
  /** All errors, warnings and notes; with an error, nothing may be created. Also in `plan.issues`. */
  readonly issues: readonly Issue[];
}

/**
 * Decides everything about an environment before anything is created: addresses, names, disks, scripts, and all their problems at once.
 * Pure: the same input gives the same result; only `context.lease` keeps count.
 */
export function planEnvironment(init: InitFile, context: PlanContext): PlannedEnvironment {
  const issues = new IssueList(init);
  const { nets, nics, management } = planNets(init, context, issues);
  checkStartOrder(init, issues);
  const scripts = new ScriptPlanner(context, issues);
  const vms: VmSpec[] = [];
  const planned: [string, PlannedVm][] = [];
  const builds: BuildJob[] = [];
  const disks: PlannedDisks[] = [];
  for (const name of init.domainNames) {
    const domain = init.domains[name] as DomainDefinition;
    checkDomain(name, domain, context, issues);
    checkUserData(name, domain['cloud-init'], context, issues);
    const own = planDisks(name, domain, context, issues);
    const copies = scripts.plan(name, domain);
    const type = vmTypeOf(name, domain, context, issues);
    const parts = { nics: nics.get(name) ?? [], management: management.get(name), disks: own, scripts: copies, type };
    const spec = applyVmType(vmSpec(name, domain, parts, context), context, issues);
    disks.push(own);
    vms.push(spec);
    builds.push(...planBuilds(name, domain, context, issues));
    const vm = plannedVm(spec, domain, own, copies, context);
    if (vm.bootstrap === 'none' && domain['root-password'] !== undefined && isHosted(spec['vm-provider'], context)) {
      const message = `Nothing sets the root password of VM ${name}, whose disks are left as they are: it must be the one that they have.`;
      issues.info(['domains', name, 'root-password'], message);
    }
    planned.push([name, vm]);
  }
  const distros = [...new Set(planned.flatMap(([, vm]) => vm.distro ?? []))];
  const repos = planRepos(init, distros, context, issues);
  reviewVmTypes(vms, context, issues);
  const plan: Plan = {
    vms: Object.fromEntries(planned),
    nets: Object.fromEntries(nets.map((net) => [net.name, plannedNet(net)])),
    downloads: uniqueDownloads(disks.flatMap((own) => own.downloads)),
    issues: [...issues.all],
  };
  return {
    plan,
    specs: { vms, nets },
    disks: disks.flatMap((own) => own.jobs),
    ovas: disks.flatMap((own) => own.ova ?? []),
    scripts: scripts.copies,
    builds,
    snapshotKeep: init.snapshotKeep,
    repos,
    userDataFiles: new Map(
      init.domainNames.flatMap((name) => {
        const file = userDataFile(init.domains[name]?.['cloud-init']);
        return file === undefined ? [] : [[name, userDataPath(file, context)] as const];
      }),
    ),
    outside: issues.outside,
    issues: plan.issues,
  };
}

/** Whether libvirt runs the VMs of this provider. */
function isHosted(provider: string, context: PlanContext): boolean {
  return context.defaults.vmProviders.some((candidate) => candidate.name === provider && candidate.hosted === true);
}

function checkDomain(name: string, domain: DomainDefinition, context: PlanContext, issues: IssueList): void {
  const { defaults } = context;
  checkKinds(name, domain, context, issues);
  if (domain.cpu_model !== undefined && domain.cpu_custom !== undefined) {
    issues.error(['domains', name, 'cpu_custom'], 'cpu_model and cpu_custom cannot be given together.', 'Remove one of the two.');
  }
  const cpuProblem = domain.cpu_custom === undefined ? undefined : cpuCustomProblem(domain.cpu_custom);
  if (cpuProblem !== undefined) issues.error(['domains', name, 'cpu_custom'], cpuProblem);
  const provider = domain['vm-provider'] ?? defaults.vmProvider;
  if (isHosted(provider, context) && domain.type !== 'ova' && (domain.disks ?? []).length === 0) {
    issues.warning(['domains', name], `VM ${name} has no disk to boot from.`, 'Add a disk of type template.');
  }
}

interface Parts {
  readonly nics: readonly NicSpec[];
  readonly management: string | undefined;
  readonly disks: PlannedDisks;
  readonly scripts: readonly ScriptCopy[];
  readonly type: string;
}

/** The saved form: the file's keys in their order, then what Lago 1.0 adds. */
function vmSpec(name: string, domain: DomainDefinition, parts: Parts, context: PlanContext): VmSpec {
  const { defaults } = context;
  const { 'based-on': _, type: __, url: ___, nics: ____, disks: _____, metadata, ...kept } = domain;
  const rootPassword = domain['root-password'];
  const sshPassword = domain['ssh-password'] ?? (rootPassword === undefined ? (defaults.rootPassword ?? defaults.sshPassword) : undefined);
  return {
    ...kept,
    memory: domain.memory ?? DEFAULT_MEMORY,
    nics: [...parts.nics],
    disks: [...parts.disks.specs],
    metadata: metadata === undefined ? {} : { ...metadata, 'deploy-scripts': parts.scripts.map((script) => script.path) },
    name,
    ...(parts.management === undefined ? {} : { mgmt_net: parts.management }),
    'vm-type': parts.type,
    snapshots: {},
    ...(sshPassword === undefined ? {} : { 'ssh-password': sshPassword }),
    'ssh-user': domain['ssh-user'] ?? defaults.sshUser,
    'vm-provider': domain['vm-provider'] ?? defaults.vmProvider,
  } as VmSpec;
}

function plannedVm(
  spec: VmSpec,
  domain: DomainDefinition,
  disks: PlannedDisks,
  scripts: readonly ScriptCopy[],
  context: PlanContext,
): PlannedVm {
  // An OVA's own disk comes first, and nothing is known about it yet.
  const booted = disks.ova === undefined ? spec : { ...spec, disks: [] };
  return {
    memory: spec.memory,
    vcpu: vcpuOf(spec),
    mgmt_net: spec.mgmt_net ?? null,
    nics: spec.nics.map((nic) => ({
      net: nic.net,
      ip: nic.ip ?? null,
      mac: nic.ip !== undefined && octetsOf(nic.ip) !== undefined ? macOf(nic.ip) : null,
    })),
    disks: [...disks.disks],
    distro: distroOf(booted) ?? null,
    groups: spec.groups ?? [],
    scripts: scripts.map((script) => script.source),
    bootstrap: bootstrapOf(domain, booted, disks, context),
  };
}

/**
 * How to prepare the first boot: what the file names; else `cloud-init` if file or template mention it; else, as in Lago, virt-sysprep if
 * it can customize the distribution. `true` requires customizing. A disk with unknown content is left alone unless the file says `true` or
 * the configuration says otherwise.
 */
function bootstrapOf(domain: DomainDefinition, spec: VmSpec, disks: PlannedDisks, context: PlanContext): PlannedVm['bootstrap'] {
  const first = disks.disks[0];
  if (context.skipBootstrap === true || !isHosted(spec['vm-provider'], context)) return 'none';
  if (first === undefined || first.type === 'empty' || first.format === 'iso') return 'none';
  const wanted = domain.bootstrap;
  if (wanted === false) return 'none';
  if (typeof wanted === 'string') return wanted;
  if (domain['cloud-init'] !== undefined) return 'cloud-init';
  const metadata = spec.disks[0]?.metadata ?? {};
  const advised = metadata['bootstrap'];
  if (advised === 'virt-sysprep' || advised === 'cloud-init') return advised;
  if (metadata['cloud-init'] === true) return 'cloud-init';
  if (wanted === true) return 'virt-sysprep';
  if (advised === 'none') return 'none';
  return guestFamily(distroOf(spec)) === 'base' ? context.defaults.bootstrap : 'virt-sysprep';
}

function planBuilds(vm: string, domain: DomainDefinition, context: PlanContext, issues: IssueList): BuildJob[] {
  const jobs: BuildJob[] = [];
  for (const [index, disk] of (domain.disks ?? []).entries()) {
    for (const [step, build] of (disk.build ?? []).entries()) {
      const key = ['domains', vm, 'disks', index, 'build', step];
      const builders = Object.keys(build);
      const builder = builders[0];
      if (builder === undefined || builders.length > 1) {
        issues.error(key, 'A build step is a mapping with exactly one builder.', 'Write - virt-customize: and its options below.');
      } else if (builder !== 'virt-customize')
        issues.error([...key, builder], `Unknown builder: ${quote(builder)}.`, 'The only builder is virt-customize.');
      else {
        const options = build[builder];
        if (typeof options === 'object' && options !== null && !Array.isArray(options)) {
          const problems = customizeProblems(options as BuilderOptions);
          for (const problem of problems) issues.error([...key, builder], problem);
          if (problems.length === 0) checkBuildFiles(options as BuilderOptions, [...key, builder], context, issues);
          if (context.skipBuild !== true) jobs.push({ vm, disk: disk.name ?? '', builder, options: options as Record<string, unknown> });
        } else issues.error([...key, builder], 'The options of a builder are a mapping.');
      }
    }
  }
  return jobs;
}

/** Files of this machine that a builder copies into a disk. Unlike Lago's other paths they are relative to the init file's folder only. */
function checkBuildFiles(options: BuilderOptions, key: readonly PathKey[], context: PlanContext, issues: IssueList): void {
  for (const file of filesOf(options)) {
    const path = posix.resolve(context.initFileDir, file);
    const found = context.fileInfo(path);
    const info = found?.packed === undefined ? found : undefined;
    if (info === undefined) reportMissing('File', path, key, issues);
    else if (info.problem !== undefined) reportUnusable('File', path, info.problem, key, issues);
    else askConsent(path, info, 'read', key, context, issues);
  }
}

function plannedNet(net: NetSpec): PlannedNet {
  return {
    type: net.type,
    gw: net.gw ?? null,
    management: net.management,
    dhcp: net.dhcp ?? null,
    dns_domain_name: net.dns_domain_name ?? null,
    mapping: net.mapping,
    dns_records: net.dns_records ?? {},
    mtu: net.mtu ?? null,
  };
}

function uniqueDownloads(downloads: Plan['downloads']): Plan['downloads'] {
  return [...new Map(downloads.map((download) => [download.name, download])).values()];
}
