import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { twoVms } from './support/init-files.ts';
import { CLI, lago, lagoOk } from './support/lago.ts';
import { ownedProcesses } from './support/leaks.ts';
import { useScratch } from './support/prologue.ts';
import { root, type Scratch } from './support/scratch.ts';

// Every verb of the real command line, without running VMs. With running VMs: cli.spec.ts, hosts/system.spec.ts, networks.spec.ts.

let scratch: Scratch;
useScratch((made) => {
  scratch = made;
});

const ok = async (...argv: readonly string[]): Promise<string> => (await lagoOk(scratch, argv)).stdout;

test('several prefixes: list, set-current, status in every format, ansible_hosts, snapshot --list, cleanup, destroy', async () => {
  const file = twoVms(scratch, 'pair');
  await ok('--prefix-name', 'one', 'init', file);
  await ok('--prefix-name', 'two', 'init', file, '--set-current');
  const workdir = join(scratch.dir, '.lago');
  expect(readlinkSync(join(workdir, 'current'))).toBe('two');
  expect(await ok('list')).toBe('one\ntwo\n');
  expect(JSON.parse(await ok('-f', 'json', 'list'))).toEqual(['one', 'two']);
  expect(await ok('-f', 'yaml', 'list')).toBe('- one\n- two\n\n');
  expect(await ok('-f', 'flat', 'list', workdir)).toBe('one\ntwo\n');
  await ok('set-current', 'one');
  expect(readlinkSync(join(workdir, 'current'))).toBe('one');
  const wrong = await lago(scratch, ['set-current', 'three']);
  expect(wrong).toMatchObject({ code: 2, stdout: '' });
  expect(wrong.stderr).toContain('three');
  const again = await lago(scratch, ['--prefix-name', 'one', 'init', file]);
  expect(again.code).toBe(2);
  expect(again.stderr).toContain('already exists');

  expect(await ok('status')).toContain('[Prefix]:\n    Base directory: ');
  expect(await ok('-f', 'flat', 'status')).toContain('VMs/web/NICs/eth0/ip: 192.168.200.2\n');
  expect(await ok('-f', 'yaml', 'status')).toContain("      root password: '123456'\n");
  expect(JSON.parse(await ok('-f', 'json', 'status'))).toMatchObject({ Prefix: { VMs: { web: { status: 'down' } } } });

  const key = join(workdir, 'one/id_rsa');
  const web = `web ansible_host=192.168.200.2 ansible_ssh_private_key_file=${key}`;
  const db = `db ansible_host=192.168.200.3 ansible_ssh_private_key_file=${key}`;
  expect(await ok('ansible_hosts')).toBe(`[vm-type=default]\n${db}\n${web}\n[vm-provider=local-libvirt]\n${db}\n${web}\n`);
  expect(await ok('ansible_hosts', '-k', 'disks/0/dev', 'nothing')).toBe(`[disks/0/dev=vda]\n${db}\n${web}\n`);
  expect(JSON.parse(await ok('-f', 'json', 'snapshot', '--list'))).toEqual({ db: {}, web: {} });
  const nameless = await lago(scratch, ['snapshot']);
  expect(nameless.code).toBe(2);
  expect(nameless.stderr).toContain('No snapshot name provided');

  await ok('cleanup');
  expect(existsSync(join(workdir, 'one/initialized'))).toBe(false);
  expect(await ok('status')).toContain('status: down');
  await ok('destroy', '--yes');
  expect(await ok('list')).toBe('two\n');
  expect(readlinkSync(join(workdir, 'current'))).toBe('two');
  const unasked = await lago(scratch, ['destroy'], { input: 'y\n' });
  expect(unasked.code).toBe(2);
  expect(unasked.stderr).toContain('Use "lago destroy --yes"');
  expect(await ok('list')).toBe('two\n');
  await ok('destroy', '--yes', '--all-prefixes');
  expect(existsSync(workdir)).toBe(false);
});

