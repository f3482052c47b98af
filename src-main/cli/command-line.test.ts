import { existsSync, mkdirSync, mkdtempSync, readlinkSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EngineError } from '../../src-shared/errors.ts';
import { VmSpec } from '../../src-shared/specs.ts';
import { type Outcome, type RunOptions, runIn } from './command-line.test-support.ts';

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'lago-cli-')));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

async function lago(line: string, options: RunOptions = {}): Promise<Outcome> {
  return await runIn(root, line, options);
}

function makePrefixes(...names: string[]): void {
  for (const name of names) {
    mkdirSync(join(root, '.lago', name, 'virt'), { recursive: true });
    writeFileSync(join(root, '.lago', name, 'uuid'), '0123456789abcdef0123456789abcdef');
    writeFileSync(join(root, '.lago', name, 'initialized'), '');
  }
  symlinkSync(names[0] ?? 'default', join(root, '.lago', 'current'));
}

describe('the program', () => {
  it('prints its version', async () => expect(await lago('--version')).toMatchObject({ code: 0, out: 'lago 9.8.7\n', err: '' }));
  it('without a verb prints help and fails', async () => {
    const { code, out } = await lago('');
    expect(code).toBe(1);
    expect(out).toMatch(/^usage: lago /);
  });
  it('with --help succeeds', async () => expect((await lago('status --help')).code).toBe(0));
  it('on a usage error prints usage and fails with 2', async () => {
    expect(await lago('destory')).toMatchObject({
      code: 2,
      out: '',
      err: 'usage: lago [global options] VERB [options] [arguments]\nlago: error: unknown verb "destory". Did you mean "destroy"?\n',
    });
    expect((await lago('revert')).err).toMatch(/^usage: lago revert .*\nlago revert: error: the following/);
  });
  it('stops at a wrong lago.conf, even for --version', async () => {
    expect(await lago('--version', { conf: 'nonsense' })).toMatchObject({
      code: 2,
      out: '',
      err: `error: ${root}/lago.conf:1: "nonsense" stands before the first [section].\nhint: Fix the file, or move it away.\n`,
    });
  });
  it('reports an unexpected error in a sentence', async () => {
    makePrefixes('default');
    const failing = { openEngine: async () => await Promise.reject(new TypeError('x is not a function')) };
    expect(await lago('start', { door: failing })).toMatchObject({ code: 1, err: 'error: x is not a function\n' });
  });
  it('warns of empty variables and of --prefix-path unless told not to', async () => {
    makePrefixes('default');
    const path = join(root, '.lago', 'default');
    const environment = { LAGO_SSH_USER: '' };
    expect((await lago(`-p ${path} status`, { environment })).err).toBe(
      'empty environment variable definition:LAGO_SSH_USER, ignoring.\n--prefix-path is deprecated, use --workdir and --prefix instead.\n',
    );
    expect((await lago(`--ignore-warnings -p ${path} status`, { environment })).err).toBe('');
  });
});

describe('settings', () => {
  beforeEach(() => makePrefixes('default'));
  it('come from file, environment and command line in this order', async () => {
    const conf = '[lago]\nssh_user = file\nssh_tries = 5\nssh_timeout = 3\n';
    const { fake } = await lago('--ssh-user typed status', { conf, environment: { LAGO_SSH_TRIES: '7' } });
    expect(fake.settings).toMatchObject({ sshUser: 'typed', sshTries: 7, sshTimeout: 3, host: 'embedded' });
  });
  it('select a system libvirt', async () => {
    expect((await lago('--libvirt_url qemu:///system status')).fake.settings?.host).toBe('qemu:///system');
    expect((await lago('--host embedded status', { environment: { LAGO_LIBVIRT_URL: 'qemu:///system' } })).fake.settings?.host).toBe(
      'embedded',
    );
  });
  it('in help are those in effect, and passwords are not shown', async () => {
    const { out } = await lago('--help', { conf: '[lago]\nlibvirt_password = s3cret\nssh_user = me\n' });
    expect(out).toContain('(default: me)');
    expect(out).not.toContain('s3cret');
  });
});

