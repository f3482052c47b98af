import { expect, test } from '@playwright/test';
import { lago, lagoOk } from '../support/lago.ts';
import { expectNoProcess } from '../support/leaks.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';

/** A host of a hosted engine, whose program `hosted-engine` is a script that keeps its state in files. There is no engine in it. */

test.describe.configure({ mode: 'serial' });

const HOSTED_ENGINE = `#!/bin/sh
cd /root
case "$*" in
  '--vm-status --json')
    maintenance=false
    grep -q global maintenance 2>/dev/null && maintenance=true
    printf '{"1": {"hostname": "host-0.lago.local", "live-data": true, "score": 3400, "engine-status": %s}, "global_maintenance": %s}' \\
      "{\\"vm\\": \\"$(cat vm)\\", \\"health\\": \\"bad\\", \\"detail\\": \\"$(cat detail)\\"}" "$maintenance"
    ;;
  '--set-maintenance --mode='*) echo "\${2#--mode=}" >maintenance ;;
  *) echo "unknown: $*" >&2; exit 1 ;;
esac
`;

/** A verb that shows what answers on a port that the VM reaches. */
const PLUGIN = `export default {
  apiVersion: 1, kind: 'cli', name: 'banner', summary: 'Shows what answers on a port of the VM itself.',
  async run(call) {
    const { path } = await call.prefix();
    await call.withEngine(async (engine) => {
      const stream = await engine.vm.connectFrom(path, { vm: 'host-0', host: '127.0.0.1', port: 22 }, call.signal);
      call.print(await new Promise((resolve, reject) => stream.once('data', (chunk) => resolve(chunk.toString().trim())).once('error', reject)));
      stream.destroy();
    });
  },
};
`;

let scratch: Scratch;

test.beforeAll(async () => {
  test.setTimeout(300_000);
  scratch = makeScratch();
  const file = scratch.write(
    'LagoInitFile',
    JSON.stringify({
      nets: { front: { type: 'nat', management: true, gw: '192.168.200.1', dhcp: { start: 100, end: 200 } } },
      domains: {
        'host-0': {
          'vm-type': 'ovirt-he-host',
          memory: 192,
          vcpu: 1,
          cpu_model: 'Westmere',
          nics: [{ net: 'front' }],
          disks: [{ name: 'root', dev: 'vda', format: 'qcow2', type: 'template', template_name: 'lago-sample' }],
        },
      },
    }),
  );
  await lagoOk(scratch, ['init', file]);
  await lagoOk(scratch, ['start']);
  await lagoOk(scratch, ['copy-to-vm', 'host-0', scratch.write('hosted-engine', HOSTED_ENGINE), '/usr/bin/hosted-engine']);
  await lagoOk(scratch, ['shell', 'host-0', '-c', 'chmod +x /usr/bin/hosted-engine; echo down >/root/vm; echo Down >/root/detail']);
});

test.afterAll(async () => {
  await lago(scratch, ['destroy', '--yes']);
  await expectNoProcess(scratch);
  scratch.remove();
});

test('status shows how the hosts see an engine that is down', async () => {
  test.setTimeout(120_000);
  const outcome = await lago(scratch, ['--out-format', 'json', 'ovirt', 'status']);
  expect(outcome.code, outcome.stderr).toBe(0);
  expect(JSON.parse(outcome.stdout)).toEqual({
    hosted_engine: {
      vm: 'down',
      health: 'bad',
      host: null,
      global_maintenance: false,
      hosts: { 'host-0': { vm: 'down', health: 'bad', detail: 'down', score: 3400 } },
    },
  });
  expect(outcome.stderr).toContain('The engine is not in good health');
});

test('the CPU type of a cluster is that of the processor which the host sees, for tests too', async () => {
  test.setTimeout(120_000);
  expect((await lagoOk(scratch, ['ovirt', 'cpu-family'])).stdout).toBe('Intel Westmere Family\n');
  const tests = scratch.write(
    'test_cpu.py',
    [
      'from ovirtlago import testlib',
      '@testlib.with_ovirt_prefix',
      'def test_family(prefix):',
      '    assert prefix.virt_env.get_ovirt_cpu_family(engine_version="3.6") == "Intel Westmere Family"\n',
    ].join('\n'),
  );
  await lagoOk(scratch, ['ovirt', 'runtest', tests]);
});

test('a plugin reaches what a VM reaches', async () => {
  test.setTimeout(120_000);
  const environment = { LAGO_PLUGINS: scratch.write('banner.mjs', PLUGIN) };
  const outcome = await lago(scratch, ['banner'], { env: environment });
  expect(outcome.code, outcome.stderr).toBe(0);
  expect(outcome.stdout).toMatch(/^SSH-2\.0-dropbear/);
});

test('stop sets global maintenance before the hosts go down', async () => {
  test.setTimeout(300_000);
  await lagoOk(scratch, ['ovirt', 'stop']);
  expect((await lagoOk(scratch, ['--out-format', 'json', 'status'])).stdout).toContain('"status": "down"');
  await lagoOk(scratch, ['start']);
  expect((await lagoOk(scratch, ['shell', 'host-0', '-c', 'cat /root/maintenance'])).stdout).toBe('global\n');
});
