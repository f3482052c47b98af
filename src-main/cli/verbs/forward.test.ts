import { expect, it } from 'vitest';
import { forwardAddress } from '../../../src-shared/addresses.ts';
import { forwardPlan } from './forward.ts';

it.each([
  ['web 80', { kind: 'listen', requests: [{ vm: 'web', port: 80 }] }],
  ['web 80 8080', { kind: 'listen', requests: [{ vm: 'web', port: 80, localPort: 8080 }] }],
  ['web 22 -', { kind: 'stdio', vm: 'web', port: 22 }],
  ['web:80', { kind: 'listen', requests: [{ vm: 'web', port: 80 }] }],
  [
    'web:80:8080 db:5432',
    {
      kind: 'listen',
      requests: [
        { vm: 'web', port: 80, localPort: 8080 },
        { vm: 'db', port: 5432 },
      ],
    },
  ],
])('reads %s', (line, plan) => expect(forwardPlan(line.split(' '))).toEqual(plan));

it.each([
  ['', 'These are not ports of VMs.'],
  ['web', 'These are not ports of VMs.'],
  ['web 80 81 82', 'These are not ports of VMs.'],
  ['web http', '"http" is not a port: it has to be a number from 1 to 65535.'],
  ['web 65536', '"65536" is not a port: it has to be a number from 1 to 65535.'],
  ['web:80 81', '"" is not a port: it has to be a number from 1 to 65535.'],
  ['web:80:81:82', '"web:80:81:82" is not a port of a VM.'],
  [':80', '":80" is not a port of a VM.'],
])('refuses "%s"', (line, message) => {
  expect(() => forwardPlan(line === '' ? [] : line.split(' '))).toThrow(expect.objectContaining({ code: 'input.usage', message }) as Error);
});

it('names the URL of a web server', () => {
  expect([forwardAddress(80, 8080), forwardAddress(443, 1443), forwardAddress(5432, 5432)]).toEqual([
    'http://127.0.0.1:8080',
    'https://127.0.0.1:1443',
    '127.0.0.1:5432',
  ]);
});
