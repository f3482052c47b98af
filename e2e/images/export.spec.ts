import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { dropFile } from '../support/drop.ts';
import { createFromPlan, destroyEnvironment, dropPlan, expectRunning, expectTask, stopEnvironment } from '../support/environment.ts';
import { lago, lagoOk } from '../support/lago.ts';
import { expectNothingLeft, ownedNamespaces } from '../support/leaks.ts';
import { useScratch } from '../support/prologue.ts';
import type { Scratch } from '../support/scratch.ts';
import { picture } from '../support/screenshots.ts';
import { openDesktop } from '../support/window.ts';

let scratch: Scratch;
useScratch((made) => {
  scratch = made;
});

/** Two VMs of the sample guest; one has a second, empty disk. */
function initFile(): string {
  const vm = (...more: readonly object[]): object => ({
    memory: 192,
    vcpu: 1,
    nics: [{ net: 'front' }],
    disks: [{ name: 'root', dev: 'vda', format: 'qcow2', type: 'template', template_name: 'lago-sample' }, ...more],
  });
  return scratch.write(
    'pair.json',
    JSON.stringify({
      nets: { front: { type: 'nat', management: true, gw: '192.168.200.1', dhcp: { start: 100, end: 200 } } },
      domains: { web: vm({ name: 'data', dev: 'vdb', type: 'empty', size: '32M' }), db: vm() },
    }),
  );
}

/** Creates the pair, writes marks to all disks, and stops it. Returns the network namespaces that it used. */
async function makeUsedPair(): Promise<ReadonlySet<string>> {
  await lagoOk(scratch, ['init', initFile()]);
  await lagoOk(scratch, ['start']);
  const namespaces = ownedNamespaces(scratch);
  await lagoOk(scratch, [
    'shell',
    'web',
    'echo web-was-here >/root/mark; printf data-mark | dd of=/dev/vdb bs=512 conv=sync 2>/dev/null; sync',
  ]);
  await lagoOk(scratch, ['shell', 'db', 'echo db-was-here >/root/mark; sync']);
  return namespaces;
}

/** Checks the exported environment's marks, logging in with its own key. */
async function expectMarks(cwd: string): Promise<void> {
  const seen = await lagoOk(scratch, ['shell', 'web', 'cat /root/mark; hostname; head -c 9 /dev/vdb; wc -l </root/.ssh/authorized_keys'], {
    cwd,
  });
  expect(seen.stdout).toBe('web-was-here\nweb\ndata-mark1\n');
  expect((await lagoOk(scratch, ['shell', 'db', 'cat /root/mark; hostname'], { cwd })).stdout).toBe('db-was-here\ndb\n');
}

/** Runs a command that must fail with this exit code and this text. */
async function expectRefused(args: readonly string[], code: number, text: string, cwd: string = scratch.dir): Promise<void> {
  const outcome = await lago(scratch, args, { cwd });
  expect(outcome.stderr).toContain(text);
  expect(outcome.code).toBe(code);
}

function sha1(content: Buffer): string {
  return createHash('sha1').update(content).digest('hex');
}