describe('the prefix', () => {
  beforeEach(() => makePrefixes('default', 'other'));
  const path = (name: string): string => join(root, '.lago', name);
  const used = async (line: string, options: RunOptions = {}): Promise<unknown> => (await lago(line, options)).fake.calls[0]?.[1];

  it('is the current one, the named one, or that of the variables', async () => {
    expect(await used('start')).toBe(path('default'));
    expect(await used('-P other start')).toBe(path('other'));
    expect(await used('start', { environment: { LAGO_PREFIX_NAME: 'other' } })).toBe(path('other'));
    expect(await used('start', { environment: { LAGO_PREFIX_PATH: path('other') } })).toBe(path('other'));
  });
  it('that is typed wins over a path in the environment', async () => {
    expect(await used('-P default start', { environment: { LAGO_PREFIX_PATH: path('other') } })).toBe(path('default'));
    expect(await used(`-w ${join(root, '.lago')} start`, { environment: { LAGO_PREFIX_PATH: path('other') } })).toBe(path('default'));
  });
  it('is never found above a workdir that was named wrongly', async () => {
    mkdirSync(join(root, 'sub'));
    expect(await lago('-w sub start', { cwd: root })).toMatchObject({
      code: 2,
      err: expect.stringContaining(`Unable to find workdir in ${root}/sub`) as string,
    });
  });
});

describe('lifecycle verbs', () => {
  beforeEach(() => makePrefixes('default'));
  const prefix = (): string => join(root, '.lago', 'default');

  it.each([
    ['start', 'start', { vms: [] }],
    ['start a b', 'start', { vms: ['a', 'b'] }],
    ['stop a', 'stop', { vms: ['a'] }],
    ['shutdown a', 'shutdown', { vms: ['a'], reboot: false }],
    ['shutdown -r', 'shutdown', { vms: [], reboot: true }],
    ['shutdown --force', 'shutdown', { vms: [], reboot: false, forceAfter: 300 }],
    ['shutdown --force 20 a', 'shutdown', { vms: ['a'], reboot: false, forceAfter: 20 }],
    ['reboot a', 'reboot', { vms: ['a'] }],
    ['reset', 'reset', { vms: [] }],
    ['suspend', 'suspend', { vms: [] }],
    ['resume a b', 'resume', { vms: ['a', 'b'] }],
    ['cleanup', 'cleanup', {}],
    ['snapshot clean', 'snapshot', { name: 'clean', diskOnly: false, quiesce: false }],
    ['snapshot --disk-only --quiesce clean', 'snapshot', { name: 'clean', diskOnly: true, quiesce: true }],
    ['snapshot --delete clean', 'delete-snapshot', { name: 'clean' }],
    [
      'snapshot -e clean --rename new --note why --tags a b --pin',
      'edit-snapshot',
      { name: 'clean', rename: 'new', note: 'why', tags: ['a', 'b'], pinned: true },
    ],
    ['snapshot --edit clean --accept', 'edit-snapshot', { name: 'clean', accept: true }],
    ['snapshot --edit clean --unpin --tags', 'edit-snapshot', { name: 'clean', tags: [], pinned: false }],
    ['snapshot --prune', 'prune-snapshots', {}],
    ['snapshot --prune --branch clean', 'prune-snapshots', { branch: 'clean' }],
    ['revert clean', 'revert', { name: 'clean' }],
    ['revert clean --keep before', 'revert', { name: 'clean', first: 'before' }],
    ['deploy', 'deploy', { vms: [] }],
    ['deploy web --from', 'deploy', { vms: ['web'], from: true }],
    ['deploy --from 2 --timeout 1.5', 'deploy', { vms: [], from: '2', timeout: 1.5 }],
    ['destroy -y', 'destroy', {}],
    ['destroy -y --forget', 'destroy', { forget: true }],
  ])('%s', async (line, name, input) => {
    const { code, fake, out } = await lago(line);
    expect({ code, out, calls: fake.calls, disposed: fake.disposed }).toEqual({
      code: 0,
      out: '',
      calls: [[name, prefix(), input]],
      disposed: 1,
    });
  });
  it('print their tasks on stderr', async () => {
    expect((await lago('start')).err).toBe('@ Start Prefix: \n@ Start Prefix: Success (in 0:00:00)\n');
    expect((await lago('--color always start')).err).toContain('\u001b[32mSuccess');
    expect((await lago('-l error start')).err).toBe('');
  });
  it('report a failure and return its exit code', async () => {
    const failure = new EngineError('conflict.locked', 'The environment is locked by start (pid 1).', { hint: 'Wait.' });
    expect(await lago('start', { fake: { failure } })).toMatchObject({
      code: 4,
      err: '@ Start Prefix: \n@ Start Prefix: ERROR (in 0:00:00)\nerror: The environment is locked by start (pid 1).\nhint: Wait.\n',
      fake: { disposed: 1 },
    });
  });
  it('are cancelled by a signal and undone before they end', async () => {
    const abort = new AbortController();
    const running = lago('start', { fake: { hang: true }, signal: abort.signal });
    setTimeout(() => abort.abort(), 20);
    expect(await running).toMatchObject({
      code: 130,
      err: '@ Start Prefix: \n@ Start Prefix: Cancelled (in 0:00:00)\nCancelled.\n',
      fake: { disposed: 1 },
    });
  });
});

