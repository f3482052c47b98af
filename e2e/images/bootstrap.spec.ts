import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { expect, test } from '@playwright/test';
import { type DebianGuests, debianGuests } from '../support/debian-guests.ts';
import { lago, lagoOk } from '../support/lago.ts';
import { expectNothingLeft, ownedNamespaces, ownedProcesses } from '../support/leaks.ts';
import { useScratch } from '../support/prologue.ts';
import { root, type Scratch } from '../support/scratch.ts';

let guests: DebianGuests;
let scratch: Scratch;
const PASSWORD = 'correct-horse-battery';

test.beforeAll(() => {
  // The first build takes minutes.
  test.setTimeout(3_600_000);
  guests = debianGuests();
});
useScratch((made) => {
  scratch = made;
});

/** Files below a folder whose content contains a text. */
function filesWith(folder: string, text: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return entries.map((entry) => join(entry.parentPath, entry.name)).filter((path) => readFileSync(path).includes(text));
}

/** Logs in from one guest to another with a password only. By address, because a minimal guest may have no resolver. */
function loginByPassword(to: string, password: string): string {
  return [
    `printf '#!/bin/sh\\necho ${password}\\n' >/tmp/answer; chmod 700 /tmp/answer`,
    'export SSH_ASKPASS=/tmp/answer SSH_ASKPASS_REQUIRE=force',
    `ssh -o StrictHostKeyChecking=no -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 root@${to} hostname 2>/dev/null </dev/null`,
  ].join('\n');
}

const addresses = async (vm: string): Promise<string[]> => {
  const { stdout } = await lagoOk(scratch, ['shell', vm, "ip -4 -o addr show scope global | awk '{ print $2, $4 }'"]);
  return stdout.trim().split('\n').sort();
};

