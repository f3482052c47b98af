import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { environmentName, SETTINGS } from '../../../src-shared/settings.ts';
import { type Config, configPaths, engineSettings, generateConfig, loadConfig, settingsFromEnvironment } from './config.ts';
import { interpolate, parseIni } from './ini-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'lago-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let made = 0;
function file(text: string): string {
  const path = join(folder, `${made++}.conf`);
  writeFileSync(path, text);
  return path;
}

async function config(files: readonly string[], environment: Record<string, string> = {}): Promise<Config> {
  return await loadConfig({ files: files.map(file), environment });
}

describe('lago.conf files', () => {
  it('are looked for in /etc, the XDG directories in reverse, and the home', () => {
    expect(configPaths({}, '/home/me')).toEqual(['/etc/lago/lago.conf', '/etc/xdg/lago/lago.conf', '/home/me/.config/lago/lago.conf']);
    expect(configPaths({ XDG_CONFIG_DIRS: '/a:/b', XDG_CONFIG_HOME: '/c' }, '/home/me')).toEqual([
      '/etc/lago/lago.conf',
      '/b/lago/lago.conf',
      '/a/lago/lago.conf',
      '/c/lago/lago.conf',
    ]);
  });
  it('are merged key by key, later ones win', async () => {
    const merged = await config(['[lago]\nssh_user = a\nssh_tries = 1\n', '[lago]\nssh_user = b\n[init]\ntemplate_store = /s\n']);
    expect(merged.get('ssh_user')).toBe('b');
    expect(merged.get('ssh_tries')).toBe('1');
    expect(merged.get('template_store', 'init')).toBe('/s');
    expect(merged.get('ssh_timeout')).toBe('10');
  });
  it('may be missing, unreadable as a file, or empty', async () => {
    const loaded = await loadConfig({ files: [join(folder, 'none'), folder, file('')], environment: {} });
    expect(loaded.get('loglevel')).toBe('info');
    expect(loaded.get('libvirt_url')).toBeUndefined();
  });
  it('keep unknown keys and sections', async () => {
    const loaded = await config(['[lago]\nlog_level = debug\n[my-plugin]\nColor = blue\n']);
    expect(loaded.get('log_level')).toBe('debug');
    expect(loaded.section('my-plugin')).toEqual({ color: 'blue' });
    expect(generateConfig(loaded, { verbose: true, now: new Date() })).not.toContain('log_level');
  });
  it('of 2016 are read', async () => {
    const loaded = await loadConfig({ files: [join(import.meta.dirname, 'lago-2016.conf')], environment: {} });
    expect(engineSettings(loaded)).toMatchObject({ host: 'qemu:///system', templateStore: '/var/lib/lago/store', sshTries: 100 });
  });
  it.each([
    ['[lago]\nssh_user\n', ':2: "ssh_user" is neither a [section] nor "key = value".'],
    ['ssh_user = x\n', ':1: "ssh_user = x" stands before the first [section].'],
    ['[lago]\n= x\n', ':2: "= x" has no key.'],
    ['[lago]\na = 1\nA = 2\n', ':3: "a" appears twice in section [lago].'],
    ['[lago]\n\n[lago]\n', ':3: section [lago] appears twice.'],
    ['[lago]\nssh_password = 50%\n', ':2: the value of "ssh_password" is wrong: a % must be written %% (or be part of %(name)s).'],
    ['[lago]\nlease_dir = %(nowhere)s/x\n', ':2: the value of "lease_dir" is wrong: %(nowhere)s refers to a key that does not exist.'],
    ['[lago]\na = %(b)s\nb = %(a)s\n', ':2: the value of "a" is wrong: its %(name)s references form a loop.'],
    ['[lago]\n\nssh_tries = many\n', ':3: ssh_tries must be a whole number greater than 0, not "many".'],
    ['[lago]\nssh_timeout = 0\n', ':2: ssh_timeout must be a number greater than 0, not "0".'],
    ['[lago]\nlogdepth = deep\n', ':2: logdepth must be a whole number, not "deep".'],
    ['[lago]\nloglevel = loud\n', ':2: loglevel must be one of info, debug, error, warning, not "loud".'],
  ])('with a mistake name file and line: %j', async (text, message) => {
    const path = file(text);
    await expect(loadConfig({ files: [path], environment: {} })).rejects.toMatchObject({
      code: 'input.invalid',
      message: `${path}${message}`,
    });
  });
  it('reports all syntax errors at once', async () => {
    await expect(config(['[lago]\none\ntwo\n'])).rejects.toThrow(/:2: .*\n.*:3: /);
  });
});