test('validate and plan create nothing and report everything', async () => {
  const file = twoVms(scratch, 'pair');
  expect(await ok('validate', file)).toBe(`${file}: no problems found\n`);
  const bad = scratch.write('bad.yaml', 'domains:\n  a:\n    nics: [{net: m}]\n    memroy: 5\nnets:\n  n: {}\n');
  const told = await lago(scratch, ['validate', bad]);
  expect(told.code).toBe(2);
  expect(told.stdout).toContain(`${bad}:3:18: error: domains.a.nics[0].net: There is no network "m". Did you mean n?\n`);
  expect(told.stdout).toMatch(/bad\.yaml:4:5: warning: .*memroy.*memory/);
  const json = await lago(scratch, ['-f', 'json', 'validate', bad]);
  expect(json.code).toBe(2);
  expect(JSON.parse(json.stdout)).toContainEqual(expect.objectContaining({ line: 3, column: 18, severity: 'error' }));
  const plan = JSON.parse(await ok('-f', 'json', 'plan', '--fresh-leases', file)) as object;
  expect(Object.keys(plan)).toEqual(['vms', 'nets', 'downloads', 'issues']);
  expect(plan).toMatchObject({ vms: { web: { memory: 192, nics: [{ ip: '192.168.200.2', mac: '54:52:c0:a8:c8:02' }] } } });
  expect(await ok('plan', file)).toContain('memory: 192 MiB');
  expect(existsSync(join(scratch.dir, '.lago'))).toBe(false);
});

test('leases lists those of a store and frees the stale ones', async () => {
  const store = join(scratch.dir, 'leases');
  const uuid = join(scratch.dir, 'alive/uuid');
  mkdirSync(join(scratch.dir, 'alive'));
  writeFileSync(uuid, 'abc');
  writeFileSync(join(store, '200.lease'), JSON.stringify([uuid, 'abc']));
  writeFileSync(join(store, '203.lease'), JSON.stringify(['/gone/uuid', 'def']));
  const args = ['--lease_dir', store, 'leases'];
  const both = `192.168.200.0/24 ${join(scratch.dir, 'alive')}\n192.168.203.0/24 /gone (stale: this environment is gone)\n`;
  expect(await ok(...args)).toBe(both);
  expect(await ok(...args, 'list')).toBe(both);
  expect(await ok(...args, 'free')).toContain('192.168.203.0/24');
  expect(await ok(...args)).toBe(both.split('\n')[0] + '\n');
});

