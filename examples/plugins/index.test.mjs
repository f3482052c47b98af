// Run with "npm test" in this folder: plain Node, no Lago Desktop. Plugins are plain objects, so a test can call them directly.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import plugins from './index.mjs';

const find = (kind) => plugins.find((plugin) => plugin.kind === kind);

void test('each plugin says for which contract it was written', () => {
  assert.deepEqual(
    plugins.map(({ apiVersion, kind, name }) => [apiVersion, kind, name]),
    [
      [1, 'output', 'table'],
      [1, 'cli', 'addresses'],
      [1, 'vm', 'web-server'],
      [1, 'vm-service', 'openrc'],
    ],
  );
});

void test('the table has a row for each leaf', () => {
  assert.equal(find('output').format({ web: { ip: '10.0.0.2', up: true }, db: null }), 'web.ip | 10.0.0.2\nweb.up | true\ndb     |');
});

void test('the verb prints addresses', async () => {
  const printed = [];
  const vms = [
    { name: 'web', ip: '10.0.0.2' },
    { name: 'bare', ip: null },
  ];
  const call = (values) => ({
    values,
    prefix: async () => ({ path: '/somewhere' }),
    withEngine: async (work) => await work({ prefix: { status: async () => ({ vms }) } }),
    print: (text) => printed.push(text),
    printValue: (value) => printed.push(value),
    fail: (message) => {
      throw new Error(message);
    },
  });
  await find('cli').run(call({}));
  await find('cli').run(call({ hosts: true }));
  assert.deepEqual(printed, [{ web: '10.0.0.2', bare: null }, '10.0.0.2\tweb']);
  await assert.rejects(find('cli').run(call({ vms: ['wbe'] })), /There is no VM "wbe"/);
});

void test('the VM type keeps the groups of the init file', () => {
  assert.deepEqual(find('vm').extend({ groups: ['front'] }), { groups: ['front', 'web'] });
});

void test('the service provider reads exit codes', async () => {
  const state = async (code) => await find('vm-service').state(async () => ({ code, stdout: '', stderr: '' }), 'nginx');
  assert.deepEqual([await state(0), await state(3), await state(1)], ['active', 'inactive', 'missing']);
});