/** Logs in as root on a VM's serial console, runs a command and returns what the console showed. */
async function onSerialConsole(vm: string, password: string, command: string): Promise<string> {
  const input = new PassThrough();
  // What was printed before comes first, the boot's last messages after the prompt: Enter asks for another prompt.
  const answers: [RegExp, string][] = [
    [/./, ''],
    [/login: $/, 'root'],
    [/Password: $/, password],
    [/# $/, `${command}; exit`],
  ];
  let shown = '';
  const answer = (chunk: Buffer): void => {
    shown += chunk.toString();
    const [wanted, text] = answers[0] ?? [/login: $/, undefined];
    if (!wanted.test(stripVTControlCharacters(shown))) return;
    shown = '';
    answers.shift();
    if (text === undefined) input.end();
    else input.write(`${text}\n`);
  };
  const { stdout } = await lagoOk(scratch, ['console', vm], { input, onStart: (child) => child.stdout?.on('data', answer) });
  return stdout;
}

/** Uses services of a VM as a script does, by the SDK. */
function aboutServices(vm: string): unknown {
  mkdirSync(join(scratch.dir, 'node_modules'));
  symlinkSync(root, join(scratch.dir, 'node_modules/lago-desktop'));
  const script = scratch.write(
    'services.mjs',
    `import { openEngine } from 'lago-desktop';
const lago = await openEngine();
const vm = await (await lago.loadEnv('.lago')).vm('${vm}');
const getty = await vm.service('serial-getty@ttyS0');
const told = { provider: await getty.provider(), getty: [await getty.state()] };
for (const change of ['stop', 'stop', 'start', 'start']) {
  await getty[change]();
  told.getty.push(await getty.state());
}
const nowhere = await vm.service('nowhere');
told.nowhere = await nowhere.state();
await nowhere.stop();
const failure = async (name) => await (await vm.service(name)).start().then(() => 'started', (error) => error.message);
told.failures = [await failure('nowhere'), await failure('broken')];
told.broken = await (await vm.service('broken')).state();
await lago.close();
console.log(JSON.stringify(told));
`,
  );
  return JSON.parse(execFileSync(process.execPath, [script], { cwd: scratch.dir, env: scratch.env, encoding: 'utf8' }));
}

test('real guests are personalised by cloud-init and by virt-sysprep, and let in by key and by password', async () => {
  // Two libguestfs appliances and two systemd guests, all emulated.
  test.setTimeout(1_500_000);
  const file = scratch.write(
    'guests.yaml',
    `
nets:
  front: {type: nat, management: true, gw: 192.168.200.1, dhcp: {start: 100, end: 200}}
  back: {type: nat, gw: 192.168.201.1, dhcp: {start: 100, end: 200}}
domains:
  seeded:
    memory: 512
    vcpu: 1
    root-password: ${PASSWORD}
    nics:
      - {net: front, ip: 192.168.200.5}
      - {net: back, ip: 192.168.201.5}
    disks: [{name: root, dev: vda, format: qcow2, type: template, template_name: debian-cloud-init}]
    cloud-init:
      user-data: {runcmd: ['echo said by the init file > /etc/own']}
  prepared:
    memory: 512
    vcpu: 1
    root-password: ${PASSWORD}
    bootstrap: virt-sysprep
    nics: [{net: front, ip: 192.168.200.6}]
    disks:
      - name: root
        dev: vda
        format: qcow2
        type: template
        template_name: debian
        build: [{virt-customize: {write: '/etc/built:by virt-customize', run-command: 'cat /etc/built > /etc/built-too'}}]
`,
  );
  const env = { ...guests.env, LAGO__INIT__TEMPLATE_REPO_PATH: guests.repository };
  const arguments_ = new Set<string>();
  let look: NodeJS.Timeout | undefined;
  const made = await lagoOk(scratch, ['init', file], {
    env,
    onStart: () => {
      look = setInterval(() => ownedProcesses(scratch).forEach(({ command }) => void arguments_.add(command)), 200);
    },
  }).finally(() => clearInterval(look));
  expect(made.stderr).toMatch(/virt-customize \(1 of 1\): Success/);
  expect([...arguments_].filter((command) => /virt-sysprep|virt-customize/.test(command))).not.toEqual([]);
  expect([...arguments_].filter((command) => command.includes(PASSWORD))).toEqual([]);
  expect(made.stderr).not.toContain(PASSWORD);
  expect(filesWith(join(scratch.dir, '.lago/default/logs'), PASSWORD)).toEqual([]);

  await lagoOk(scratch, ['start'], { env });
  const namespaces = ownedNamespaces(scratch);
  const said = async (vm: string, command: string): Promise<string> => (await lagoOk(scratch, ['shell', vm, command])).stdout;
  expect(await said('seeded', 'while [ ! -e /var/lib/cloud/instance/boot-finished ]; do sleep 1; done; hostname; cat /etc/own')).toBe(
    'seeded\nsaid by the init file\n',
  );
  expect(await said('prepared', 'hostname; cat /etc/hostname /etc/built-too')).toBe('prepared\nprepared\nby virt-customize');
  expect(await addresses('seeded')).toEqual(['eth0 192.168.200.5/24', 'eth1 192.168.201.5/24']);
  expect(await addresses('prepared')).toEqual(['eth0 192.168.200.6/24']);
  // Each has a host key of its own.
  const keys = await Promise.all(['seeded', 'prepared'].map(async (vm) => await said(vm, 'cat /etc/ssh/ssh_host_ed25519_key.pub')));
  expect(new Set(keys.map((key) => key.split(' ')[1])).size).toBe(2);
  expect(await said('seeded', loginByPassword('192.168.200.6', PASSWORD))).toBe('prepared\n');
  expect(await said('prepared', loginByPassword('192.168.200.5', PASSWORD))).toBe('seeded\n');
  expect((await lago(scratch, ['shell', 'prepared', loginByPassword('192.168.200.5', 'wrong')])).code).not.toBe(0);
  expect(await onSerialConsole('seeded', PASSWORD, 'echo "by $(whoami) on $(tty)"')).toContain('by root on /dev/ttyS0');

  await said(
    'prepared',
    "printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n' >/etc/systemd/system/broken.service; systemctl daemon-reload",
  );
  expect(aboutServices('prepared')).toEqual({
    provider: 'systemd',
    getty: ['active', 'inactive', 'inactive', 'active', 'active'],
    nowhere: 'missing',
    failures: [
      'Service nowhere not present in prepared.',
      expect.stringMatching(/^Failed to start service broken in prepared: Job for broken/),
    ],
    broken: 'inactive',
  });

  // Deaf to the power button and without ssh, it can be asked by its agent only.
  const deaf = [
    'mkdir -p /run/systemd/logind.conf.d',
    "printf '[Login]\\nHandlePowerKey=ignore\\n' >/run/systemd/logind.conf.d/deaf.conf",
    'systemctl restart systemd-logind',
    'systemctl stop ssh',
  ];
  await said('seeded', deaf.join(' && '));
  await lagoOk(scratch, ['shutdown', 'seeded'], { env });
  const { stdout } = await lagoOk(scratch, ['-f', 'json', 'status']);
  expect(JSON.parse(stdout)).toMatchObject({ Prefix: { VMs: { seeded: { status: 'down' }, prepared: { status: 'running' } } } });
  await lagoOk(scratch, ['destroy', '--yes']);
  await expectNothingLeft(scratch, namespaces);
});