describe('the INI dialect', () => {
  it.each<[string, string, Record<string, string>]>([
    ['both delimiters', '[s]\na = 1\nb: 2\nc=3:4\nd:5=6', { a: '1', b: '2', c: '3:4', d: '5=6' }],
    ['keys without case', '[s]\nSSH_User = Me', { ssh_user: 'Me' }],
    ['comment lines', '[s]\n# x = 1\n  ; y = 2\na = 1 # not a comment', { a: '1 # not a comment' }],
    ['continuation lines', '[s]\na = 1\n  2\n\n  3\nb = x', { a: '1\n2\n\n3', b: 'x' }],
    ['comments inside a continuation', '[s]\na = 1\n  # no\n  2', { a: '1\n2' }],
    ['indented keys', '[s]\n  a = 1\n  b = 2', { a: '1', b: '2' }],
    ['empty values', '[s]\na =\nb =  \nc = x', { a: '', b: '', c: 'x' }],
    ['spaces in keys', '[s]\na b = 1', { 'a b': '1' }],
    ['Windows line ends and a mark at the start', '\uFEFF[s]\r\na = 1\r\nb = 2\r\n', { a: '1', b: '2' }],
    ['text after the bracket of a section', '[s] trailing\na = 1', { a: '1' }],
  ])('%s', (_, text, entries) => {
    const parsed = parseIni(text);
    expect(parsed.problems).toEqual([]);
    expect(Object.fromEntries(parsed.entries.map(({ key, value }) => [key, value]))).toEqual(entries);
  });
  it('interpolates', () => {
    const values: Record<string, string> = { base: '/var', sub: '%(base)s/lago', rate: '50%%' };
    const lookup = (key: string): string | undefined => values[key];
    expect(interpolate('%(SUB)s/store %% %(rate)s', lookup)).toEqual({ value: '/var/lago/store % 50%' });
  });
  it('lets every section inherit from [DEFAULT]', async () => {
    const loaded = await config([
      '[DEFAULT]\nbase = /data\n[lago]\nlease_dir = %(base)s/leases\n[init]\ntemplate_store = %(base)s/store\n',
    ]);
    expect(loaded.get('lease_dir')).toBe('/data/leases');
    expect(loaded.get('template_store', 'init')).toBe('/data/store');
  });
});

