import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runChecked } from '../../../engine/core/run.ts';
import { realCommand } from '../../real-command.test-support.ts';

let cwd: string;
beforeEach(() => {
  cwd = realpathSync(mkdtempSync(join(tmpdir(), 'lago-client-')));
});
afterEach(async () => {
  await realCommand(cwd, ['destroy', '--yes']);
  rmSync(cwd, { recursive: true, force: true });
});

/** What a VM of el9 is given for its first boot. */
async function seedWith(repos: Readonly<Record<string, unknown>>): Promise<string> {
  await runChecked(['qemu-img', 'create', '-q', '-f', 'qcow2', join(cwd, 'root.qcow2'), '1M'], 'No image.');
  const disks = [{ name: 'root', type: 'file', dev: 'vda', format: 'qcow2', path: 'root.qcow2' }];
  const init = {
    domains: { one: { distro: 'el9', memory: 64, 'cloud-init': {}, nics: [{ net: 'lan' }], disks } },
    nets: { lan: { type: 'nat', dhcp: { start: 100, end: 254 } } },
    repos,
  };
  writeFileSync(join(cwd, 'init.json'), JSON.stringify(init));
  expect(await realCommand(cwd, ['init', 'init.json'])).toMatchObject({ code: 0 });
  return readFileSync(join(cwd, '.lago/default/cloud-init/one.iso'), 'latin1');
}

test('with "client: auto" the seed of cloud-init tells where packages are', async () => {
  const seed = await seedWith({ sources: ['build'], client: 'auto', serve: true, port: 8600 });
  expect(seed).toContain('#cloud-boothook\n');
  expect(seed).toContain('\nbaseurl=http://192.168.200.1:8600/el9\n');
}, 60_000);

test('without it the seed tells nothing', async () => {
  expect(await seedWith({ sources: ['build'], serve: true })).not.toContain('baseurl');
}, 60_000);
