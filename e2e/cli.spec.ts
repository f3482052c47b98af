import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { threeVmsWithBridge, twoVms } from './support/init-files.ts';
import { CLI, lago, lagoOk, type Outcome } from './support/lago.ts';
import { expectNothingLeft, ownedNamespaces, ownedProcesses } from './support/leaks.ts';
import { useScratch } from './support/prologue.ts';
import { emptyCache, type Scratch } from './support/scratch.ts';

let scratch: Scratch;
useScratch((made) => {
  scratch = made;
});

interface Status {
  readonly Prefix: {
    readonly VMs: Readonly<Record<string, { readonly status: string; readonly snapshots: string }>>;
    readonly Networks: Readonly<Record<string, { readonly status: string }>>;
  };
}

async function status(options = {}): Promise<Status['Prefix']> {
  return (JSON.parse((await lagoOk(scratch, ['-f', 'json', 'status'], options)).stdout) as Status).Prefix;
}

/** Runs `lago shell` on a terminal of 101 columns, which become 90 meanwhile, and leaves it with `exit CODE`; returns its exit code. */
async function shellOnTerminal(vm: string, code: number): Promise<number | null> {
  const line = `stty cols 101 rows 31; tty; exec '${process.execPath}' '${CLI}' shell ${vm}`;
  const child = spawn('script', ['-qec', line, '/dev/null'], { cwd: scratch.dir, env: scratch.env, stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  let shown = '';
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
  });
  await expect.poll(() => shown, { timeout: 60_000 }).toMatch(/# $/);
  const [tty = ''] = /^\/dev\/pts\/\d+/.exec(shown) ?? [];
  const size = async (): Promise<string | undefined> => {
    const from = shown.length;
    child.stdin.write('stty size\n');
    await expect.poll(() => shown.slice(from), { timeout: 60_000 }).toMatch(/\d+ \d+[^]*# $/);
    return /\d+ \d+/.exec(shown.slice(from))?.[0];
  };
  expect(await size()).toBe('31 101');
  execFileSync('stty', ['-F', tty, 'cols', '90']);
  await expect.poll(size, { timeout: 60_000 }).toBe('31 90');
  child.stdin.write(`exit ${code}\n`);
  return await ended;
}

/** Renames, annotates and pins the snapshot `base`, and deletes those that come from it, while the VMs run. */
async function tidySnapshots(): Promise<void> {
  const dry = async (...args: readonly string[]): Promise<string> => (await lagoOk(scratch, [...args, '--dry-run'])).stdout;
  for (const name of ['next', 'last']) await lagoOk(scratch, ['snapshot', name]);
  await lagoOk(scratch, ['snapshot', '--edit', 'base', '--rename', 'clean', '--note', 'Both are up.', '--tags', 'good', '--pin']);
  expect((await lagoOk(scratch, ['snapshot', '--tree'])).stdout).toMatch(
    /^clean {2}.*memory and disks.* {2}pinned {2}#good\n {4}Both are up\.\n {2}next .*\n {4}last .*← now\n$/,
  );
  expect(await dry('revert', 'clean')).toMatch(
    /^Would revert to clean\. Lost: everything since .*\nweb: now running, then running, with its memory\.\n/,
  );
  expect(await dry('snapshot', '--delete', 'next')).toMatch(/^Would delete: next\.\nWould merge a layer of VM web\.\n/);
  const { snapshots, bytes } = JSON.parse(await dry('-f', 'json', 'snapshot', '--prune')) as { snapshots: string[]; bytes: number };
  expect(snapshots).toEqual(['next', 'last']);
  // Both have the memory of two VMs.
  expect(bytes).toBeGreaterThan(10 * 1024 * 1024);
  expect((await status()).VMs['web']?.snapshots).toBe('clean, next, last');
  await lagoOk(scratch, ['snapshot', '--prune']);
  expect((await status()).VMs['web']?.snapshots).toBe('clean');
  expect((await lagoOk(scratch, ['shell', 'web', 'cat /root/mark'])).stdout).toBe('first\n');
}

test('the whole path on the command line: init, start, shell, snapshot, revert, console, stop, destroy', async () => {
  const file = twoVms(scratch, 'pair');
  const made = await lagoOk(scratch, ['init', file]);
  expect(made.stderr).toContain('@ Initialize and populate prefix: ');
  expect(made.stderr).toMatch(/@ Initialize and populate prefix: Success \(in 0:00:\d\d\)/);
  expect((await lagoOk(scratch, ['list'])).stdout).toBe('default\n');
  expect((await status()).VMs).toMatchObject({ web: { status: 'down' }, db: { status: 'down' } });
  const prefix = join(scratch.dir, '.lago/default');
  expect(statSync(join(prefix, 'id_ed25519')).mode & 0o777).toBe(0o600);

  const started = await lagoOk(scratch, ['start']);
  expect(started.stderr).toMatch(/Starting VM web: Success/);
  expect(await status()).toMatchObject({ VMs: { web: { status: 'running' } }, Networks: { front: { status: 'up' } } });
  const namespaces = ownedNamespaces(scratch);
  expect(namespaces.size).toBeGreaterThan(0);

  expect((await lagoOk(scratch, ['shell', 'web', 'hostname'])).stdout).toBe('web\n');
  expect((await lago(scratch, ['shell', 'web', '-c', 'exit', '7'])).code).toBe(7);
  expect((await lagoOk(scratch, ['shell', 'db'], { input: 'echo from $(hostname)\n' })).stdout).toContain('from db');
  expect(await shellOnTerminal('web', 9)).toBe(9);
  writeFileSync(join(scratch.dir, 'where.sh'), 'cat >/dev/null <<E\nscript\nE\necho script on $(hostname); exit 4\n');
  expect(await lago(scratch, ['shell', 'web', 'where.sh'])).toMatchObject({ code: 4, stdout: 'script on web\n' });
  const other = await lagoOk(scratch, ['shell', 'web', 'ping', '-c', '1', '-W', '5', 'db']);
  expect(other.stdout).toContain('1 packets received');

  await lagoOk(scratch, ['shell', 'web', 'echo first > /root/mark; sync']);
  await lagoOk(scratch, ['snapshot', 'base']);
  await lagoOk(scratch, ['shell', 'web', 'echo second > /root/mark; sync']);
  await lagoOk(scratch, ['revert', 'base']);
  expect((await lagoOk(scratch, ['shell', 'web', 'cat /root/mark'])).stdout).toBe('first\n');
  expect((await status()).VMs['web']?.snapshots).toBe('base');

  await tidySnapshots();

  await lagoOk(scratch, ['stop', 'db']);
  expect(await status()).toMatchObject({
    VMs: { web: { status: 'running' }, db: { status: 'down' } },
    Networks: { front: { status: 'up' } },
  });
  await lagoOk(scratch, ['stop']);
  expect(await status()).toMatchObject({ VMs: { web: { status: 'down' } }, Networks: { front: { status: 'down' } } });
  expect(ownedProcesses(scratch)).toEqual([]);
  // With memory: it resumes where it was, even though everything was down.
  await lagoOk(scratch, ['revert', 'clean']);
  expect((await status()).VMs).toMatchObject({ web: { status: 'running' }, db: { status: 'running' } });

  const events = readFileSync(join(prefix, 'lago-desktop-events.jsonl'), 'utf8').split('\n').filter(Boolean);
  const kinds = ['start', 'revert', 'stop', 'stop', 'revert'];
  expect(events.map((line) => (JSON.parse(line) as { readonly kind: string }).kind)).toEqual(kinds);
  expect(readFileSync(join(prefix, 'logs/lago.log'), 'utf8')).not.toContain('\u001b');
  await lagoOk(scratch, ['destroy', '--yes']);
  expect(existsSync(join(scratch.dir, '.lago'))).toBe(false);
  await expectNothingLeft(scratch, namespaces);
});

test('an init file in YAML with three VMs, a NAT and a bridge network', async () => {
  await lagoOk(scratch, ['init', threeVmsWithBridge(scratch, 'trio')]);
  await lagoOk(scratch, ['start']);
  expect(await status()).toMatchObject({
    VMs: { one: { status: 'running' }, two: { status: 'running' }, three: { status: 'running' } },
    Networks: { front: { status: 'up' }, back: { status: 'up' } },
  });
  const namespaces = ownedNamespaces(scratch);
  // The bridge assigns no addresses: two guests that set their own reach each other through it.
  await lagoOk(scratch, ['shell', 'one', 'ip addr add 10.9.9.1/24 dev eth1 && ip link set eth1 up']);
  await lagoOk(scratch, ['shell', 'two', 'ip addr add 10.9.9.2/24 dev eth1 && ip link set eth1 up']);
  expect((await lagoOk(scratch, ['shell', 'one', 'ping -c 1 -W 5 10.9.9.2'])).stdout).toContain('1 packets received');
  await lagoOk(scratch, ['destroy', '--yes']);
  await expectNothingLeft(scratch, namespaces);
});

/** Copies a file in memory again and again, and writes down when a copy differs: that is seen when not all of memory is of one moment. */
const CHANGES_MEMORY = `mount -t tmpfs none /mnt && head -c 4000000 /dev/urandom > /mnt/a &&
  { while :; do cat /mnt/a > /mnt/b; cmp -s /mnt/a /mnt/b || echo differs > /mnt/wrong; done </dev/null >/dev/null 2>&1 & }`;

test('an ordinary user does the same without privileges', async () => {
  const uid = 61_234;
  const tun = statSync('/dev/net/tun').mode & 0o777;
  chmodSync('/dev/net/tun', 0o666);
  try {
    chmodSync(scratch.dir, 0o755);
    emptyCache(scratch);
    for (const folder of ['home', 'data', 'cache', 'run', 'store', 'leases']) chownSync(join(scratch.dir, folder), uid, uid);
    const cwd = join(scratch.dir, 'home');
    const file = twoVms(scratch, 'pair');
    const as = { uid, cwd };
    await lagoOk(scratch, ['init', file], as);
    await lagoOk(scratch, ['start'], as);
    const namespaces = ownedNamespaces(scratch);
    expect((await lagoOk(scratch, ['shell', 'web', 'id -un; hostname'], as)).stdout).toBe('root\nweb\n');
    await lagoOk(scratch, ['shell', 'web', `echo first > /root/mark; sync; ${CHANGES_MEMORY}`], as);
    await lagoOk(scratch, ['snapshot', 'base'], as);
    await lagoOk(scratch, ['shell', 'web', 'echo second > /root/mark; sync'], as);
    await lagoOk(scratch, ['revert', 'base'], as);
    expect((await lagoOk(scratch, ['shell', 'web', 'cat /root/mark; cat /mnt/wrong 2>/dev/null || true'], as)).stdout).toBe('first\n');
    await lagoOk(scratch, ['export', '--snapshot', 'base', '-d', 'handed-over'], as);
    await lagoOk(scratch, ['destroy', '--yes'], as);
    await expectNothingLeft(scratch, namespaces);
    await lagoOk(scratch, ['init', 'handed-over', '--resume'], as);
    const again = ownedNamespaces(scratch);
    expect((await lagoOk(scratch, ['shell', 'web', 'cat /root/mark; cat /mnt/wrong 2>/dev/null || true'], as)).stdout).toBe('first\n');
    await lagoOk(scratch, ['destroy', '--yes'], as);
    await expectNothingLeft(scratch, again);
  } finally {
    chmodSync('/dev/net/tun', tun);
  }
});

test('an environment as Lago itself left it on disk starts and is destroyed', async () => {
  await lagoOk(scratch, ['init', twoVms(scratch, 'old')]);
  const prefix = join(scratch.dir, '.lago/default');
  // Remove what Lago does not write, and give the key the name that Lago uses.
  for (const own of ['lago-desktop.json', 'snapshots', 'host']) rmSync(join(prefix, own), { recursive: true, force: true });
  for (const suffix of ['', '.pub']) renameSync(join(prefix, `id_ed25519${suffix}`), join(prefix, `id_rsa${suffix}`));
  expect(
    readdirSync(prefix)
      .filter((name) => !name.startsWith('.'))
      .sort(),
  ).toEqual(['cloud-init', 'id_rsa', 'id_rsa.pub', 'images', 'initialized', 'logs', 'metadata', 'scripts', 'uuid', 'virt']);
  expect((await status()).VMs).toMatchObject({ web: { status: 'down' } });
  await lagoOk(scratch, ['start']);
  const namespaces = ownedNamespaces(scratch);
  expect((await lagoOk(scratch, ['shell', 'web', 'hostname'])).stdout).toBe('web\n');
  await lagoOk(scratch, ['stop']);
  await lagoOk(scratch, ['destroy', '--yes']);
  await expectNothingLeft(scratch, namespaces);
});

test('two copies of one init file run side by side with the same inner addresses', async () => {
  const file = twoVms(scratch, 'pair');
  for (const name of ['left', 'right']) await lagoOk(scratch, ['--prefix-name', name, 'init', file]);
  for (const name of ['left', 'right']) await lagoOk(scratch, ['--prefix-name', name, 'start', 'web']);
  const addresses: string[] = [];
  for (const name of ['left', 'right']) {
    await lagoOk(scratch, ['--prefix-name', name, 'shell', 'web', `echo ${name} > /root/mark`]);
    addresses.push((await lagoOk(scratch, ['--prefix-name', name, 'shell', 'web', 'ip -4 -o addr show dev eth0'])).stdout);
  }
  expect(addresses[0]).toContain('192.168.200.');
  expect(addresses[0]).toBe(addresses[1]);
  expect((await lagoOk(scratch, ['--prefix-name', 'left', 'shell', 'web', 'cat /root/mark'])).stdout).toBe('left\n');
  const namespaces = ownedNamespaces(scratch);
  await lagoOk(scratch, ['destroy', '--yes', '--all-prefixes']);
  await expectNothingLeft(scratch, namespaces);
});

test('Ctrl-C while it starts undoes everything and exits with 130', async () => {
  await lagoOk(scratch, ['init', twoVms(scratch, 'pair')]);
  let sent = false;
  const interrupted = await lago(scratch, ['start'], {
    onStart: (child) => {
      child.stderr?.on('data', (chunk: Buffer) => {
        // Only once: a second SIGINT would make it exit without undoing anything.
        if (!sent && chunk.includes('Start vms')) sent = child.kill('SIGINT');
      });
    },
  });
  expect(interrupted.code).toBe(130);
  expect((await status()).VMs).toMatchObject({ web: { status: 'down' }, db: { status: 'down' } });
  expect(ownedProcesses(scratch)).toEqual([]);
});

test('a killed init does not block the next one', async () => {
  const file = twoVms(scratch, 'pair');
  const killed = await lago(scratch, ['init', file], {
    onStart: (child) => {
      child.stderr?.on('data', (chunk: Buffer) => {
        if (chunk.includes('Create ssh keys')) child.kill('SIGKILL');
      });
    },
  });
  expect(killed.code).toBe(137);
  await lagoOk(scratch, ['init', file]);
  expect((await status()).VMs).toMatchObject({ web: { status: 'down' } });
});

test('a second command on a busy environment says who holds it', async () => {
  await lagoOk(scratch, ['init', twoVms(scratch, 'pair')]);
  let refused: Outcome | undefined;
  await lagoOk(scratch, ['start'], {
    env: { LAGO_FAULT: 'hold:6' },
    whileHeld: async () => {
      refused = await lago(scratch, ['stop']);
    },
  });
  expect(refused?.code).toBe(4);
  expect(refused?.stderr).toContain('in use by start');
});

for (const [what, content, code, says] of [
  ['an unknown network', '{"domains": {"a": {"nics": [{"net": "nope"}], "disks": []}}, "nets": {"n": {}}}', 2, 'nope'],
  ['a hostile name', '{"domains": {"../x": {"nics": [{"net": "n"}], "disks": []}}, "nets": {"n": {}}}', 2, 'VM name'],
  ['broken JSON', '{"domains": {', 2, ':1:'],
  [
    'a missing template',
    '{"domains": {"a": {"nics": [{"net": "n"}], "disks": [{"name": "r", "dev": "vda", "type": "template", "template_name": "lago-sampel"}]}}, "nets": {"n": {}}}',
    2,
    'lago-sample',
  ],
] as const) {
  test(`bad input makes nothing: ${what}`, async () => {
    const file = scratch.write('bad.json', content);
    const outcome = await lago(scratch, ['init', file]);
    expect(outcome.code).toBe(code);
    expect(outcome.stderr).toContain(says);
    expect(outcome.stderr).not.toMatch(/\n\s+at /);
    expect(readdirSync(scratch.dir)).not.toContain('.lago');
  });
}

test('a missing init file and a missing VM are one sentence each', async () => {
  const missing = await lago(scratch, ['init', 'nowhere.json']);
  expect(missing.code).toBe(2);
  expect(missing.stderr).toContain(`Unable to find init file: ${join(scratch.dir, 'nowhere.json')}`);
  await lagoOk(scratch, ['init', twoVms(scratch, 'pair')]);
  const unknown = await lago(scratch, ['start', 'wbe']);
  expect(unknown.code).toBe(2);
  expect(unknown.stderr).toContain('There is no VM "wbe"');
});