test('generate-config is read back, and the manual page renders', async () => {
  const text = (await lagoOk(scratch, ['generate-config'], { env: { LAGO_SSH_TRIES: '7' } })).stdout;
  expect(text).toContain('# How many times to try to log in to a VM whose ssh answers, a second\n# apart.\nssh_tries = 7\n');
  mkdirSync(join(scratch.dir, 'config/lago'), { recursive: true });
  writeFileSync(join(scratch.dir, 'config/lago/lago.conf'), text);
  const again = (await lagoOk(scratch, ['generate-config'], { env: { XDG_CONFIG_HOME: join(scratch.dir, 'config') } })).stdout;
  expect(again.split('\n').slice(1)).toEqual(text.split('\n').slice(1));

  const page = scratch.write('lago.1', await ok('man'));
  const shown = execFileSync('man', ['--warnings', '-l', page], {
    encoding: 'utf8',
    env: { ...process.env, MANWIDTH: '80', LC_ALL: 'C.UTF-8', MAN_KEEP_FORMATTING: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const word of ['NAME', 'SYNOPSIS', 'lago ansible_hosts', 'EXIT STATUS', 'LAGO__INIT__TEMPLATE_STORE']) expect(shown).toContain(word);
});

test('real shells complete verbs, options, values, prefixes and VMs', async () => {
  const file = twoVms(scratch, 'pair');
  await ok('--prefix-name', 'one', 'init', file);
  const script = scratch.write('completion.bash', await ok('completion', 'bash'));
  const bin = join(scratch.dir, 'bin');
  mkdirSync(bin);
  symlinkSync(CLI, join(bin, 'lago'));
  const complete = (...words: string[]): string[] => {
    const line = `source ${script}; COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _lago; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const out = execFileSync('bash', ['--norc', '-c', line], {
      cwd: scratch.dir,
      encoding: 'utf8',
      env: { ...process.env, ...scratch.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` },
    });
    return out.split('\n').filter((word) => word !== '');
  };
  expect(complete('lago', 'st')).toEqual(['start', 'stop', 'status']);
  expect(complete('lago', '--out')).toEqual(['--out-format']);
  expect(complete('lago', '--out-format', 'j')).toEqual(['json']);
  expect(complete('lago', 'init', '--skip-')).toEqual(['--skip-bootstrap', '--skip-build']);
  expect(complete('lago', 'set-current', '')).toEqual(['one']);
  expect(complete('lago', '--loglevel', 'error', 'start', 'w')).toEqual(['web']);
  expect(complete('lago', 'completion', '')).toEqual(['bash', 'zsh', 'fish']);

  const zsh = scratch.write('_lago', await ok('completion', 'zsh'));
  execFileSync('zsh', ['-n', zsh], { stdio: ['ignore', 'ignore', 'inherit'] });
  const fish = scratch.write('lago.fish', await ok('completion', 'fish'));
  const offered = execFileSync(
    'fish',
    ['--no-config', '-c', `source ${fish}; complete -C 'lago set-current '; complete -C 'lago start w'`],
    {
      cwd: scratch.dir,
      encoding: 'utf8',
      env: { ...process.env, ...scratch.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` },
    },
  );
  expect(offered.split('\n').map((line) => line.split('\t')[0])).toEqual(['one', 'web', '']);
});

test('unknown verbs suggest, help explains', async () => {
  expect((await lago(scratch, ['statsu'])).stderr).toContain('Did you mean "status"?');
  expect((await lago(scratch, ['init', '--skip-bootsrap'])).stderr).toContain('Did you mean --skip-bootstrap?');
  expect((await lago(scratch, ['list', 'nowhere'])).code).toBe(2);
  expect(await ok('help', 'revert')).toBe(await ok('revert', '--help'));
  expect((await lago(scratch, [])).code).toBe(1);
});

test('an environment that Lago 0.29 made is shown and destroyed', async () => {
  const prefix = join(scratch.dir, '.lago/default');
  cpSync(join(root, 'fixtures/lago/prefix/status-prefix_skel'), prefix, { recursive: true });
  symlinkSync('default', join(scratch.dir, '.lago/current'));
  const uuid = readFileSync(join(prefix, 'uuid'), 'utf8').trim();
  expect(JSON.parse(await ok('-f', 'json', 'status'))).toMatchObject({ Prefix: { UUID: uuid } });
  expect(await ok('list')).toBe('default\n');
  expect(await ok('ansible_hosts')).toContain('ansible_host=');
  await ok('stop');
  await ok('destroy', '--yes');
  expect(existsSync(join(scratch.dir, '.lago'))).toBe(false);
});

for (const [signal, code] of [
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  test(`${signal} while init works undoes it and exits with ${code}`, async () => {
    const file = twoVms(scratch, 'pair');
    let sent = false;
    const outcome = await lago(scratch, ['init', file], {
      onStart: (child) => {
        child.stderr?.on('data', (chunk: Buffer) => {
          if (!sent && chunk.includes('Create')) sent = child.kill(signal);
        });
      },
    });
    expect(outcome.code).toBe(code);
    expect(existsSync(join(scratch.dir, '.lago'))).toBe(false);
    expect(ownedProcesses(scratch)).toEqual([]);
  });
}

test('SIGTERM while it starts stops what was started and exits with 143', async () => {
  await ok('init', twoVms(scratch, 'pair'));
  let sent = false;
  const outcome = await lago(scratch, ['start'], {
    onStart: (child) => {
      child.stderr?.on('data', (chunk: Buffer) => {
        if (!sent && chunk.includes('Start vms')) sent = child.kill('SIGTERM');
      });
    },
  });
  expect(outcome.code).toBe(143);
  expect(await ok('-f', 'flat', 'status')).toContain('VMs/web/status: down\n');
  expect(ownedProcesses(scratch)).toEqual([]);
});
