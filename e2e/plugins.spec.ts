import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@playwright/test';
import { lago, lagoOk } from './support/lago.ts';
import { useScratch } from './support/prologue.ts';
import { root, type Scratch } from './support/scratch.ts';

const EXAMPLES = join(root, 'examples/plugins');

let scratch: Scratch;
useScratch((made) => {
  scratch = made;
});

/** Writes a file below the user's `~/.config/lago`. */
function configure(path: string, content: string): string {
  const file = join(scratch.dir, 'home/.config/lago', path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

/** An environment that is quick to create and never started: one VM with an empty disk. */
function oneVm(keys: object): string {
  return scratch.write(
    'LagoInitFile',
    JSON.stringify({
      nets: { front: { type: 'nat', management: true, gw: '192.168.200.1', dhcp: { start: 100, end: 200 } } },
      domains: {
        web: { memory: 128, vcpu: 1, nics: [{ net: 'front' }], disks: [{ type: 'empty', name: 'r', dev: 'vda', size: '1M' }], ...keys },
      },
    }),
  );
}

test("the example repository's own tests pass on plain Node", () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--test'], { cwd: EXAMPLES, encoding: 'utf8' });
  expect(status, stdout + stderr).toBe(0);
  expect(stdout).toMatch(/^# pass [1-9]/m);
});

test('plugins of all kinds work in the real program: a format, a verb, a VM type, a service provider', async () => {
  configure('lago.conf', `[lago]\nplugins = ${EXAMPLES}\n`);
  const made = await lagoOk(scratch, ['init', oneVm({ 'vm-type': 'web-server', service_provider: 'openrc' })]);
  expect(made.stderr).not.toContain('openrc');
  const shown = await lagoOk(scratch, ['--out-format', 'table', 'status']);
  expect(shown.stdout).toMatch(/^Prefix\.VMs\.web\.status +\| down$/m);
  expect(shown.stdout).toMatch(/^Prefix\.VMs\.web\.metadata\.port +\| 80$/m);
  expect((await lagoOk(scratch, ['addresses'])).stdout).toBe('web: 192.168.200.2\n');
  expect((await lagoOk(scratch, ['addresses', '--hosts', 'web'])).stdout).toBe('192.168.200.2\tweb\n');
  expect((await lagoOk(scratch, ['ansible_hosts', '-k', 'groups'])).stdout).toContain('[web]\nweb ansible_host=192.168.200.2');
  const unknown = await lago(scratch, ['addresses', 'wbe']);
  expect(unknown).toMatchObject({ code: 2, stdout: '' });
  expect(unknown.stderr).toContain('There is no VM "wbe".');
  expect(unknown.stderr).not.toContain('    at ');
});

test('help, completion, manual page and mistakes know the verbs and formats of plugins', async () => {
  const env = { LAGO_PLUGINS: EXAMPLES };
  expect((await lagoOk(scratch, ['--help'], { env })).stdout).toMatch(/^ {2}addresses {2,}Print the addresses of the VMs$/m);
  expect((await lagoOk(scratch, ['addresses', '--help'], { env })).stdout).toContain('Print lines for /etc/hosts.');
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { stdout } = await lagoOk(scratch, ['completion', shell], { env });
    expect(stdout).toContain('addresses');
    expect(stdout).toMatch(/default[ ,]flat[ ,]json[ ,]yaml[ ,]table/);
  }
  expect((await lagoOk(scratch, ['man'], { env })).stdout).toContain('lago addresses');
  const format = await lago(scratch, ['-f', 'tabel', 'list'], { env });
  expect(format.code).toBe(2);
  expect(format.stderr).toContain('invalid choice: \'tabel\' (choose from default, flat, json, yaml, table). Did you mean "table"?');
  const configured = await lago(scratch, ['list'], { env: { ...env, LAGO_OUT_FORMAT: 'tabel' } });
  expect(configured.stderr).toContain('LAGO_OUT_FORMAT: out_format must be one of default, flat, json, yaml, table, not "tabel".');
  expect((await lago(scratch, ['adresses'], { env })).stderr).toContain('Did you mean "addresses"?');
  expect((await lago(scratch, ['addresses'])).stderr).toContain('unknown verb "addresses"');
});

test('broken plugins are named with the cause and left out; everything else goes on', async () => {
  const broken = {
    syntax: configure('plugins/syntax.mjs', 'export default {\n  apiVersion: 1,\n  kind: }'),
    throws: configure('plugins/throws.mjs', 'throw new Error("no licence found");'),
    shape: configure('plugins/shape.mjs', "export default { apiVersion: 1, kind: 'output', name: 'odd' };"),
    version: configure('plugins/version.mjs', "export default { apiVersion: 99, kind: 'output', name: 'late', format: String };"),
    clash: configure('plugins/clash.mjs', "export default { apiVersion: 1, kind: 'output', name: 'json', format: () => 'mine' };"),
    verb: configure('plugins/verb.mjs', "export default { apiVersion: 1, kind: 'cli', name: 'start', summary: 'Mine', run: () => 0 };"),
  };
  configure(
    'plugins/upper.mjs',
    "export default { apiVersion: 1, kind: 'output', name: 'upper', format: (v) => JSON.stringify(v).toUpperCase() };",
  );
  await lagoOk(scratch, ['init', oneVm({})]);
  const { stdout, stderr } = await lagoOk(scratch, ['-f', 'upper', 'list']);
  expect(stdout).toBe('["DEFAULT"]\n');
  for (const [file, cause] of [
    [broken.syntax, 'is left out: SyntaxError: Unexpected token'],
    [broken.throws, 'is left out: no licence found.'],
    [broken.shape, 'its output plugin "odd" is left out: format has to be a function.'],
    [broken.version, 'its output plugin "late" is left out: it was written for plugin API 99, and this program has version 1.'],
    [broken.clash, 'its output format "json" is left out: Lago Desktop has one of that name.'],
    [broken.verb, 'its verb "start" is left out: Lago Desktop has one of that name.'],
  ] as const) {
    const line = stderr.split('\n').find((one) => one.includes(`Plugin ${file}: `));
    expect(line, stderr).toContain(cause);
  }
  expect(stderr.trim().split('\n')).toHaveLength(6);
  expect((await lagoOk(scratch, ['--ignore-warnings', '-f', 'json', 'list'])).stderr).toBe('');
});

test('an error thrown by a plugin is reported under its name', async () => {
  configure(
    'plugins/failing.mjs',
    `export default [
      { apiVersion: 1, kind: 'cli', name: 'fail', summary: 'Fails', run: async () => { throw new TypeError('x is not a function'); } },
      { apiVersion: 1, kind: 'output', name: 'failing', format: () => { throw new Error('no paper'); } },
      { apiVersion: 1, kind: 'vm', name: 'failing', extend: () => { throw new Error('no idea'); } },
    ];`,
  );
  const verb = await lago(scratch, ['fail']);
  expect(verb.code).toBe(1);
  expect(verb.stderr).toContain('The verb "fail" failed: x is not a function');
  const file = oneVm({});
  const format = await lago(scratch, ['-f', 'failing', 'plan', file]);
  expect(format.code).toBe(1);
  expect(format.stderr).toContain('The output format "failing" failed: no paper');
  const type = await lago(scratch, ['init', oneVm({ 'vm-type': 'failing' })]);
  expect(type.code).toBe(2);
  expect(type.stderr).toContain('VM type failing failed: no idea');
});

test('an init file names what plugins offer, and never loads one', async () => {
  scratch.write('evil.mjs', "throw new Error('loaded');");
  for (const name of ['./evil.mjs', 'evil', 'webserver']) {
    const outcome = await lago(scratch, ['init', oneVm({ 'vm-type': name })], { env: { LAGO_PLUGINS: EXAMPLES } });
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).not.toContain('loaded');
  }
  const { stderr } = await lago(scratch, ['init', oneVm({ 'vm-type': 'webserver' })], { env: { LAGO_PLUGINS: EXAMPLES } });
  expect(stderr).toContain('Unknown VM type: webserver.');
  expect(stderr).toContain('Did you mean web-server?');
});
