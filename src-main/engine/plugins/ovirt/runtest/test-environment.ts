import { delimiter, join } from 'node:path';
import { EngineError } from '../../../../../src-shared/errors.ts';
import type { EnvironmentSpecs } from '../../../../../src-shared/specs.ts';
import type { PrefixLocation, VerbCall } from '../../contract.ts';

/** In Debian, packages of Python belong to this one. */
const SYSTEM_PYTHON = '/usr/bin/python3';

/** The Python to run tests with: the one that was asked for, else the first that has pytest. `host.missing-tool` without one. */
export async function findPython(call: VerbCall, asked: string | undefined): Promise<string> {
  for (const python of asked === undefined ? ['python3', SYSTEM_PYTHON] : [asked]) {
    if (await hasPytest(call, python)) return python;
  }
  const message = asked === undefined ? 'There is no Python with pytest.' : `${asked} is no Python with pytest.`;
  throw new EngineError('host.missing-tool', message, {
    hint: 'Install it (Debian: apt-get install python3-pytest), or name an interpreter with --python.',
  });
}

async function hasPytest(call: VerbCall, python: string): Promise<boolean> {
  try {
    const found = await call.run([python, '-c', 'import pytest'], { signal: call.signal, timeoutMs: 60_000 });
    return found.code === 0;
  } catch (error) {
    if (error instanceof EngineError && (error.code === 'host.missing-tool' || error.code === 'host.denied')) return false;
    throw error;
  }
}

/** The variables that tests get, as `docs/ovirt.md` lists them. */
export function testEnvironment(
  call: VerbCall,
  prefix: PrefixLocation,
  specs: EnvironmentSpecs,
  socket: string,
): Readonly<Record<string, string>> {
  const { environment, program } = call;
  const modules = [join(program.resources, 'lago_testlib'), environment['PYTHONPATH'] ?? ''].filter((path) => path !== '');
  return {
    ...addresses(specs),
    LAGO_PREFIX: prefix.path,
    LAGO_PREFIX_PATH: prefix.path,
    ...(prefix.workdir === null ? {} : { LAGO_WORKDIR_PATH: prefix.workdir }),
    LAGO_COMMAND: JSON.stringify(program.command),
    LAGO_TESTS_SOCKET: socket,
    PYTHONPATH: modules.join(delimiter),
    // The module's folder may belong to another user.
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONUNBUFFERED: '1',
  };
}

/** `LAGO_IP_web_1` for each VM with an address on its management network. */
function addresses({ vms, nets }: EnvironmentSpecs): Record<string, string> {
  const management = nets.find((net) => net.management)?.name;
  return Object.fromEntries(
    vms.flatMap((vm) => {
      const ip = vm.nics.find((nic) => nic.net === (vm.mgmt_net ?? management))?.ip;
      return ip === undefined ? [] : [[`LAGO_IP_${vm.name.replace(/\W/g, '_')}`, ip] as const];
    }),
  );
}