describe('dry runs', () => {
  beforeEach(() => makePrefixes('default'));

  it.each([
    ['snapshot --delete a --dry-run', 'removalPlan', { name: 'a' }],
    ['snapshot --prune --branch a --dry-run', 'removalPlan', { branch: 'a' }],
    ['snapshot --prune --dry-run', 'removalPlan', { unpinned: true }],
    ['revert --dry-run a', 'revertPlan', 'a'],
  ])('%s', async (line, name, input) => {
    const { code, fake } = await lago(line);
    expect({ code, calls: fake.calls }).toEqual({ code: 0, calls: [[name, join(root, '.lago', 'default'), input]] });
  });
  it('are printed for people, and in the other formats', async () => {
    expect((await lago('snapshot --prune --dry-run')).out).toBe(
      'Would delete: a, b.\nWould merge a layer of VM db.\nGives back at least 2 KiB.\n',
    );
    expect((await lago('-f flat snapshot --prune --dry-run')).out).toContain('bytes: 2048\n');
    expect((await lago('revert a --dry-run')).out).toMatch(
      /^Would revert to a\. Lost: everything since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\ndb: now running, then off\.\n$/,
    );
    expect(JSON.parse((await lago('-f json revert a --dry-run')).out)).toMatchObject({ since: 0, missing: [] });
  });
});

describe('snapshot', () => {
  it.each([
    ['snapshot --list --delete a', 'argument --delete: not allowed with argument --list.'],
    ['snapshot a --pin', 'argument --pin: only with --edit.'],
    ['snapshot --edit a --dry-run', 'argument --dry-run: only with --delete or --prune.'],
    ['snapshot --edit a', 'argument --edit: nothing to change.'],
    ['snapshot --edit a --pin --unpin', 'argument --unpin: not allowed with argument --pin.'],
    ['snapshot --edit', 'No snapshot name provided'],
    ['snapshot --prune a', 'argument --prune: it takes no name.'],
  ])('%s is refused', async (line, message) => {
    makePrefixes('default');
    expect(await lago(line)).toMatchObject({ code: 2, err: expect.stringContaining(`error: ${message}\n`) as string, fake: { calls: [] } });
  });
});

