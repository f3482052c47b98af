import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { run } from '../../core/run.ts';
import { compareDebVersions, compareRpmText, compareRpmVersions } from './compare-versions.ts';

// From rpm's own tests.
const RPM = [
  ['1.0', '1.0', 0],
  ['1.0', '2.0', -1],
  ['2.0.1', '2.0', 1],
  ['2.0.1a', '2.0.1', 1],
  ['5.5p1', '5.5p10', -1],
  ['10xyz', '10.1xyz', -1],
  ['xyz10', 'xyz10.1', -1],
  ['xyz.4', '8', -1],
  ['5.5p2', '5.6p1', -1],
  ['6.5p1', '5.6p1', 1],
  ['6.0.rc1', '6.0', 1],
  ['10b2', '10a1', 1],
  ['10.0001', '10.1', 0],
  ['10.0001', '10.0039', -1],
  ['20101121', '20101122', -1],
  ['2_0', '2.0', 0],
  ['a+', 'a_', 0],
  ['1.0~rc1', '1.0', -1],
  ['1.0~rc1', '1.0~rc2', -1],
  ['1.0~rc1~git123', '1.0~rc1', -1],
  ['1.0^', '1.0', 1],
  ['1.0^git1', '1.0^git2', -1],
  ['1.0^git1', '1.01', -1],
  ['1.0^20160101', '1.0.1', -1],
  ['1.0^20160101^git1', '1.0^20160102', -1],
  ['1.0~rc1^git1', '1.0~rc1', 1],
  ['1.0^git1~pre', '1.0^git1', -1],
  ['1b.fc17', '1.fc17', -1],
  ['99999999999999999999', '100000000000000000000', -1],
] as const;

const versionOf = (text: string) => {
  const [, epoch = '0', version = '', release = ''] = /^(?:(\d+):)?(.*?)(?:-([^-]*))?$/.exec(text) ?? [];
  return { epoch: Number(epoch), version, release };
};

describe('as rpm', () => {
  test.each(RPM)('%s and %s', (a, b, order) => {
    expect(Math.sign(compareRpmText(a, b))).toBe(order);
    expect(Math.sign(compareRpmText(b, a)) + order).toBe(0);
  });

  test('the epoch counts first', () => {
    expect(compareRpmVersions(versionOf('1:1.0-1'), versionOf('2.0-1'))).toBeGreaterThan(0);
    expect(compareRpmVersions(versionOf('1.0-2.el7'), versionOf('1.0-10.el7'))).toBeLessThan(0);
  });

  test('any two, like rpm itself', async () => {
    const pieces = fc.array(fc.constantFrom('1', '01', '10', 'a', 'rc', '.', '~', '^', '_', '+'), { minLength: 1, maxLength: 6 });
    const pairs = fc.sample(fc.tuple(pieces, pieces), { numRuns: 300, seed: 7 }).map(([a, b]) => [a.join(''), b.join('')] as const);
    const lua = pairs.map(([a, b]) => `print(rpm.vercmp('${a}','${b}') .. ' ')`).join(';');
    const { stdout } = await run(['rpm', '--eval', `%{lua: ${lua}}`]);
    const orders = stdout.trim().split(/\s+/).map(Number);
    expect(pairs.map(([a, b]) => `${a} ${b} ${Math.sign(compareRpmText(a, b)) + 0}`)).toEqual(
      pairs.map(([a, b], at) => `${a} ${b} ${orders[at]}`),
    );
  });
});

describe('as dpkg', () => {
  test.each([
    ['1.0', '1.0', 0],
    ['1:0.9', '1.0', 1],
    ['1.0~rc1', '1.0', -1],
    ['1.0~~', '1.0~', -1],
    ['1.0-1', '1.0-2', -1],
    ['1.0-1~bpo', '1.0-1', -1],
    ['1.0', '1.0-0', 0],
    ['1.0', '1.0-1', -1],
    ['1.0a', '1.0+', -1],
    ['1.10', '1.9', 1],
    ['0.0.0-010', '0.0.0-10', 0],
    ['1.2+dfsg', '1.2', 1],
  ] as const)('%s and %s', async (a, b, order) => {
    expect(Math.sign(compareDebVersions(versionOf(a), versionOf(b)))).toBe(order);
    expect(Math.sign(compareDebVersions(versionOf(b), versionOf(a))) + order).toBe(0);
    expect((await run(['dpkg', '--compare-versions', a, order === 0 ? 'eq' : order < 0 ? 'lt' : 'gt', b])).code).toBe(0);
  });
});
