import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../configuration/config.ts';
import { checkExports } from './check.ts';
import { type OpenPluginsOptions, openPlugins, pluginWarnings } from './open.ts';
import { createRegistry, type PluginRegistry } from './registry.ts';

let home: string;
let folder: string;
beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), 'lago-plugins-')));
  folder = join(home, '.config/lago/plugins');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function write(path: string, content: string): string {
  const file = join(home, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

async function open(environment: Readonly<Record<string, string>> = {}, options: OpenPluginsOptions = {}): Promise<PluginRegistry> {
  const all = { HOME: home, XDG_CONFIG_DIRS: join(home, 'none'), ...environment };
  const config = await loadConfig({ environment: all, files: [join(home, '.config/lago/lago.conf')] });
  return await openPlugins(config, { environment: all, cwd: home, ...options });
}

const format = (name: string): string => `{ apiVersion: 1, kind: 'output', name: '${name}', format: (value) => JSON.stringify(value) }`;
const BUILT_IN_TYPES = ['default', 'ovirt-engine', 'ovirt-host', 'ovirt-node', 'ovirt-he-host'];
const names = (plugins: PluginRegistry): string[] => plugins.list('output').map((plugin) => plugin.name);

describe('where plugins are found', () => {
  it('is nowhere when the user has none: only built-in ones exist', async () => {
    const plugins = await open();
    expect(plugins.list('vm').map(({ name }) => name)).toEqual(BUILT_IN_TYPES);
    expect(plugins.list('vm-provider').map(({ name }) => name)).toEqual(['local-libvirt', 'ssh']);
    expect(plugins.list('vm-service').map(({ name }) => name)).toEqual(['systemd', 'sysvinit', 'systemdcontainer']);
    expect(plugins.problems).toEqual([]);
  });

  it('is the plugins folder: files, and folders by their package.json', async () => {
    write('.config/lago/plugins/b.mjs', `export default ${format('from-b')};`);
    write('.config/lago/plugins/c.js', `module.exports = [${format('from-c')}];`);
    write('.config/lago/plugins/a/package.json', JSON.stringify({ type: 'module', exports: { '.': { import: './lib/a.js' } } }));
    write('.config/lago/plugins/a/lib/a.js', `export default ${format('from-a')};`);
    write('.config/lago/plugins/d/package.json', JSON.stringify({ main: 'd.js' }));
    write(
      '.config/lago/plugins/d/d.js',
      `Object.defineProperty(exports, '__esModule', { value: true }); exports.default = ${format('from-d')};`,
    );
    write('.config/lago/plugins/notes.txt', 'no plugin');
    write('.config/lago/plugins/.hidden.mjs', 'throw new Error("never loaded")');
    const plugins = await open();
    expect(plugins.problems).toEqual([]);
    expect(names(plugins)).toEqual(['from-a', 'from-b', 'from-c', 'from-d']);
  });

  it('is XDG_CONFIG_HOME when that is set', async () => {
    write('elsewhere/lago/plugins/x.mjs', `export default ${format('from-x')};`);
    expect(names(await open({ XDG_CONFIG_HOME: join(home, 'elsewhere') }))).toEqual(['from-x']);
  });

  it('is what lago.conf names, with any separator; paths are relative to the file, packages are in node_modules', async () => {
    write('.config/lago/lago.conf', '[lago]\nplugins = ./own/one.mjs, installed\n  ~/two.mjs @scope/three\n');
    write('.config/lago/own/one.mjs', `export default ${format('one')};`);
    write('two.mjs', `export default ${format('two')};`);
    write('.config/lago/node_modules/installed/package.json', '{"exports": "./index.mjs"}');
    write('.config/lago/node_modules/installed/index.mjs', `export default ${format('installed')};`);
    write('.config/lago/plugins/node_modules/@scope/three/package.json', '{"type": "module"}');
    write('.config/lago/plugins/node_modules/@scope/three/index.js', `export default ${format('three')};`);
    const plugins = await open();
    expect(plugins.problems).toEqual([]);
    expect(names(plugins)).toEqual(['one', 'installed', 'two', 'three']);
  });

  it('is what LAGO_PLUGINS names; paths are relative to the current folder, which is never searched for packages', async () => {
    write('here.mjs', `export default ${format('here')};`);
    write('node_modules/foreign/package.json', '{"main": "index.js"}');
    write('node_modules/foreign/index.js', 'throw new Error("never loaded")');
    const plugins = await open({ LAGO_PLUGINS: './here.mjs foreign' }, { cwd: home });
    expect(names(plugins)).toEqual(['here']);
    // The user's own home is above the plugins folder, so a package installed there is found; one in another folder is not.
    const other = realpathSync(mkdtempSync(join(tmpdir(), 'lago-cwd-')));
    mkdirSync(join(other, 'node_modules/stranger'), { recursive: true });
    writeFileSync(join(other, 'node_modules/stranger/package.json'), '{"main": "index.js"}');
    writeFileSync(join(other, 'node_modules/stranger/index.js'), '');
    const strangers = await open({ LAGO_PLUGINS: 'stranger' }, { cwd: other });
    rmSync(other, { recursive: true });
    expect(pluginWarnings(strangers).join()).toContain('Plugin stranger: it is left out: there is no package of this name');
  });
});

describe('a broken plugin', () => {
  it.each([
    ['a syntax error', 'export default {{;', /is left out: .+\.$/],
    ['what throws while it is loaded', 'throw new Error("no luck today");', /is left out: no luck today\.$/],
    ['what throws something else than an error', 'throw "text";', /is left out: it threw text\.$/],
    ['no default export', 'export const plugin = 1;', /it has no default export/],
    ['an import of what is not there', "import 'nowhere-to-be-found'; export default [];", /Cannot find package 'nowhere-to-be-found'/],
    ['an empty list', 'export default [];', /empty list/],
  ])('is reported by name with its cause, and the others still load: %s', async (_, content, says) => {
    const file = write('.config/lago/plugins/broken.mjs', content);
    write('.config/lago/plugins/good.mjs', `export default ${format('good')};`);
    const plugins = await open();
    expect(names(plugins)).toEqual(['good']);
    expect(pluginWarnings(plugins)).toHaveLength(1);
    expect(pluginWarnings(plugins)[0]).toContain(`Plugin ${file}: `);
    expect(pluginWarnings(plugins)[0]).toMatch(says);
  });

  it('may be a folder or a name', async () => {
    mkdirSync(join(folder, 'empty'), { recursive: true });
    write('.config/lago/plugins/mad/package.json', '{');
    write('.config/lago/plugins/bare/package.json', '{}');
    const told = pluginWarnings(await open({ LAGO_PLUGINS: '/nowhere/at/all.mjs' })).join('\n');
    expect(told).toContain('Plugin /nowhere/at/all.mjs: it is left out: there is nothing at /nowhere/at/all.mjs.');
    expect(told).toContain('empty: it is left out: the folder has no package.json.');
    expect(told).toContain('mad: it is left out: its package.json is wrong');
    expect(told).toContain('bare: it is left out: its package.json names no main module');
  });

  it.each([
    [7, 'its plugin is left out: a plugin is an object.'],
    [{ kind: 'output', name: 'x' }, 'its output plugin "x" is left out: it has no apiVersion, and this program has version 1.'],
    [{ apiVersion: 2, kind: 'output', name: 'x' }, 'it was written for plugin API 2, and this program has version 1.'],
    [{ apiVersion: 1, kind: 'colour', name: 'x' }, 'its kind is "colour", and has to be one of cli, output, vm, vm-provider, vm-service.'],
    [{ apiVersion: 1, name: 'x' }, 'its kind is not given'],
    [{ apiVersion: 1, kind: 'output', name: '../x', format: () => '' }, 'its name has to be letters'],
    [{ apiVersion: 1, kind: 'output', name: 'x' }, 'format has to be a function.'],
    [{ apiVersion: 1, kind: 'cli', name: 'x', summary: 'X', run: () => 0, options: [{ flags: ['x'] }] }, 'options has to be a list of'],
    [{ apiVersion: 1, kind: 'vm-provider', name: 'x', start: () => 0, stop: () => 0 }, 'state has to be a function.'],
    [{ apiVersion: 1, kind: 'vm-service', name: 'x', detect: 1 }, 'detect has to be a function.'],
    [{ apiVersion: 1, kind: 'vm', name: 'x', artifacts: 'one' }, 'artifacts has to be a list of paths.'],
  ])('has a wrong shape: %j', (value, says) => {
    const { plugins, problems } = checkExports({ default: value });
    expect(plugins).toEqual([]);
    expect(problems.join()).toContain(says);
  });

  it('in a list does not affect the others', () => {
    const good = { apiVersion: 1, kind: 'vm', name: 'good' };
    const { plugins, problems } = checkExports({ default: [good, { apiVersion: 1, kind: 'vm' }] });
    expect(plugins).toEqual([good]);
    expect(problems).toEqual(['its plugin number 2 is left out: its name has to be letters, digits, ".", "_" and "-".']);
  });
});

describe('the registry', () => {
  const plugin = (name: string) => ({ apiVersion: 1, kind: 'vm', name }) as const;

  it('keeps the first of two with one name, built-in ones before all', () => {
    const plugins = createRegistry([
      { source: 'first', plugins: [plugin('mine'), plugin('default')], problems: [] },
      { source: 'second', plugins: [plugin('mine')], problems: [] },
    ]);
    expect(plugins.list('vm').map(({ name }) => name)).toEqual([...BUILT_IN_TYPES, 'mine']);
    expect(pluginWarnings(plugins)).toEqual([
      'Plugin first: its VM type "default" is left out: Lago Desktop has one of that name.',
      'Plugin second: its VM type "mine" is left out: first has one of that name.',
    ]);
  });

  it('lets different kinds share a name, and keeps verbs for their owner', () => {
    const verb = { apiVersion: 1, kind: 'cli', name: 'status', summary: 'Mine', run: async () => await Promise.resolve(0) } as const;
    const plugins = createRegistry([{ source: 'a', plugins: [plugin('ssh'), verb], problems: [] }], { verbs: ['status'] });
    expect(plugins.find('vm', 'ssh')?.kind).toBe('vm');
    expect(plugins.find('cli', 'status')).toBeUndefined();
    expect(pluginWarnings(plugins).join()).toContain('its verb "status" is left out: Lago Desktop has one of that name.');
  });

  it('names the known plugins when one is missing', () => {
    expect(() => createRegistry().need('vm-provider', 'cloud', 'VM web')).toThrow(
      'VM web needs the VM provider "cloud", which no plugin offers.',
    );
  });
});