describe('init', () => {
  it('takes the init file and the workdir by position', async () => {
    for (const name of ['LagoInitFile', 'my.yaml']) writeFileSync(join(root, name), '');
    const request = async (line: string): Promise<unknown> => (await lago(line)).fake.calls[1]?.[1];
    const base = { start: false, setCurrent: false, skipBootstrap: false, skipBuild: false, allowPaths: [] };
    expect(await request('init')).toEqual({ ...base, initFile: `${root}/LagoInitFile`, workdir: `${root}/.lago`, name: 'default' });
    expect(await request('init my.yaml')).toEqual({ ...base, initFile: `${root}/my.yaml`, workdir: `${root}/.lago`, name: 'default' });
    expect(await request('-P second init dir my.yaml --set-current --skip-bootstrap --skip-build')).toEqual({
      initFile: `${root}/my.yaml`,
      workdir: `${root}/dir`,
      name: 'second',
      start: false,
      setCurrent: true,
      skipBootstrap: true,
      skipBuild: true,
      allowPaths: [],
    });
    expect(await request('init --allow-path /a my.yaml --allow-path b')).toMatchObject({
      initFile: `${root}/my.yaml`,
      allowPaths: ['/a', 'b'],
    });
    expect(await request('-w elsewhere init my.yaml')).toMatchObject({ workdir: `${root}/elsewhere` });
  });
  it('hands template options to the engine', async () => {
    writeFileSync(join(root, 'LagoInitFile'), '');
    const { fake } = await lago('init --template-repo-path /r --template-store /s --template-repos /t');
    expect(fake.settings).toMatchObject({ templateRepoPath: '/r', templateStore: '/s', templateRepos: '/t' });
    expect((await lago('init --template-repo-name n')).fake.settings).toMatchObject({ templateRepoPath: undefined, templateRepoName: 'n' });
  });
  it('needs an init file', async () => {
    expect(await lago('init nowhere.yaml')).toMatchObject({
      code: 2,
      err: `error: Unable to find init file: ${root}/nowhere.yaml\n`,
      fake: { calls: [] },
    });
    expect(existsSync(join(root, '.lago'))).toBe(false);
  });
  it('refuses a name that is taken before doing anything', async () => {
    makePrefixes('default');
    writeFileSync(join(root, 'LagoInitFile'), '');
    expect(await lago('init')).toMatchObject({
      code: 2,
      err: expect.stringContaining(`error: Prefix with name default already exists in workdir ${root}/.lago\n`) as string,
      fake: { calls: [] },
    });
  });
  it('reports all issues and creates nothing when one is an error', async () => {
    writeFileSync(join(root, 'LagoInitFile'), '');
    const issues = [
      { file: 'f', line: 1, column: 2, path: 'nets', severity: 'warning', message: 'Odd.' },
      { file: 'f', line: 3, column: 4, path: 'domains.a', severity: 'error', message: 'Wrong.', hint: 'Mend it.' },
    ];
    const { code, err, fake } = await lago('init', { fake: { issues } });
    expect(code).toBe(2);
    expect(err).toBe(
      `f:1:2: warning: nets: Odd.\nf:3:4: error: domains.a: Wrong. Mend it.\nerror: ${root}/LagoInitFile has errors; nothing was created.\n`,
    );
    expect(fake.calls.map(([name]) => name)).toEqual(['inspect']);
    expect((await lago('init', { fake: { issues: issues.slice(0, 1) } })).code).toBe(0);
  });
});

describe('status, list, set-current', () => {
  it('print what is there', async () => {
    makePrefixes('default', 'other');
    const { out } = await lago('-f flat status');
    for (const line of ['VMs/db/status: down', 'VMs/db/root password: 123456']) expect(out).toContain(`${line}\n`);
    expect((await lago('list')).out).toBe('default\nother\n');
    expect((await lago('list .lago')).out).toBe('default\nother\n');
    expect((await lago('list prefixes')).out).toBe('default\nother\n');
    expect((await lago('-f json list')).out).toBe('[\n    "default",\n    "other"\n]\n');
    expect((await lago('-f yaml list')).out).toBe('- default\n- other\n\n');
    expect((await lago('-f flat list')).out).toBe('default\nother\n');
    expect((await lago('-f json snapshot --list')).out).toBe('{\n    "vm0": {},\n    "vm1": {}\n}\n');
  });
  it('move the link', async () => {
    makePrefixes('default', 'other');
    expect(await lago('set-current other')).toMatchObject({ code: 0, out: '', err: '' });
    expect(readlinkSync(join(root, '.lago', 'current'))).toBe('other');
    expect(await lago('set-current nope')).toMatchObject({
      code: 2,
      err: expect.stringContaining('Prefix "nope" does not exist') as string,
    });
  });
  it('list does not open the engine', async () => {
    makePrefixes('default');
    expect((await lago('list')).fake.settings).toBeUndefined();
  });
});