describe('the environment', () => {
  it.each<[string, readonly [string, string] | undefined]>([
    ['LAGO_SSH_USER', ['lago', 'ssh_user']],
    ['LAGO__INIT__TEMPLATE_STORE', ['init', 'template_store']],
    ['LAGO__COPY-FROM-VM__HOST', ['copy-from-vm', 'host']],
    ['LAGO__A__B__C', ['a', 'b__c']],
    ['LAGO___A__B', ['_a', 'b']],
    ['LAGO__A___B', ['a', '_b']],
    ['LAGO_A__B', ['lago', 'a__b']],
    ['LAGO__NO_END', undefined],
    ['LAGO__NO_END_', undefined],
    ['LAGO_', undefined],
    ['LAGO__', undefined],
    ['LAGO__A__', undefined],
    ['lago_ssh_user', undefined],
    ['Lago_SSH_USER', undefined],
    ['LAGOON', undefined],
    ['MY_LAGO_SSH_USER', undefined],
  ])('%s', (name, expected) => {
    const { settings } = settingsFromEnvironment({ [name]: 'x' });
    expect(settings.map(({ section, key }) => [section, key])).toEqual(expected === undefined ? [] : [expected]);
  });
  it('warns about empty values and ignores them', () => {
    expect(settingsFromEnvironment({ LAGO_SSH_USER: '', LAGO__INIT__X: '' })).toEqual({
      settings: [],
      warnings: [
        'empty environment variable definition:LAGO_SSH_USER, ignoring.',
        'empty environment variable definition:LAGO__INIT__X, ignoring.',
      ],
    });
  });
  it('wins over files, is not interpolated, and loses to the command line', async () => {
    const loaded = await config(['[lago]\nssh_password = file\n'], { LAGO_SSH_PASSWORD: '100%' });
    expect(loaded.get('ssh_password')).toBe('100%');
    expect(loaded.entry('ssh_password')?.source.place).toBe('LAGO_SSH_PASSWORD');
    const typed = loaded.withCommandLine([{ section: 'lago', key: 'ssh_password', value: 'typed', option: '--ssh-password' }]);
    expect(typed.get('ssh_password')).toBe('typed');
    expect(loaded.get('ssh_password')).toBe('100%');
  });
  it('with a wrong value names the variable', async () => {
    await expect(config([], { LAGO_UPLINK: 'maybe' })).rejects.toThrow('LAGO_UPLINK: uplink must be one of auto, none, not "maybe".');
  });
  it('can set every key', () => {
    for (const setting of SETTINGS) {
      const { settings } = settingsFromEnvironment({ [environmentName(setting)]: 'x' });
      expect(settings).toMatchObject([{ section: setting.section, key: setting.key }]);
    }
  });
});

describe('engineSettings', () => {
  const url = 'qemu:///system';
  it('is embedded when nothing is given', async () => {
    expect(engineSettings(await config([]))).toEqual({
      host: 'embedded',
      uplink: 'auto',
      accelerator: 'auto',
      leaseDir: '/var/lib/lago/subnets',
      templateStore: '/var/lib/lago/store',
      reposyncDir: '/var/lib/lago/reposync',
      templateRepoPath: undefined,
      templateRepoName: undefined,
      templateRepos: '/var/lib/lago/repos',
      sshUser: 'root',
      sshPassword: '123456',
      sshTries: 100,
      sshTimeout: 10,
      defaultVmType: 'default',
      defaultVmProvider: 'local-libvirt',
      defaultRootPassword: undefined,
      snapshotKeep: {},
      snapshotBefore: [],
      exportInitFileName: 'LagoInitFile',
      exportSparsify: 'auto',
    });
  });
  it('reads when snapshots are taken, and how long automatic ones are kept', async () => {
    const lines = ['[lago]', 'snapshot_before = revert, vm', 'snapshot_keep = 5', 'snapshot_keep_days = 1.5'];
    expect(engineSettings(await config([lines.join('\n')]))).toMatchObject({
      snapshotBefore: ['revert', 'vm'],
      snapshotKeep: { last: 5, days: 1.5 },
    });
    const wrong = await config(['[lago]\nsnapshot_before = revert stop']);
    expect(() => engineSettings(wrong)).toThrow('snapshot_before is a list of revert, deploy, vm, and "stop" is none of them.');
    await expect(config(['[lago]\nsnapshot_keep = 0'])).rejects.toThrow('snapshot_keep must be a whole number greater than 0');
  });
  it.each<[string, readonly string[], Record<string, string>, string]>([
    ['a URL in a file', [`[lago]\nlibvirt_url = ${url}`], {}, url],
    ['a URL in the environment', [], { LAGO_LIBVIRT_URL: url }, url],
    ['an empty URL', ['[lago]\nlibvirt_url ='], {}, 'embedded'],
    ['a host in a file', [`[lago]\nhost = ${url}`], {}, url],
    ['both in one file: the URL', [`[lago]\nlibvirt_url = ${url}\nhost = embedded`], {}, url],
    ['a URL in a file, the host in the environment', [`[lago]\nlibvirt_url = ${url}`], { LAGO_HOST: 'embedded' }, 'embedded'],
    ['the host in a file, a URL in a later one', ['[lago]\nhost = embedded', `[lago]\nlibvirt_url = ${url}`], {}, url],
  ])('host: %s', async (_, files, environment, host) => expect(engineSettings(await config(files, environment)).host).toBe(host));

  it('prefers a repository name to the path only where it comes from a higher layer', async () => {
    const repo = async (files: readonly string[], environment: Record<string, string> = {}): Promise<unknown[]> => {
      const settings = engineSettings(await config(files, environment));
      return [settings.templateRepoPath, settings.templateRepoName];
    };
    expect(await repo(['[init]\ntemplate_repo_path = /p\ntemplate_repo_name = n'])).toEqual(['/p', undefined]);
    expect(await repo(['[init]\ntemplate_repo_path = /p'], { LAGO__INIT__TEMPLATE_REPO_NAME: 'n' })).toEqual([undefined, 'n']);
    expect(await repo(['[init]\ntemplate_repo_name = n'])).toEqual([undefined, 'n']);
  });
  it('finds verb options that older files have under [lago]', async () => {
    expect(engineSettings(await config(['[lago]\ntemplate_store = /old'])).templateStore).toBe('/old');
    expect(engineSettings(await config(['[lago]\ntemplate_store = /old\n[init]\ntemplate_store = /new'])).templateStore).toBe('/new');
  });
});

