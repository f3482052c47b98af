import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseInitFile } from '../../../src-shared/init-file/parse.ts';
import { NetSpec, VmSpec } from '../../../src-shared/specs.ts';
import type { EngineSettings } from '../configuration/settings.ts';
import { startOperation } from '../core/operation.ts';
import { createRegistry } from '../plugins/registry.ts';
import { prefixPaths } from '../prefix/layout.ts';
import { writeSpecs } from '../prefix/prefix.ts';
import { writeRecord } from '../prefix/record.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import type { HostSession } from '../runtime/session.ts';
import { collectDisks, exportEnvironment } from './export.ts';
import { exportedDefinition, planExport } from './export-plan.ts';
import type { ExportRequest, ExportResult } from './export-request.ts';

const UUID = 'aaaabbbbccccddddeeeeffff00002222';
const MIB = 1024 * 1024;
let folder: string;
let root: string;
/** Names of running VMs. */
let on: readonly string[];

const settings = { exportSparsify: 'never', accelerator: 'tcg' } as EngineSettings;

function context(change: Partial<EngineSettings> = {}): RecipeContext {
  const session = {
    host: { socketDir: join(folder, 'sockets') },
    hypervisor: {
      // Only the list of domains matters here.
      findDomain: async () => await Promise.resolve(undefined),
      listDomains: async () => await Promise.resolve(on.map((vm) => ({ id: 1, name: `${UUID.slice(0, 8)}-${vm}` }))),
    },
  } as unknown as HostSession;
  return {
    hosts: { find: async () => await Promise.resolve(on.length === 0 ? undefined : session) } as unknown as RecipeContext['hosts'],
    settings: { ...settings, ...change },
    resourcesDir: '/nowhere',
    plugins: createRegistry(),
  };
}

function qemuImg(...args: readonly string[]): void {
  execFileSync('qemu-img', args, { stdio: 'ignore' });
}

const qemuIo = (path: string, command: string): void => void execFileSync('qemu-io', ['-f', 'qcow2', '-c', command, path]);

