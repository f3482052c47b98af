import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { Issue } from '../../src-shared/issue.ts';
import { Plan, PlannedDisk, PlannedDownload, PlannedNet, PlannedNic, PlannedVm } from '../../src-shared/plan.ts';
import { realCommand } from './real-command.test-support.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/plan.md'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'lago-plan-page-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function block(language: string): string {
  return new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(page)?.[1] ?? '';
}

it('docs/plan.md shows what the program prints', async () => {
  writeFileSync(join(folder, 'LagoInitFile'), block('yaml'));
  const { code, out } = await realCommand(folder, ['--out-format', 'json', 'plan', '--fresh-leases', 'LagoInitFile']);
  expect(code).toBe(0);
  expect(out.replaceAll(`${folder}/`, '')).toBe(block('json'));
});

it('docs/plan.md explains every key', () => {
  for (const schema of [Plan, PlannedVm, PlannedNic, PlannedDisk, PlannedNet, PlannedDownload, Issue]) {
    for (const key of Object.keys(schema.shape)) expect(page).toContain(`\`${key}`);
  }
});

it('the keys that were promised come first, in this order', () => {
  const keys = (schema: { readonly shape: object }, count: number): string[] => Object.keys(schema.shape).slice(0, count);
  expect(keys(Plan, 4)).toEqual(['vms', 'nets', 'downloads', 'issues']);
  expect(keys(PlannedVm, 5)).toEqual(['memory', 'vcpu', 'mgmt_net', 'nics', 'disks']);
  expect(keys(PlannedNic, 3)).toEqual(['net', 'ip', 'mac']);
  expect(keys(PlannedDisk, 4)).toEqual(['name', 'dev', 'format', 'path']);
  expect(keys(PlannedNet, 4)).toEqual(['type', 'gw', 'management', 'dhcp']);
  expect(keys(Issue, 6)).toEqual(['file', 'line', 'column', 'path', 'severity', 'message']);
});
