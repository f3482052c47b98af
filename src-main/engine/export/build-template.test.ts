import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EngineSettings } from '../configuration/settings.ts';
import { startOperation } from '../core/operation.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import { findTemplate, loadRepository } from '../template/repository.ts';
import { openStore } from '../template/store.ts';
import type { BuildRequest, BuiltTemplate } from './build-request.ts';
import { buildTemplate } from './build-template.ts';

let folder: string;
let image: string;
let bin: string;
let path: string | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-build-'));
  bin = join(folder, 'bin');
  await mkdir(bin);
  path = process.env['PATH'];
  process.env['PATH'] = `${bin}:${path ?? ''}`;
  image = join(folder, 'image.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', image, '4M']);
  execFileSync('qemu-io', ['-f', 'qcow2', '-c', 'write -P 7 0 1M', image]);
  await writeFile(`${image}.metadata`, JSON.stringify({ distro: 'el9', name: 'old', sha1: 'x' }));
});
afterEach(async () => {
  process.env['PATH'] = path;
  await rm(folder, { recursive: true, force: true });
});

async function tool(name: string, script: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
  await chmod(join(bin, name), 0o755);
}

async function build(change: Partial<BuildRequest> = {}): Promise<BuiltTemplate> {
  const context = {
    settings: { accelerator: 'tcg', uplink: 'none' } as EngineSettings,
    resourcesDir: '/nowhere',
  } as unknown as RecipeContext;
  const request: BuildRequest = {
    name: 'own',
    from: { image },
    folder: join(folder, 'repo'),
    run: [],
    sysprep: false,
    compress: false,
    ...change,
  };
  return await startOperation({ kind: 'build', label: 'test' }, async (step) => await buildTemplate(context, request, step)).done;
}

const everything = async (): Promise<readonly string[]> =>
  (await readdir(folder, { recursive: true })).filter((name) => !name.startsWith('bin')).sort();

describe('build', () => {
  it('creates a repository that templates can be fetched from, version after version', async () => {
    const first = await build({ version: 'v1', compress: true });
    const second = await build({ version: 'v2' });
    expect(second.repository).toBe(first.repository);
    const repository = await loadRepository(first.repository);
    expect(
      repository.templates
        .get('own')
        ?.map(({ version }) => version)
        .sort(),
    ).toEqual(['v1', 'v2']);
    const store = openStore(join(folder, 'store'));
    for (const version of ['v1', 'v2']) {
      const stored = await store.fetch(findTemplate(repository, 'own', version));
      expect(stored.metadata).toMatchObject({ distro: 'el9', name: 'own', version, 'virtual-size': 4 * 1024 * 1024 });
      execFileSync('qemu-img', ['compare', image, stored.path]);
    }
    await expect(build({ version: 'v2' })).rejects.toMatchObject({ code: 'input.invalid' });
    expect((await build()).version).toMatch(/^\d{8}\.\d{6}$/);
  });

  it('customizes a copy: steps, scripts, sysprep, in this order', async () => {
    await tool(
      'virt-customize',
      `echo "customize $PWD $*" >>${folder}/calls; cat "$(dirname "$LIBGUESTFS_TMPDIR")/commands" >>${folder}/calls`,
    );
    await tool('virt-sysprep', `echo "sysprep $*" >>${folder}/calls`);
    const steps = join(folder, 'steps.yaml');
    await writeFile(steps, '- virt-customize: {install: vim}\n- {touch: /made}\n');
    const script = join(folder, 'setup.sh');
    await writeFile(script, 'true\n');
    await build({ customizeFile: steps, run: [script], sysprep: true });
    const calls = (await readFile(join(folder, 'calls'), 'utf8')).trim().split('\n');
    expect(calls.filter((line) => /^(?:install|touch|run) |^sysprep/.test(line)).map((line) => line.split(' --format')[0])).toEqual([
      'install vim',
      'touch /made',
      `run ${script}`,
      'sysprep',
    ]);
    expect(calls[0]).toMatch(new RegExp(`^customize ${folder} .*--no-network`));
    execFileSync('qemu-img', ['check', image]);
    expect((await readdir(join(folder, 'repo'))).filter((name) => name.startsWith('.') && name !== '.repo.json.lock')).toEqual([]);
  });

  it('accepts other formats', async () => {
    const vmdk = join(folder, 'disk.vmdk');
    execFileSync('qemu-img', ['convert', '-O', 'vmdk', image, vmdk]);
    const built = await build({ from: { image: vmdk } });
    execFileSync('qemu-img', ['compare', image, built.image]);
  });

  it.each<[string, Partial<BuildRequest>, string]>([
    ['a name that is none', { name: '../x' }, 'input.invalid'],
    ['a version that is none', { version: 'a:b' }, 'input.invalid'],
    ['no image', { from: { image: '/nowhere/x' } }, 'input.missing-file'],
    ['no steps', { customizeFile: '/nowhere/x' }, 'input.missing-file'],
    ['no script', { run: ['/nowhere/x'] }, 'input.missing-file'],
    ['failing virt-customize', { run: [process.execPath] }, 'host.unavailable'],
    ['failing virt-sysprep', { sysprep: true }, 'host.unavailable'],
    ['failing xz', { compress: true }, 'host.unavailable'],
  ])('leaves nothing for %s', async (_case, change, code) => {
    for (const name of ['virt-customize', 'virt-sysprep', 'xz'])
      await tool(name, '[ "$1" = --version ] && exit 0; echo "it broke" >&2; exit 1');
    const before = await everything();
    await expect(build(change)).rejects.toMatchObject({ code });
    expect(await everything()).toEqual(before);
  });

  it('refuses invalid steps, and a folder whose JSON is not a repository', async () => {
    const steps = join(folder, 'steps.yaml');
    for (const text of ['just text', '- {commands-from-file: x}', '- virt-customize: {ssh-inject: ""}', '{']) {
      await writeFile(steps, text);
      await expect(build({ customizeFile: steps })).rejects.toMatchObject({ code: 'input.invalid' });
    }
    await mkdir(join(folder, 'repo'));
    await writeFile(join(folder, 'repo/repo.json'), '[]');
    await expect(build()).rejects.toMatchObject({ code: 'input.invalid' });
    expect(await readdir(join(folder, 'repo'))).toEqual(['repo.json']);
  });
});