beforeEach(async () => {
  on = [];
  folder = await mkdtemp(join(tmpdir(), 'lago-export-'));
  root = join(folder, 'prefix');
  const paths = prefixPaths(root);
  for (const path of [paths.root, paths.virt, paths.images, paths.logs, paths.seeds, join(folder, 'store')])
    await mkdir(path, { recursive: true });
  await writeFile(paths.uuid, UUID);
  await writeFile(paths.initialized, '');
  await writeFile(join(folder, 'user.yaml'), 'packages: [vim]\n');
  await writeRecord(paths.record, {
    version: 3,
    phase: 'ready',
    host: { kind: 'embedded', uplink: 'none' },
    initFile: join(folder, 'init.yaml'),
    createdAt: 0,
    snapshots: [],
    current: null,
    pending: null,
  });
  const template = join(folder, 'store', 'repo:el9:v1');
  qemuImg('create', '-f', 'qcow2', template, '8M');
  qemuIo(template, 'write -P 1 0 1M');
  for (const vm of ['web', 'db']) qemuImg('create', '-f', 'qcow2', '-F', 'qcow2', '-b', template, join(paths.images, `${vm}_root.qcow2`));
  const layer = join(paths.images, 'web_root.qcow2');
  qemuIo(layer, 'write -P 2 1M 1M');
  qemuIo(layer, 'write -P 0 2M 1M');
  qemuImg('snapshot', '-c', 'before', layer);
  qemuImg('create', '-f', 'qcow2', join(paths.images, 'web_data.qcow2'), '4M');
  await writeFile(join(paths.seeds, 'web.iso'), 'seed');
  await writeFile(join(folder, 'tools.iso'), Buffer.alloc(64 * 1024, 3));
  await writeSpecs(paths, {
    nets: [
      NetSpec.parse({
        name: 'net0',
        type: 'nat',
        gw: '192.168.200.1',
        management: true,
        dhcp: { start: 100, end: 254 },
        dns_domain_name: 'lago.local',
        mapping: { web: '192.168.200.2' },
        dns_records: { other: '192.168.200.77' },
      }),
    ],
    vms: [
      VmSpec.parse({
        name: 'web',
        memory: 256,
        vcpu: 1,
        mgmt_net: 'net0',
        nics: [{ net: 'net0', ip: '192.168.200.2' }],
        metadata: { role: 'front', 'deploy-scripts': ['$LAGO_PREFIX_PATH/scripts/x'] },
        groups: ['servers'],
        'cloud-init': { 'user-data': { path: 'user.yaml' }, 'meta-data': { a: 'b' } },
        disks: [
          {
            name: 'root',
            dev: 'vda',
            type: 'template',
            template_name: 'el9',
            path: '$LAGO_PREFIX_PATH/images/web_root.qcow2',
            metadata: { distro: 'el9', 'cloud-init': true },
            build: [{ 'virt-customize': { install: 'vim' } }, { 'virt-customize': { 'ssh-inject': '', run: 'x' } }],
          },
          { name: 'data', dev: 'vdb', type: 'empty', size: '4M', path: '$LAGO_PREFIX_PATH/images/web_data.qcow2' },
          { name: 'tools', dev: 'hdc', format: 'iso', type: 'file', path: join(folder, 'tools.iso') },
          { name: 'cloud-init', dev: 'vdc', format: 'raw', type: 'file', readonly: true, path: '$LAGO_PREFIX_PATH/cloud-init/web.iso' },
        ],
      }),
      VmSpec.parse({
        name: 'db',
        memory: 256,
        mgmt_net: 'net0',
        nics: [{ net: 'net0', ip: '192.168.200.3' }],
        disks: [
          { name: 'root', dev: 'vda', type: 'template', path: '$LAGO_PREFIX_PATH/images/db_root.qcow2' },
          { name: 'scratch', dev: 'vdb', type: 'empty', path: '$LAGO_PREFIX_PATH/images/none.qcow2', 'skip-export': true },
        ],
      }),
      VmSpec.parse({ name: 'spare', 'skip-export': true, disks: [] }),
    ],
  });
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

async function run(
  request: Partial<ExportRequest> = {},
  options: { readonly signal?: AbortSignal; readonly free?: number; readonly change?: Partial<EngineSettings> } = {},
): Promise<ExportResult> {
  const { free } = options;
  const operation = startOperation(
    { kind: 'export', label: 'test', signal: options.signal },
    async (step) =>
      await exportEnvironment(
        context(options.change),
        root,
        { destination: join(folder, 'out'), standalone: false, compress: false, ...request },
        step,
        free === undefined ? {} : { freeBytes: async () => await Promise.resolve(free) },
      ),
  );
  return await operation.done;
}

interface Info {
  readonly 'backing-filename'?: string;
  readonly 'backing-filename-format'?: string;
  readonly 'virtual-size': number;
  readonly snapshots?: unknown;
}
const infoOf = (path: string): Info => JSON.parse(execFileSync('qemu-img', ['info', '--output=json', path], { encoding: 'utf8' })) as Info;

const everything = async (): Promise<readonly string[]> =>
  (await readdir(folder, { recursive: true })).filter((name) => !name.startsWith('prefix')).sort();

describe('export', () => {
  it('writes layers, copies, checksums, metadata and an init file that parses', async () => {
    const result = await run();
    const out = join(folder, 'out');
    expect(result).toMatchObject({ folder: out, initFile: join(out, 'LagoInitFile'), vms: ['web', 'db'] });
    const files = ['db_root.qcow2', 'tools.iso', 'web_data.qcow2', 'web_root.qcow2'];
    expect((await readdir(out)).sort()).toEqual(
      ['LagoInitFile', 'web.user-data', ...files.flatMap((name) => [name, `${name}.hash`, `${name}.metadata`])].sort(),
    );
    const layer = join(out, 'web_root.qcow2');
    expect(infoOf(layer)).toMatchObject({ 'backing-filename': './el9:v1', 'backing-filename-format': 'qcow2', 'virtual-size': 8 * MIB });
    // Internal snapshots belong to this environment.
    expect(infoOf(layer).snapshots).toBeUndefined();
    await symlink(join(folder, 'store', 'repo:el9:v1'), join(out, 'el9:v1'));
    qemuImg('compare', layer, join(root, 'images/web_root.qcow2'));
    expect(await readFile(`${layer}.hash`, 'utf8')).toBe(execFileSync('sha1sum', [layer], { encoding: 'utf8' }).slice(0, 40));
    expect(JSON.parse(await readFile(`${layer}.metadata`, 'utf8'))).toMatchObject({
      distro: 'el9',
      base: 'repo:el9:v1',
      name: 'web_root',
      version: expect.stringMatching(/^\d{8}\.0$/) as string,
      'virtual-size': 8 * MIB,
    });
    const parsed = parseInitFile(await readFile(result.initFile, 'utf8'), result.initFile);
    expect(parsed.issues).toEqual([]);
    expect(parsed.value?.domains).toMatchObject({
      web: {
        memory: 256,
        distro: 'el9',
        bootstrap: 'cloud-init',
        groups: ['servers'],
        metadata: { role: 'front' },
        'cloud-init': { 'user-data': { path: 'web.user-data' }, 'meta-data': { a: 'b' } },
        disks: [
          {
            name: 'root',
            type: 'template',
            template_type: 'qcow2',
            path: '$LAGO_INITFILE_PATH/web_root.qcow2',
            build: [{ 'virt-customize': { 'ssh-inject': '' } }],
          },
          { name: 'data', type: 'file', make_a_copy: true, path: '$LAGO_INITFILE_PATH/web_data.qcow2' },
          { name: 'tools', type: 'file', format: 'iso', path: '$LAGO_INITFILE_PATH/tools.iso' },
        ],
      },
      db: { disks: [{ name: 'root' }] },
    });
    const text = JSON.stringify(parsed.value);
    for (const gone of ['mapping', 'dns_records', 'deploy-scripts', 'snapshots', 'template_name', '"size"', 'LAGO_PREFIX_PATH']) {
      expect(text).not.toContain(gone);
    }
  });

  it('merges for a standalone export, compresses, and exports only the chosen names', async () => {
    await run({ vms: ['web'], standalone: true, compress: true, initFileName: 'init.json', format: 'json' });
    const out = join(folder, 'out');
    expect(await readdir(out)).not.toContain('db_root.qcow2.xz');
    execFileSync('xz', ['-d', join(out, 'web_root.qcow2.xz')]);
    expect(infoOf(join(out, 'web_root.qcow2'))['backing-filename']).toBeUndefined();
    qemuImg('compare', join(out, 'web_root.qcow2'), join(root, 'images/web_root.qcow2'));
    expect(Object.keys((JSON.parse(await readFile(join(out, 'init.json'), 'utf8')) as { domains: object }).domains)).toEqual(['web']);
  });

  it('adds its files beside existing ones, and overwrites nothing', async () => {
    await mkdir(join(folder, 'out'));
    await writeFile(join(folder, 'out', 'notes'), 'mine');
    await run({ vms: ['db'] });
    expect((await readdir(join(folder, 'out'))).sort()).toEqual([
      'LagoInitFile',
      'db_root.qcow2',
      'db_root.qcow2.hash',
      'db_root.qcow2.metadata',
      'notes',
    ]);
    await expect(run({ vms: ['db'] })).rejects.toMatchObject({
      code: 'input.invalid',
      message: expect.stringContaining('nothing is overwritten') as string,
    });
  });

  it('merges an overlay on an image that is no template', async () => {
    const image = join(folder, 'own.qcow2');
    qemuImg('create', '-f', 'qcow2', image, '8M');
    qemuImg('rebase', '-u', '-f', 'qcow2', '-F', 'qcow2', '-b', image, join(root, 'images/db_root.qcow2'));
    await run({ vms: ['db'] });
    expect(infoOf(join(folder, 'out/db_root.qcow2'))['backing-filename']).toBeUndefined();
  });

  it('refuses with a reason and leaves nothing', async () => {
    const before = await everything();
    on = ['db', 'web'];
    await expect(run()).rejects.toMatchObject({ code: 'conflict.locked', message: 'The following vms must be off:\nweb\ndb' });
    on = ['db'];
    await expect(run({ vms: ['web', 'db'] })).rejects.toMatchObject({ message: 'The following vms must be off:\ndb' });
    on = [];
    await expect(run({ vms: ['wbe'] })).rejects.toMatchObject({
      code: 'vm.missing',
      message: 'Entity wbe does not exist',
      hint: 'Did you mean "web"?',
    });
    await expect(run({ vms: ['spare'] })).rejects.toMatchObject({ code: 'input.invalid', hint: 'All of them have skip-export.' });
    await expect(run({ initFileName: '../x' })).rejects.toMatchObject({ code: 'input.invalid' });
    await expect(run({ initFileName: 'db_root.qcow2' })).rejects.toMatchObject({ code: 'input.invalid' });
    await expect(run({ destination: join(root, 'out') })).rejects.toMatchObject({ code: 'input.invalid' });
    await expect(run({ destination: join(folder, 'tools.iso') })).rejects.toMatchObject({ code: 'input.invalid' });
    await expect(run({}, { free: 0 })).rejects.toMatchObject({ code: 'host.no-space' });
    await rm(join(root, 'images/db_root.qcow2'));
    await expect(run()).rejects.toMatchObject({ code: 'input.missing-file' });
    expect(await everything()).toEqual(before);
  });

  it('refuses more than one layer with the sentence of Lago', async () => {
    const upper = join(root, 'images/upper.qcow2');
    qemuImg('create', '-f', 'qcow2', '-F', 'qcow2', '-b', join(root, 'images/db_root.qcow2'), upper);
    execFileSync('mv', [upper, join(root, 'images/web_root.qcow2')]);
    await expect(run()).rejects.toMatchObject({
      code: 'input.invalid',
      message: 'Layered export is currently supported for one layer only. You can try to use Standalone export.',
    });
    await run({ standalone: true });
  });

  it.each(['convert', 'rebase'])('leaves nothing when qemu-img %s fails', async (failing) => {
    const before = await everything();
    await withTool(
      'qemu-img',
      `if [ "$1" = ${failing} ]; then echo "qemu-img: it broke" >&2; exit 1; fi; exec /usr/bin/qemu-img "$@"`,
      async () => {
        await expect(run({ destination: join(folder, 'new/deep') })).rejects.toMatchObject({ code: 'host.unavailable' });
      },
    );
    expect(await everything()).toEqual(before);
  });

  it('leaves nothing when xz fails or is cancelled in the middle', async () => {
    const before = await everything();
    await withTool('xz', '[ "$1" = --version ] && exit 0; echo "xz: it broke" >&2; exit 1', async () => {
      await expect(run({ compress: true })).rejects.toMatchObject({ message: expect.stringContaining('it broke') as string });
    });
    const abort = new AbortController();
    await withTool('xz', `[ "$1" = --version ] && exit 0; kill -USR2 ${process.pid}; exec sleep 100`, async () => {
      const cancel = (): void => abort.abort();
      process.once('SIGUSR2', cancel);
      await expect(run({ compress: true, vms: ['db'] }, { signal: abort.signal })).rejects.toMatchObject({ code: 'cancelled' });
      process.removeListener('SIGUSR2', cancel);
    });
    expect(await everything()).toEqual(before);
  });

  it('asks for xz before it begins', async () => {
    const path = process.env['PATH'];
    await mkdir(join(folder, 'few'));
    for (const tool of ['flock', 'qemu-img'])
      await symlink(execFileSync('which', [tool], { encoding: 'utf8' }).trim(), join(folder, 'few', tool));
    try {
      process.env['PATH'] = join(folder, 'few');
      await expect(run({ compress: true })).rejects.toMatchObject({ code: 'host.missing-tool' });
      await expect(run({}, { change: { exportSparsify: 'always' } })).rejects.toMatchObject({ code: 'host.missing-tool' });
    } finally {
      process.env['PATH'] = path;
    }
  });

  it('goes on without virt-sparsify when it fails, unless it was requested', async () => {
    const before = await everything();
    await withTool('virt-sparsify', '[ "$1" = --version ] && exit 0; echo "virt-sparsify: error: no luck" >&2; exit 1', async () => {
      await expect(run({ vms: ['db'] }, { change: { exportSparsify: 'always' } })).rejects.toMatchObject({
        message: expect.stringContaining('no luck') as string,
      });
    });
    expect(await everything()).toEqual(before);
    await withTool('virt-sparsify', '[ "$1" = --version ] && exit 0; echo spoilt >"$4"; exit 1', async () => {
      await run({ vms: ['db'] }, { change: { exportSparsify: 'auto', accelerator: 'kvm' } });
    });
    expect(infoOf(join(folder, 'out/db_root.qcow2'))['backing-filename']).toBe('./el9:v1');
  });

  it('lists what it would export', async () => {
    expect(await collectDisks(root, ['web'])).toEqual({
      web: [join(root, 'images/web_root.qcow2'), join(root, 'images/web_data.qcow2'), join(folder, 'tools.iso')],
    });
  });
});

/** Replaces a program by a shell script during `work`. */
async function withTool(name: string, script: string, work: () => Promise<void>): Promise<void> {
  const bin = await mkdtemp(join(tmpdir(), 'lago-bin-'));
  const path = process.env['PATH'] ?? '';
  try {
    await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(bin, name), 0o755);
    process.env['PATH'] = `${bin}:${path}`;
    await work();
  } finally {
    process.env['PATH'] = path;
    await rm(bin, { recursive: true });
  }
}

describe('names of exported files', () => {
  const disk = (name: string, path: string): object => ({ name, dev: 'vda', type: 'file', path });
  it('are shared by one file and distinct for different files', () => {
    const vms = [
      VmSpec.parse({ name: 'a', disks: [disk('x', '/one/tools.iso'), disk('y', '/two/tools.iso')] }),
      VmSpec.parse({ name: 'b', disks: [disk('x', '/one/tools.iso')] }),
    ];
    const plan = planExport({ vms, nets: [] }, [], '/prefix');
    expect(plan.files.map(({ source, name }) => [source, name])).toEqual([
      ['/one/tools.iso', 'tools.iso'],
      ['/two/tools.iso', 'a_y_tools.iso'],
    ]);
    const definition = exportedDefinition({ vms, nets: [] }, plan, { root: '/prefix', userData: new Map() }) as {
      readonly domains: Readonly<Record<string, { readonly disks: readonly { readonly path: string }[] }>>;
    };
    expect(definition.domains['b']?.disks[0]?.path).toBe('$LAGO_INITFILE_PATH/tools.iso');
  });
});