describe('flags', () => {
  it.each([
    ['yes', true],
    ['1', true],
    ['anything', true],
    ['False', false],
    ['no', false],
    ['0', false],
    ['', false],
  ])('"%s" is %s', async (text, on) => expect((await config([`[init]\nskip_build = ${text}`])).flag('skip_build', 'init')).toBe(on));
});

describe('generateConfig', () => {
  const now = new Date(2026, 10, 2, 3, 4, 5);
  it('writes comments as they are, wrapped, and only keys with a value', async () => {
    const text = generateConfig(await config([], { LAGO_SSH_USER: 'me' }), { verbose: false, now });
    expect(text.split('\n').slice(0, 4)).toEqual([
      '# Lago configuration file, generated: Mon Nov  2 03:04:05 2026',
      '',
      '[lago]',
      '# Log level to use. One of: info, debug, error, warning.',
    ]);
    expect(text).toContain('\nssh_user = me\n');
    expect(text).not.toContain('libvirt_url');
    expect(text.split('\n').filter((line) => line.startsWith('#') && line.length > 70)).toEqual([]);
  });
  it('lists keys without a value commented out when asked', async () => {
    const text = generateConfig(await config([]), { verbose: true, now });
    for (const setting of SETTINGS)
      expect(text).toMatch(new RegExp(`^${setting.default === undefined ? `#${setting.key} = None` : `${setting.key} = `}`, 'm'));
  });
  it('selects the same host when it is read back', async () => {
    for (const [text, environment] of [
      ['[lago]\nlibvirt_url = qemu:///system', {}],
      ['[lago]\nlibvirt_url = qemu:///system', { LAGO_HOST: 'embedded' }],
      ['[lago]\nhost = qemu:///session', {}],
    ] as const) {
      const first = await config([text], environment);
      const second = await config([generateConfig(first, { verbose: false, now })]);
      expect(engineSettings(second).host).toBe(engineSettings(first).host);
    }
  });
  it('is read back as the same configuration', async () => {
    const first = await config(['[lago]\nssh_password = 50%%\nlibvirt_user = a\n  b\n[init]\nskip_build = true\n']);
    const second = await config([generateConfig(first, { verbose: true, now })]);
    for (const { key, section } of SETTINGS) expect([key, second.get(key, section)]).toEqual([key, first.get(key, section)]);
  });
});
