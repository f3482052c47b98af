import { basename } from 'node:path';
import { EngineError } from '../../../../../src-shared/errors.ts';
import type { Engine, PrefixLocation, Step } from '../../contract.ts';
import { ENGINE_USER, type OwnEngine } from '../ovirt-vms.ts';
import { EngineClient, pause } from './engine-client.ts';

/** Where engine-setup puts the certificate of the authority that it makes. */
const AUTHORITY = '/etc/pki/ovirt-engine/ca.pem';
/** Name of the answers in the engine's VM, as Lago's. */
const ANSWERS = 'engine-answer-file';
const SERVICE_MS = 180_000;

/** The REST API of an engine with a VM of its own, through the environment's networks, trusted by its authority, which is read by ssh. */
export async function connectOwn({ engine, prefix, password, vm }: OwnEngine, signal: AbortSignal): Promise<EngineClient> {
  const read = await engine.vm.exec(prefix.path, { vm: vm.name, command: `cat ${AUTHORITY}`, signal });
  if (read.code !== 0) {
    throw new EngineError('guest.failed', `Failed to connect to the engine: VM ${vm.name} has no ${AUTHORITY}.`, {
      hint: 'Set the engine up first: lago ovirt engine-setup --config FILE.',
    });
  }
  const address = {
    vm: vm.name,
    user: ENGINE_USER,
    password,
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
