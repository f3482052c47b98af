import { basename } from 'node:path';
import { EngineError } from '../../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../../src-shared/specs.ts';
import type { Engine, PrefixLocation, Step, VerbCall } from '../../contract.ts';
import { ENGINE_TYPE, HOST_TYPES } from '../vm-types.ts';
import { EngineClient, pause } from './engine-client.ts';

export const ENGINE_USER = 'admin@internal';
const DEFAULT_PASSWORD = '123';
/** Where engine-setup puts the certificate of the authority that it makes. */
const AUTHORITY = '/etc/pki/ovirt-engine/ca.pem';
/** Name of the answers in the engine's VM, as Lago's. */
const ANSWERS = 'engine-answer-file';
const SERVICE_MS = 180_000;

/** The engine's VM and the hosts of an environment. */
export interface OvirtVms {
  readonly engine: VmSpec;
  readonly hosts: readonly VmSpec[];
}

/** `vm.missing` in an environment without an engine. */
export async function ovirtVms(call: VerbCall, prefix: PrefixLocation): Promise<OvirtVms> {
  const { vms } = await call.specs(prefix.path);
  const engine = vms.find((vm) => vm['vm-type'] === ENGINE_TYPE);
  if (engine === undefined) {
    throw new EngineError('vm.missing', `The environment ${prefix.name} has no VM of type ${ENGINE_TYPE}.`, {
      hint: `Give its engine "vm-type: ${ENGINE_TYPE}" in the init file.`,
    });
  }
  return { engine, hosts: vms.filter((vm) => HOST_TYPES.includes(vm['vm-type'])) };
}

export function passwordOf(engine: VmSpec): string {
  const given = engine.metadata['ovirt-engine-password'];
  return typeof given === 'string' || typeof given === 'number' ? String(given) : DEFAULT_PASSWORD;
}

/** Address of a VM on its management network, null without one. */
export function addressOf(vm: VmSpec): string | null {
  const nic = vm.nics.find(({ net }) => net === vm.mgmt_net) ?? vm.nics.find(({ ip }) => ip !== undefined);
  return nic?.ip ?? null;
}

/** The REST API of the environment's engine, through its own networks and trusted by its own authority, which is read by ssh. */
export async function connectEngine(engine: Engine, prefix: PrefixLocation, vm: VmSpec, step: Step): Promise<EngineClient> {
  const { signal } = step;
  const read = await engine.vm.exec(prefix.path, { vm: vm.name, command: `cat ${AUTHORITY}`, signal });
  if (read.code !== 0) {
    throw new EngineError('guest.failed', `Failed to connect to the engine: VM ${vm.name} has no ${AUTHORITY}.`, {
      hint: 'Set the engine up first: lago ovirt engine-setup --config FILE.',
    });
  }
  const address = {
    vm: vm.name,
    user: ENGINE_USER,
    password: passwordOf(vm),
    authority: read.stdout,
    open: async (asked: AbortSignal) => await engine.vm.connect(prefix.path, vm.name, 443, asked),
  };
  return await EngineClient.connect(address, { signal });
}

/** Waits until a service of a VM is active. */
export async function waitForService(engine: Engine, prefix: PrefixLocation, vm: string, name: string, step: Step): Promise<void> {
  const service = await engine.vm.service(prefix.path, vm, name, step.signal);
  const end = Date.now() + SERVICE_MS;
  for (;;) {
    const state = await service.state();
    if (state === 'active') return;
    if (Date.now() + 3000 > end) {
      throw new EngineError('guest.failed', `Service ${name} of VM ${vm} is ${state} and does not become active.`, {
        hint: `See why: lago shell ${vm} journalctl -u ${name}`,
      });
    }
    await pause(3000, step.signal);
  }
}

/** Runs engine-setup with the answers of a file, and shows what it says. */
export async function engineSetup(engine: Engine, prefix: PrefixLocation, vm: string, answers: string, step: Step): Promise<void> {
  const { signal } = step;
  await engine.vm.copyTo(prefix.path, { vm, local: answers, remote: ANSWERS }, { signal }).done;
  const show = (chunk: Buffer): void => {
    for (const line of chunk.toString('utf8').split(/\r?\n/)) if (line !== '') step.output(line);
  };
  const command = `engine-setup --config-append=${ANSWERS}`;
  const { code } = await engine.vm.exec(prefix.path, { vm, command, signal, onStdout: show, onStderr: show });
  if (code !== 0) {
    throw new EngineError('guest.failed', `Failed to setup the engine: engine-setup on VM ${vm} ended with ${code}.`, {
      hint: `Its log is in /var/log/ovirt-engine/setup of the VM. To answer its questions yourself: lago shell ${vm} engine-setup`,
    });
  }
}

/** Uploads an ISO image to the engine's ISO domain. */
export async function addIso(engine: Engine, prefix: PrefixLocation, vm: string, path: string, step: Step): Promise<void> {
  const { signal } = step;
  const name = basename(path);
  const quoted = `'./${name.replaceAll("'", "'\\''")}'`;
  await engine.vm.copyTo(prefix.path, { vm, local: path, remote: `./${name}` }, { signal }).done;
  const upload = `ovirt-iso-uploader --conf-file=/root/iso-uploader.conf --insecure ${quoted}`;
  const uploaded = await engine.vm.exec(prefix.path, { vm, command: upload, signal });
  const removed = await engine.vm.exec(prefix.path, { vm, command: `rm -f ${quoted}`, signal });
  if (uploaded.code !== 0) {
    throw new EngineError('guest.failed', `Failed to upload iso to ovirt: ${uploaded.stderr.trim().split('\n').at(-1) ?? ''}`, {
      hint: `See /root/iso-uploader.conf in VM ${vm}.`,
    });
  }
  if (removed.code !== 0) throw new EngineError('guest.failed', `Failed to remove uploaded image ${name} from VM ${vm}.`);
}