test('a layered, compressed export is imported elsewhere with the data of all disks', async () => {
  const namespaces = await makeUsedPair();
  await expectRefused(['export', '-d', 'handover'], 4, 'The following vms must be off:\nweb\ndb');
  await lagoOk(scratch, ['stop', 'db']);
  // Only exported VMs must be off.
  await expectRefused(['export', '-d', 'only', '-n', 'web'], 4, 'must be off:\nweb\n');
  await lagoOk(scratch, ['stop']);
  await expectRefused(['export', '-n', 'wbe'], 2, 'Did you mean "web"?');

  const collected = JSON.parse((await lagoOk(scratch, ['--out-format', 'json', 'export', '--collect-only'])).stdout) as Record<
    string,
    string[]
  >;
  const images = join(scratch.dir, '.lago/default/images');
  expect(collected).toEqual({ db: [join(images, 'db_root.qcow2')], web: [join(images, 'web_root.qcow2'), join(images, 'web_data.qcow2')] });

  const folder = join(scratch.dir, 'handover');
  await lagoOk(scratch, ['export', '--compress', '-d', 'handover', '--without-threads']);
  const names = ['db_root.qcow2', 'web_data.qcow2', 'web_root.qcow2'];
  expect(readdirSync(folder).sort()).toEqual(
    ['LagoInitFile', ...names.flatMap((name) => [`${name}.hash`, `${name}.metadata`, `${name}.xz`])].sort(),
  );
  for (const name of names) {
    const image = execFileSync('xz', ['-dc', join(folder, `${name}.xz`)], { maxBuffer: 2 ** 30 });
    expect(readFileSync(join(folder, `${name}.hash`), 'utf8')).toBe(sha1(image));
  }
  // An export never overwrites anything, and a refused one leaves nothing behind.
  await expectRefused(['export', '--compress', '-d', 'handover'], 2, 'and nothing is overwritten');
  await lagoOk(scratch, ['destroy', '--yes', '--all-prefixes']);

  const other = join(scratch.dir, 'other');
  mkdirSync(other);
  await lagoOk(scratch, ['init', folder], { cwd: other });
  expect(readdirSync(join(other, '.lago/default/images')).sort()).toEqual(names);
  await lagoOk(scratch, ['start'], { cwd: other });
  await expectMarks(other);
  const both = new Set([...namespaces, ...ownedNamespaces(scratch)]);
  await lagoOk(scratch, ['stop'], { cwd: other });

  // Its disk is again one layer on the template, so it can be exported once more; a layer on the folder itself cannot.
  await lagoOk(scratch, ['export', '-d', 'again', '-n', 'db'], { cwd: other });
  const third = join(scratch.dir, 'third');
  mkdirSync(third);
  await lagoOk(scratch, ['init', join(other, 'again', 'LagoInitFile')], { cwd: third });
  await expectRefused(
    ['export', '-d', 'deeper'],
    2,
    'Layered export is currently supported for one layer only. You can try to use Standalone export.',
    third,
  );
  expect(readdirSync(third)).not.toContain('deeper');
  for (const cwd of [third, other]) await lagoOk(scratch, ['destroy', '--yes', '--all-prefixes'], { cwd });

  // A damaged file is reported before anything is created from it.
  const packed = join(folder, 'db_root.qcow2.hash');
  writeFileSync(packed, '0'.repeat(40));
  await expectRefused(['init', folder], 5, 'does not match', other);
  expect(readdirSync(other)).toEqual(['again']);
  await expectNothingLeft(scratch, both);
});

test('a standalone export needs no template', async () => {
  const namespaces = await makeUsedPair();
  await lagoOk(scratch, ['stop']);
  const folder = join(scratch.dir, 'handover');
  await lagoOk(scratch, ['--out-format', 'json', 'export', '--standalone', '-d', 'handover', '--init-file-name', 'init.json']);
  await lagoOk(scratch, ['destroy', '--yes', '--all-prefixes']);
  rmSync(join(scratch.dir, 'store'), { recursive: true });
  const definition = JSON.parse(readFileSync(join(folder, 'init.json'), 'utf8')) as { readonly domains: Readonly<Record<string, unknown>> };
  expect(definition.domains['web']).toMatchObject({
    bootstrap: 'cloud-init',
    disks: [
      { type: 'template', template_type: 'qcow2', path: '$LAGO_INITFILE_PATH/web_root.qcow2' },
      { type: 'file', make_a_copy: true, path: '$LAGO_INITFILE_PATH/web_data.qcow2' },
    ],
  });
  const other = join(scratch.dir, 'other');
  mkdirSync(other);
  const empty = scratch.write('empty.json', JSON.stringify({ name: 'empty', sources: {}, templates: {} }));
  const elsewhere = {
    cwd: other,
    env: { LAGO__INIT__TEMPLATE_STORE: join(scratch.dir, 'other-store'), LAGO__INIT__TEMPLATE_REPO_PATH: empty },
  };
  await lagoOk(scratch, ['init', folder], elsewhere);
  await lagoOk(scratch, ['start'], elsewhere);
  await expectMarks(other);
  const both = new Set([...namespaces, ...ownedNamespaces(scratch)]);
  await lagoOk(scratch, ['destroy', '--yes', '--all-prefixes'], elsewhere);
  expect(existsSync(join(scratch.dir, 'other-store'))).toBe(false);
  await expectNothingLeft(scratch, both);
});