describe('snapshot', () => {
  it('needs a name', async () =>
    expect(await lago('snapshot')).toMatchObject({ code: 2, err: expect.stringContaining('No snapshot name provided') as string }));
});

describe('destroy', () => {
  beforeEach(() => makePrefixes('default', 'other'));
  it('asks only a terminal', async () => {
    expect(await lago('destroy', { stdin: 'y\n' })).toMatchObject({
      code: 2,
      err: expect.stringContaining('hint: Use "lago destroy --yes".') as string,
      fake: { calls: [] },
    });
    for (const [answer, calls] of [
      ['y\n', 1],
      ['\n', 1],
      ['n\n', 0],
    ] as const) {
      const { code, err, fake } = await lago('destroy', { stdin: answer, terminal: true });
      expect({ code, calls: fake.calls.length }).toEqual({ code: 0, calls });
      expect(err).toContain(`Do you really want to destroy ${root}/.lago/default? [Yn] `);
      expect(err.includes('Aborting on user input')).toBe(calls === 0);
    }
  });
  it('takes every prefix when asked to', async () => {
    const notes = join(root, '.lago', 'a-folder-of-mine');
    mkdirSync(notes);
    writeFileSync(join(notes, 'notes.txt'), 'x');
    const { code, err, fake } = await lago('destroy -y --all-prefixes');
    expect({ code, err }).toEqual({
      code: 0,
      err: expect.stringContaining(`${notes} is not a Lago prefix, and is not removed.`) as string,
    });
    expect(fake.calls).toEqual([
      ['destroy', join(root, '.lago', 'default'), {}],
      ['destroy', join(root, '.lago', 'other'), {}],
    ]);
  });
  it('removes only the link of a linked prefix', async () => {
    const target = join(root, 'elsewhere');
    mkdirSync(join(target, 'virt'), { recursive: true });
    writeFileSync(join(target, 'uuid'), 'x');
    symlinkSync(target, join(root, '.lago', 'linked'));
    const { code, fake } = await lago('-P linked destroy -y');
    expect({ code, calls: fake.calls }).toEqual({ code: 0, calls: [] });
    expect(existsSync(join(root, '.lago', 'linked'))).toBe(false);
    expect(existsSync(target)).toBe(true);
  });
});

describe('shell', () => {
  beforeEach(() => makePrefixes('default'));
  const request = (outcome: Outcome): unknown => outcome.fake.calls[0]?.[2];

  it('runs words as a command, feeds it stdin, and ends with its exit code', async () => {
    const outcome = await lago('shell vm0 -c systemctl is-active --quiet sshd', { stdin: 'data' });
    expect(request(outcome)).toEqual({ vm: 'vm0', command: 'systemctl is-active --quiet sshd' });
    expect(outcome).toMatchObject({ code: 7, out: 'out of systemctl is-active --quiet sshd\n', fake: { remoteInput: 'data' } });
    expect(outcome.err).toBe('Waiting for ssh on 192.168.200.2\nerr\n');
  });
  it('runs a local script', async () => {
    writeFileSync(join(root, 'setup.sh'), 'echo hello\n');
    const outcome = await lago('shell vm0 setup.sh', { stdin: 'not this' });
    expect(request(outcome)).toEqual({ vm: 'vm0', command: 'bash -s' });
    expect(outcome.fake.remoteInput).toBe('echo hello\n');
  });
  it('reads commands from a pipe', async () => {
    const outcome = await lago('shell vm0', { stdin: 'uptime\n' });
    expect(request(outcome)).toEqual({ vm: 'vm0', command: 'bash' });
    expect(outcome.fake.remoteInput).toBe('uptime\n');
  });
  it('prefers the exact name, else the first that ends with it', async () => {
    expect(request(await lago('shell vm0 id'))).toMatchObject({ vm: 'vm0' });
    expect(request(await lago('shell m0 id'))).toMatchObject({ vm: 'web-vm0' });
  });
  it('reports the known VMs, and that one is down', async () => {
    expect(await lago('shell nope id')).toMatchObject({
      code: 2,
      err: 'error: Unable to find VM nope\nhint: Available: web-vm0, vm0, db.\n',
    });
    expect(await lago('shell db id')).toMatchObject({
      code: 2,
      err: 'error: Host db is not "running", but "down"\nhint: Start it with "lago start db".\n',
    });
    const states = { status: { 'web-vm0': 'paused' } } as const;
    expect(await lago('shell m0 id', { fake: states })).toMatchObject({
      code: 2,
      err: expect.stringContaining('"lago resume web-vm0"') as string,
    });
    expect(await lago('console db')).toMatchObject({ code: 2, err: expect.stringContaining('Host db is not "running"') as string });
    expect(await lago('console m0')).toMatchObject({ code: 2, err: expect.stringContaining('Unable to find VM m0') as string });
  });
  it('leaves a console that another program has taken, whatever is typed meanwhile', async () => {
    expect(await lago('console vm0', { stdin: 'root\n' })).toMatchObject({
      code: 0,
      err: expect.stringContaining('Left the console of vm0.') as string,
    });
  });
});

