import { dirname, join } from 'node:path';
import { macOf, octetsOf } from '../../../src-shared/addresses.ts';
import { EngineError } from '../../../src-shared/errors.ts';
import type { DiskSpec, VmSpec } from '../../../src-shared/specs.ts';
import type { ApplianceOptions } from '../appliance/appliance.ts';
import { customize } from '../appliance/customize.ts';
import { sysprep } from '../appliance/sysprep.ts';
import { guestFamily, type SysprepNic } from '../appliance/sysprep-commands.ts';
import type { EngineSettings } from '../configuration/settings.ts';
import type { Step } from '../core/operation.ts';
import { readPrefixKey } from '../guest/keys.ts';
import { findAccelerator } from '../host/kvm.ts';
import { distroOf } from '../plan/distro.ts';
import type { BuildJob } from '../plan/plan.ts';
import { expandPrefixPath, type PrefixPaths } from '../prefix/layout.ts';

export interface GuestWork {
  readonly paths: PrefixPaths;
  /** Absolute; relative paths in it are relative to its folder. */
  readonly initFile: string;
  readonly settings: Pick<EngineSettings, 'accelerator' | 'uplink' | 'templateStore'>;
}

/** How many disks are built at once; libguestfs itself waits for memory. */
const DISKS = 4;

/** Customizes the VM's first disk with virt-sysprep: host name, root's password and key, and a network card for each address. */
export async function sysprepVm(vm: VmSpec, work: GuestWork, step: Step): Promise<void> {
  const disk = vm.disks[0];
  if (disk === undefined) throw new EngineError('internal', `VM ${vm.name} has no disk to bootstrap.`);
  const key = await readPrefixKey(work.paths.root);
  const password = rootPassword(vm);
  await sysprep(
    {
      vm: vm.name,
      disk: expandPrefixPath(disk.path, work.paths.root),
      format: disk.format,
      family: guestFamily(distroOf(vm)),
      nics: addressedNics(vm),
      publicKey: key.publicKey,
      rootPassword: password,
    },
    await applianceOptions(work, `bootstrap-${vm.name}`, step),
  );
}

/** The cards that get an address by DHCP, where the network knows their MAC; the guest configures the others itself. */
function addressedNics(vm: VmSpec): readonly SysprepNic[] {
  return vm.nics.flatMap(({ ip }, index) => (ip !== undefined && octetsOf(ip) !== undefined ? [{ index, mac: macOf(ip) }] : []));
}

/**
 * Network configuration for a seed, undefined if none is needed: by default, cloud-init configures DHCP on a single card of its choice.
 * Version 1, which cloud-init translates for any distribution, however old.
 */
export function seedNetwork(vm: VmSpec): Readonly<Record<string, unknown>> | undefined {
  if (vm.nics.length < 2) return undefined;
  const config = addressedNics(vm).map(({ index, mac }) => ({
    type: 'physical',
    name: `eth${index}`,
    mac_address: mac,
    subnets: [{ type: 'dhcp4' }],
  }));
  return config.length === 0 ? undefined : { version: 1, config };
}

/** Root's password, undefined to keep the template's. */
function rootPassword(vm: VmSpec): string | undefined {
  const password = vm['root-password'] ?? vm['ssh-password'];
  return password === undefined ? undefined : String(password);
}

/** Runs the `build` section: the builders of a disk in sequence, disks in parallel. */
export async function buildDisks(vms: readonly VmSpec[], builds: readonly BuildJob[], work: GuestWork, step: Step): Promise<void> {
  const disks = vms.flatMap((vm) =>
    vm.disks
      .map((disk) => ({ vm, disk, jobs: builds.filter((job) => job.vm === vm.name && job.disk === disk.name) }))
      .filter(({ jobs }) => jobs.length > 0),
  );
  await step.each(
    disks,
    DISKS,
    ({ vm, disk }) => `Build disk ${disk.name} of VM ${vm.name}`,
    async ({ vm, disk, jobs }, one) => {
      for (const [index, job] of jobs.entries()) {
        one.checkpoint();
        await one.step(`${job.builder} (${index + 1} of ${jobs.length})`, async (builder) => await build(vm, disk, job, work, builder));
      }
    },
  );
}

async function build(vm: VmSpec, disk: DiskSpec, job: BuildJob, work: GuestWork, step: Step): Promise<void> {
  const key = await readPrefixKey(work.paths.root);
  const password = rootPassword(vm);
  await customize(
    {
      vm: vm.name,
      name: disk.name,
      disk: expandPrefixPath(disk.path, work.paths.root),
      format: disk.format,
      options: job.options,
      publicKey: key.publicKey,
      cwd: dirname(work.initFile),
      network: work.settings.uplink !== 'none',
      secrets: password === undefined ? [] : [password],
    },
    await applianceOptions(work, `build-${vm.name}-${vm.disks.indexOf(disk)}`, step),
  );
}

async function applianceOptions(work: GuestWork, scratch: string, step: Step): Promise<ApplianceOptions> {
  const { signal, log } = step;
  return {
    accelerator: await findAccelerator(work.settings.accelerator, { signal }),
    scratch: join(work.paths.root, scratch),
    log,
    signal,
    onDetail: (detail) => step.progress(0, detail),
  };
}
