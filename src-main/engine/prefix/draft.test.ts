import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../core/log.ts';
import type { EngineSettings } from '../engine.ts';
import { createRegistry } from '../plugins/registry.ts';
import { type Draft, draftEnvironment, requireSound } from './draft.ts';

const FIXTURES = resolve(import.meta.dirname, '../../../fixtures/lago');
let folder: string;
let settings: EngineSettings;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-draft-'));
  const repository = join(folder, 'repo.json');
  await writeFile(repository, JSON.stringify({ name: 'none', sources: {}, templates: {} }));
  settings = {
    host: 'embedded',
    uplink: 'none',
    accelerator: 'tcg',
    leaseDir: join(folder, 'leases'),
    templateStore: join(folder, 'store'),
    templateRepoPath: repository,
    templateRepoName: undefined,
    templateRepos: folder,
    sshUser: 'root',
    sshPassword: '123456',
    sshTries: 1,
    sshTimeout: 1,
    defaultVmType: 'default',
    defaultVmProvider: 'local-libvirt',
    defaultRootPassword: undefined,
  };
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

async function draft(initFile: string): Promise<Draft> {
  return await draftEnvironment({ settings, resourcesDir: folder, plugins: createRegistry() }, silentLog, {
    initFile,
    root: join(folder, 'work/default'),
    workdir: join(folder, 'work'),
    host: { kind: 'embedded', uplink: 'none' },
    cwd: folder,
  });
}

describe('draftEnvironment', () => {
  it('plans a file whose templates are not here, and says at each place what is lacking', async () => {
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
    // It can be shown, but not made.
    expect(() => requireSound(made, 'x.yaml')).toThrow('The init file x.yaml has 3 errors');
  });

  it('gives a plan or issues for every real file, and touches nothing', async () => {
    const files = (await readdir(join(FIXTURES, 'init'))).sort();
    expect(files.length).toBeGreaterThan(60);
    for (const file of files) {
      const made = await draft(join(FIXTURES, 'init', file));
      expect(made.environment !== undefined || made.issues.length > 0, file).toBe(true);
    }
    expect((await readdir(folder)).sort()).toEqual(['repo.json']);
  });

  it('says which file is not there', async () => {
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