describe('validate and plan', () => {
  const issues = [{ file: 'f', line: 3, column: 4, path: 'domains.a', severity: 'error', message: 'Wrong.' }];
  it('print every issue and fail when one is an error', async () => {
    expect(await lago('validate f', { fake: { issues } })).toMatchObject({ code: 2, out: 'f:3:4: error: domains.a: Wrong.\n' });
    expect(await lago('validate f')).toMatchObject({ code: 0, out: `${root}/f: no problems found\n` });
    expect(JSON.parse((await lago('-f json validate f', { fake: { issues } })).out)).toEqual(issues);
  });
  it('count what this machine lacks only where init would run', async () => {
    const lacking = issues.map((issue) => ({ ...issue, about: 'machine' }));
    expect((await lago('validate f', { fake: { issues: lacking } })).code).toBe(2);
    expect((await lago('plan f', { fake: { issues: lacking } })).code).toBe(0);
  });
  it('plan as if nothing were leased', async () => {
    const { fake, code } = await lago('plan --fresh-leases f');
    expect(code).toBe(0);
    expect(fake.settings?.leaseDir).toMatch(/lago-leases-/);
    expect(existsSync(fake.settings?.leaseDir ?? '/')).toBe(false);
  });
  it('print the plan as JSON in the documented order', async () => {
    expect((await lago('-f json plan f')).out).toBe('{\n    "vms": {},\n    "nets": {},\n    "downloads": [],\n    "issues": []\n}\n');
    const { out } = await lago('-f json validate f', { fake: { issues } });
    expect(Object.keys((JSON.parse(out) as object[])[0] ?? {})).toEqual(['file', 'line', 'column', 'path', 'severity', 'message']);
  });
});

describe('leases', () => {
  const leases = [
    { subnet: '192.168.200.0', path: '/l/200.lease', uuidPath: '/a/.lago/default/uuid', uuid: '1', valid: true },
    { subnet: '192.168.201.0', path: '/l/201.lease', uuidPath: '/b/uuid', uuid: '2', valid: false },
  ];
  it('are listed and freed', async () => {
    const door = { listLeases: async () => await Promise.resolve(leases), freeStaleLeases: async () => await Promise.resolve([]) };
    expect((await lago('leases', { door })).out).toBe(
      '192.168.200.0/24 /a/.lago/default\n192.168.201.0/24 /b (stale: this environment is gone)\n',
    );
    expect(JSON.parse((await lago('-f json leases list', { door })).out)).toMatchObject([
      { prefix: '/a/.lago/default', stale: false },
      { stale: true },
    ]);
    expect(await lago('leases free', { door })).toMatchObject({ code: 0, out: '', err: 'No stale leases.\n' });
  });
});

