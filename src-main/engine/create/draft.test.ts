import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { settingsIn } from '../configuration/settings.test-support.ts';
import type { EngineSettings } from '../configuration/settings.ts';
import { silentLog } from '../core/log.ts';
import { createRegistry } from '../plugins/registry.ts';
import { type Draft, draftEnvironment, requireSound } from './draft.ts';

const FIXTURES = resolve(import.meta.dirname, '../../../fixtures/lago');
let folder: string;
/** For files of tests; the folder above must not change. */
let elsewhere: string;
let settings: EngineSettings;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-draft-'));
  elsewhere = await mkdtemp(join(tmpdir(), 'lago-files-'));
  const repository = join(folder, 'repo.json');
  await writeFile(repository, JSON.stringify({ name: 'none', sources: {}, templates: {} }));
  settings = settingsIn(folder, { templateRepoPath: repository, templateRepos: folder });
});
afterAll(async () => {
  for (const path of [folder, elsewhere]) await rm(path, { recursive: true, force: true });
});

async function draft(initFile: string): Promise<Draft> {
  return await draftEnvironment({ settings, resourcesDir: folder, plugins: createRegistry() }, silentLog, {
    initFile,
    root: join(folder, 'work/default'),
    workdir: join(folder, 'work'),
    host: { kind: 'embedded', uplink: 'none' },
    cwd: folder,
  });
}

describe('all problems of a file are reported at once', () => {
  async function told(text: string): Promise<readonly string[]> {
    const file = join(elsewhere, 'wrong.yaml');
    await writeFile(file, text);
    const made = await draft(file);
    expect(made.environment).toBeUndefined();
    return made.issues.filter((issue) => issue.severity === 'error').map((issue) => `${issue.line} ${issue.path}`);
  }

  it.each([
    [
      'what the schema and what the plan refuse',
      `domains:
  one:
    memory: lots
    nics: [{net: a, ip: nonsense}, {net: missing}]
    disks:
      - {name: x, type: empty, dev: vda}
      - {name: y, type: file, dev: nowhere, path: none.img}
      - {type: empty, dev: vdb}
      - just text
  two:
    nics: []
    disks: [{name: x, type: file, dev: vda, path: none.img}]
nets:
  a: {type: nat, dhcp: {start: 9, end: 3}}
`,
      [
        '3 domains.one.memory',
        '4 domains.one.nics[0].ip',
        '4 domains.one.nics[1].net',
        '6 domains.one.disks[0]',
        '7 domains.one.disks[1].dev',
        '7 domains.one.disks[1].path',
        '8 domains.one.disks[2]',
        '8 domains.one.disks[2]',
        '9 domains.one.disks[3]',
        '11 domains.two.nics',
        '12 domains.two.disks[0].path',
        '14 nets.a.dhcp',
      ],
    ],
    [
      'a missing prototype, a missing part of the file',
      `domains:
  one: {based-on: nobody}
  two: {nics: [{net: a}], disks: [{name: x, type: empty, dev: vda}]}
`,
      ['1 nets', '2 domains', '3 domains.two.disks[0]'],
    ],
    [
      'a template that was not filled in',
      `domains:
  one: {memory: "{{ memory }}", nics: [{net: a}], disks: [{name: x, type: empty, dev: vda}]}
nets: {a: {}, "b c": {}}
`,
      ['2 domains.one.memory', '2 ', '2 domains.one.disks[0]', '3 nets["b c"]'],
    ],
  ])('%s', async (_what, text, places) => {
    expect(await told(text)).toEqual(places);
  });
});

describe('draftEnvironment', () => {
  it('plans a file whose templates are missing, and reports each at its place', async () => {
    const made = await draft(join(FIXTURES, 'init/lago-examples__init-files__init_3_vms_3_nets--2018-04-12.yaml'));
    expect(Object.values(made.environment?.plan.vms ?? {}).map((vm) => vm.disks.map((disk) => `${disk.dev} ${disk.path}`))).toEqual([
      ['sda $LAGO_PREFIX_PATH/images/vm-host_root.qcow2'],
      ['sda $LAGO_PREFIX_PATH/images/vm-storage_root.qcow2', 'sdb $LAGO_PREFIX_PATH/images/vm-storage_nfs.raw'],
      ['sda $LAGO_PREFIX_PATH/images/vm-client_root.qcow2'],
    ]);
    expect(made.issues.filter((issue) => issue.severity === 'error').map(({ line, path, about }) => ({ line, path, about }))).toEqual([
      { line: 8, path: 'domains.vm-host.disks[0].template_name', about: 'machine' },
      { line: 21, path: 'domains.vm-storage.disks[0].template_name', about: 'machine' },
      { line: 39, path: 'domains.vm-client.disks[0].template_name', about: 'machine' },
    ]);
    // It can be displayed, but not created.
    expect(() => requireSound(made, 'x.yaml')).toThrow('The init file x.yaml has 3 errors');
  });

  it('gives a plan or issues for every real file, and changes nothing', async () => {
    const files = (await readdir(join(FIXTURES, 'init'))).sort();
    expect(files.length).toBeGreaterThan(60);
    for (const file of files) {
      const made = await draft(join(FIXTURES, 'init', file));
      expect(made.environment !== undefined || made.issues.length > 0, file).toBe(true);
    }
    expect((await readdir(folder)).sort()).toEqual(['repo.json']);
  });

  it('names a missing file', async () => {
    await expect(draft('nowhere.yaml')).rejects.toMatchObject({
      code: 'input.missing-file',
      message: `Unable to find init file: ${folder}/nowhere.yaml`,
    });
    await expect(draft('.')).rejects.toMatchObject({ code: 'input.missing-file' });
  });

  it('plans what Lago 1.0 made of the tutorial’s files', async () => {
    const golden = (await readdir(join(FIXTURES, 'golden'))).filter((name) => name.startsWith('lago-examples'));
    expect(golden.length).toBeGreaterThan(0);
    for (const name of golden) {
      const { virt } = JSON.parse(await readFile(join(FIXTURES, 'golden', name), 'utf8')) as {
        virt?: Record<string, { nics?: { ip?: string; net: string }[] }>;
      };
      const made = await draft(join(FIXTURES, 'init', name.replace(/\.json$/, '')));
      for (const [file, spec] of Object.entries(virt ?? {})) {
        if (!file.startsWith('vm-')) continue;
        const planned = made.environment?.plan.vms[file.slice(3)];
        expect(planned?.nics.map(({ net, ip }) => ({ net, ip }))).toEqual(spec.nics?.map(({ net, ip }) => ({ net, ip: ip ?? null })));
      }
    }
  });
});
