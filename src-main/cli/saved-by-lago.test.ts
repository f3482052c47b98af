import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FORMATS, formatValue } from './output/formats.ts';
import { realCommand } from './real-command.test-support.ts';

const fixtures = join(import.meta.dirname, '../../fixtures/lago');

interface Golden {
  readonly result: { readonly init_rc: number };
  readonly status?: { readonly Prefix: object };
  readonly env?: object;
  readonly nets?: Record<string, object>;
  readonly vms?: Record<string, { readonly nics: readonly { readonly net: string; readonly ip?: string }[]; readonly mgmt_net: string }>;
}

let cwd: string;
let prefix: string;
beforeEach(() => {
  cwd = realpathSync(mkdtempSync(join(tmpdir(), 'lago-saved-')));
  prefix = join(cwd, '.lago/default');
  mkdirSync(prefix, { recursive: true });
  symlinkSync('default', join(cwd, '.lago/current'));
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

/** Restores the prefix that Lago 1.0 left on disk. */
function restore(golden: Required<Golden>): void {
  const put = (path: string, value: object): void => writeFileSync(join(prefix, path), JSON.stringify(value, null, 4));
  for (const folder of ['virt', 'images', 'scripts', 'logs']) mkdirSync(join(prefix, folder));
  put('virt/env', golden.env);
  for (const [name, net] of Object.entries(golden.nets)) put(`virt/net-${name}`, net);
  for (const [name, vm] of Object.entries(golden.vms)) put(`virt/vm-${name}`, vm);
  put('metadata', { lago_version: '1.0.0' });
  writeFileSync(join(prefix, 'uuid'), 'aaaabbbbccccddddeeeeffff00001111');
  writeFileSync(join(prefix, 'initialized'), '');
}

const initialised = readdirSync(join(fixtures, 'golden'))
  .map((file): [string, Golden] => [
    file.replace(/\.json$/, ''),
    JSON.parse(readFileSync(join(fixtures, 'golden', file), 'utf8')) as Golden,
  ])
  .filter((entry): entry is [string, Required<Golden>] => entry[1].status !== undefined);

describe('environments that Lago 1.0 made', () => {
  it('are all those that it initialised', () => expect(initialised.length).toBe(47));

  it.each(initialised)('%s: the same status in every format, and an inventory', async (_, golden) => {
    restore(golden);
    const expected = { Prefix: { ...golden.status.Prefix, 'Base directory': prefix } };
    for (const format of FORMATS) {
      const shown = await realCommand(cwd, ['-f', format.name, 'status']);
      expect(shown).toEqual({ code: 0, err: '', out: `${formatValue(format, expected)}\n` });
    }
    expect((await realCommand(cwd, ['list'])).out).toBe('default\n');
    const inventory = await realCommand(cwd, ['ansible_hosts', '--keys', 'name']);
    for (const [name, vm] of Object.entries(golden.vms)) {
      const ip = vm.nics.find((nic) => nic.net === vm.mgmt_net)?.ip ?? 'N/A';
      expect(inventory.out).toContain(`[name=${name}]\n${name} ansible_host=${ip} ansible_ssh_private_key_file=${prefix}/id_rsa\n`);
    }
  });
});

it('an environment that Lago 0.29 made is opened', async () => {
  cpSync(join(fixtures, 'prefix/status-prefix_skel'), prefix, { recursive: true });
  const json = await realCommand(cwd, ['-f', 'json', 'status']);
  expect(json).toMatchObject({ code: 0, err: '' });
  expect(Object.keys((JSON.parse(json.out) as { Prefix: { VMs: object } }).Prefix.VMs).length).toBeGreaterThan(0);
  for (const verb of [['list'], ['ansible_hosts'], ['snapshot', '--list']]) expect(await realCommand(cwd, verb)).toMatchObject({ code: 0 });
});
