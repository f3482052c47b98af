import { expect, test } from 'vitest';
import { confinement, hasDefaultRoute, isLoopback, isShutIn, type NetworkFacts } from './confine.ts';

const CONFINED = { LAGO_CONFINED: '1' };
const machine: NetworkFacts = { own: 'net:[1]', machine: 'net:[1]', defaultRoute: true };
const cage: NetworkFacts = { own: 'net:[2]', machine: 'net:[1]', defaultRoute: false };

test('without LAGO_CONFINED nothing is refused', () => {
  const rule = confinement({}, () => machine);
  expect(() => rule.checkDial('192.0.2.1')).not.toThrow();
  expect(() => rule.check('Anything')).not.toThrow();
  expect(rule.mayLeave()).toBe(true);
});

test.each(['192.0.2.1', '10.0.0.1', 'localhost', 'example.org', '::2', '127.0.0.1.example.org', ''])(
  'a confined run in the machine’s network does not reach %j',
  (address) => {
    const rule = confinement(CONFINED, () => machine);
    expect(() => rule.checkDial(address)).toThrow(expect.objectContaining({ code: 'host.denied' }));
    expect(rule.mayLeave()).toBe(false);
  },
);

test('loopback by number is always allowed', () => {
  const rule = confinement(CONFINED, () => machine);
  for (const address of ['127.0.0.1', '127.9.8.7', '::1']) {
    expect(isLoopback(address)).toBe(true);
    expect(() => rule.checkDial(address)).not.toThrow();
  }
});

test('its own namespace without a default route is allowed', () => {
  expect(() => confinement(CONFINED, () => cage).checkDial('192.168.200.2')).not.toThrow();
});

test.each<[string, NetworkFacts]>([
  ['a default route', { ...cage, defaultRoute: true }],
  ['the machine’s namespace', { ...cage, own: 'net:[1]' }],
  ['an unknown machine namespace', { ...cage, machine: undefined }],
  ['an unknown own namespace', { ...cage, own: undefined }],
])('not shut in with %s', (_what, facts) => expect(isShutIn(facts)).toBe(false));

test('this process is judged by its real namespace', () => {
  expect(() => confinement(CONFINED).check('It')).toThrow(expect.objectContaining({ code: 'host.denied' }));
});

const HEADER = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n';

test('default routes are seen in both tables', () => {
  expect(hasDefaultRoute(`${HEADER}eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n`, '')).toBe(true);
  expect(hasDefaultRoute(`${HEADER}eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n`, '')).toBe(false);
  const none = '0'.repeat(32);
  const six = (flags: string, device: string) =>
    `${none} 00 ${none} 00 fe800000000000000000000000000001 00000400 00000000 00000000 ${flags}     ${device}\n`;
  expect(hasDefaultRoute(HEADER, six('00000003', 'eth0'))).toBe(true);
  expect(hasDefaultRoute(HEADER, six('00200200', 'lo'))).toBe(false);
  expect(hasDefaultRoute(HEADER, six('00000201', 'eth0'))).toBe(false);
  expect(hasDefaultRoute('', '')).toBe(false);
});