describe('ansible_hosts', () => {
  const vm = (name: string, ip: string, more: object): VmSpec => VmSpec.parse({ name, nics: [{ net: 'n0', ip }], mgmt_net: 'n0', ...more });
  const door = {
    readSpecs: async () =>
      await Promise.resolve({
        vms: [
          vm('b', '192.168.200.3', { groups: ['web', 'all'] }),
          vm('a', '192.168.200.2', { groups: ['web'], disks: [{ dev: 'vda', path: '/x' }] }),
        ],
        nets: [],
      }),
  };
  it('group by the default keys', async () => {
    makePrefixes('default');
    const host = (name: string, octet: number): string =>
      `${name} ansible_host=192.168.200.${octet} ansible_ssh_private_key_file=${root}/.lago/default/id_rsa`;
    expect((await lago('ansible_hosts', { door })).out).toBe(
      [
        '[vm-type=default]',
        host('a', 2),
        host('b', 3),
        '[groups=web]',
        host('a', 2),
        host('b', 3),
        '[groups=all]',
        host('b', 3),
        '[vm-provider=local-libvirt]',
        host('a', 2),
        host('b', 3),
        '[web]',
        host('a', 2),
        host('b', 3),
        '[all]',
        host('b', 3),
        '',
      ].join('\n'),
    );
  });
  it('group by paths into the definition', async () => {
    makePrefixes('default');
    const { out } = await lago('ansible_hosts -k disks/0/dev nonsense/0', { door });
    expect(out.split('\n').filter((line) => line.startsWith('['))).toEqual(['[web]', '[all]', '[disks/0/dev=vda]']);
  });
});

describe('generated texts', () => {
  it.each(['bash', 'zsh', 'fish'])('complete verbs in %s', async (shell) => {
    const { code, out } = await lago(`completion ${shell}`);
    expect(code).toBe(0);
    for (const word of ['set-current', 'skip-bootstrap', 'loglevel']) expect(out).toContain(word);
  });
  it('include a manual page and a configuration', async () => {
    expect((await lago('man')).out).toMatch(/^\.TH LAGO 1 /);
    const { out } = await lago('--ssh-user me generate-config --verbose');
    expect(out).toContain('ssh_user = me\n');
    expect(out).toContain('#libvirt_url = None\n');
  });
});

describe('export', () => {
  beforeEach(() => makePrefixes('default'));
  it('takes options, and its section of lago.conf', async () => {
    const prefix = join(root, '.lago', 'default');
    const usual = { vms: [], destination: root, standalone: false, compress: false, initFileName: 'LagoInitFile', format: 'yaml' };
    expect((await lago('export')).fake.calls).toEqual([['export', prefix, usual]]);
    const conf = '[export]\ndst_dir = out\ninit_file_name = init.json\nsparsify = never\n';
    const { fake, err } = await lago('-f json export -s -c -n web db --without-threads', { conf });
    expect(fake.calls[0]?.[2]).toEqual({
      ...usual,
      vms: ['web', 'db'],
      destination: join(root, 'out'),
      standalone: true,
      compress: true,
      initFileName: 'init.json',
      format: 'json',
    });
    expect(fake.settings?.exportSparsify).toBe('never');
    expect(err).toContain('Create it elsewhere with: lago init /out/LagoInitFile');
  });
  it('--collect-only prints paths and exports nothing', async () => {
    const { out, fake } = await lago('-f json export --collect-only -n web');
    expect([JSON.parse(out), fake.calls]).toEqual([{ web: ['/i/root.qcow2'] }, []]);
  });
});

describe('templates build', () => {
  it('tells images, templates and VMs apart', async () => {
    makePrefixes('default');
    writeFileSync(join(root, 'disk.img'), '');
    const from = async (words: string): Promise<unknown> => (await lago(`templates build own ${words}`)).fake.calls[0]?.[1];
    expect(await from('--from disk.img')).toMatchObject({ from: { image: join(root, 'disk.img') } });
    expect(await from('--from ./none')).toMatchObject({ from: { image: join(root, 'none') } });
    expect(await from('--from el9:v1')).toMatchObject({ from: { template: 'el9:v1' } });
    expect(await from('--vm web')).toMatchObject({ from: { prefix: join(root, '.lago', 'default'), vm: 'web' } });
    expect((await lago('templates build own --from el9 --run a.sh b.sh')).out).toBe('/r/repo.json\n');
  });
  it.each(['build own', 'build --from x', 'build own two --from x', 'build own --from x --vm y', 'list --sysprep'])(
    'refuses "%s"',
    async (words) => {
      expect(await lago(`templates ${words}`)).toMatchObject({ code: 2, out: '', fake: { calls: [] } });
    },
  );
});