test('a template is built from a stopped VM, and an environment based on it boots', async () => {
  await lagoOk(scratch, ['init', initFile()]);
  await lagoOk(scratch, ['start', 'db']);
  const namespaces = ownedNamespaces(scratch);
  await lagoOk(scratch, ['shell', 'db', 'echo built >/root/mark; sync']);
  await expectRefused(['templates', 'build', 'own', '--vm', 'db'], 4, 'The following vms must be off:\ndb');
  expect(existsSync(join(scratch.dir, 'templates'))).toBe(false);
  await lagoOk(scratch, ['stop']);
  const built = await lagoOk(scratch, ['templates', 'build', 'own', '--vm', 'db', '--compress', '--template-version', 'v1']);
  const repository = join(scratch.dir, 'templates/repo.json');
  expect(built.stdout.trim()).toBe(repository);
  expect(
    readdirSync(join(scratch.dir, 'templates'))
      .filter((name) => name.startsWith('own'))
      .sort(),
  ).toEqual(['own-v1.qcow2.hash', 'own-v1.qcow2.metadata', 'own-v1.qcow2.xz']);
  await expectRefused(['templates', 'build', 'own', '--vm', 'db', '--template-version', 'v1'], 2, 'has a version v1 of own already');
  // A second version based on the first one, in the same repository.
  await lagoOk(scratch, ['templates', 'build', 'own', '--from', 'own:v1', '--template-repo-path', repository]);
  const { templates } = JSON.parse(readFileSync(repository, 'utf8')) as {
    readonly templates: Readonly<Record<string, { readonly versions: object }>>;
  };
  expect(Object.keys(templates['own']?.versions ?? {})).toHaveLength(2);
  await lagoOk(scratch, ['destroy', '--yes', '--all-prefixes']);

  const other = join(scratch.dir, 'other');
  mkdirSync(other);
  const file = scratch.write('own.json', readFileSync(initFile(), 'utf8').replaceAll('lago-sample', 'own'));
  await lagoOk(scratch, ['init', '--template-repo-path', repository, '.lago', file], { cwd: other });
  await lagoOk(scratch, ['start', 'web'], { cwd: other });
  const both = new Set([...namespaces, ...ownedNamespaces(scratch)]);
  expect((await lagoOk(scratch, ['shell', 'web', 'cat /root/mark; hostname'], { cwd: other })).stdout).toBe('built\nweb\n');
  await lagoOk(scratch, ['destroy', '--yes', '--all-prefixes'], { cwd: other });
  await expectNothingLeft(scratch, both);
});

test('a dropped exported folder becomes a running environment, and the menu exports it again', async () => {
  await lagoOk(scratch, ['init', initFile()]);
  const folder = join(scratch.dir, 'handed-over');
  await lagoOk(scratch, ['export', '--compress', '-n', 'web', '-d', folder]);
  await lagoOk(scratch, ['destroy', '--yes', '--all-prefixes']);
  const { page, pageErrors, close } = await openDesktop(scratch);
  await dropFile(page, page.locator('#root'), scratch.workdir.replace('environments', 'home'));
  await expect(page.getByRole('alert')).toContainText('There is no init file in the folder');
  await dropPlan(page, folder, ['web']);
  await expect(page.getByRole('textbox', { name: 'Environment name' })).toHaveValue('handed-over');
  await picture(page, 'export-plan');
  await createFromPlan(page, 'second');
  await expectRunning(page, 'second', ['web']);
  const namespaces = ownedNamespaces(scratch);
  await page.getByRole('button', { name: 'More for second' }).click();
  await expect(page.getByRole('menuitem', { name: 'Export…' })).toBeDisabled();
  await page.keyboard.press('Escape');
  await stopEnvironment(page, 'second', ['web']);

  await page.getByRole('button', { name: 'More for second' }).click();
  await page.getByRole('menuitem', { name: 'Export…' }).click();
  const dialog = page.getByRole('dialog');
  const destination = dialog.getByRole('textbox', { name: 'Destination folder' });
  await expect(destination).toHaveValue(join(folder, 'second-export'));
  await destination.fill('relative');
  await expect(dialog.getByRole('button', { name: 'Export 1 VM' })).toBeDisabled();
  const again = join(scratch.dir, 'again');
  await destination.fill(again);
  await dialog.getByText('Standalone', { exact: true }).click();
  await picture(page, 'export-dialog');
  await dialog.getByRole('button', { name: 'Export 1 VM' }).click();
  const notices = page.getByRole('region', { name: 'Notices' });
  await expect(notices).toContainText('Exported second', { timeout: 120_000 });
  await expect(notices).toContainText(again);
  await picture(page, 'export-done');
  await expectTask(page, 'second', 'Export second');
  expect(readdirSync(again)).toContain('web_root.qcow2.xz');
  // A second export to the same folder is refused by the task.
  await page.getByRole('button', { name: 'More for second' }).click();
  await page.getByRole('menuitem', { name: 'Export…' }).click();
  await page.getByRole('dialog').getByRole('textbox', { name: 'Destination folder' }).fill(again);
  await page.getByRole('dialog').getByRole('button', { name: 'Export 1 VM' }).click();
  await expect(page.getByRole('main').getByRole('alert').first()).toContainText('nothing is overwritten');
  await destroyEnvironment(page, 'second');
  expect(pageErrors()).toEqual([]);
  await close();
  await expectNothingLeft(scratch, namespaces);
});
