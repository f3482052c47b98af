import { describe, expect, it } from 'vitest';
import type { PrefixState } from '../../src-shared/state.ts';
import { environmentNameProblem, workdirProblem } from './plan-name.ts';

const taken = [{ name: 'demo', workdir: '/w' }] as unknown as readonly PrefixState[];

describe('environment names', () => {
  it.each(['demo-2', 'a', '4.0', 'shop_cluster'])('takes %s', (name) => {
    expect(environmentNameProblem(name, '/w', taken)).toBeUndefined();
  });

  it.each(['', 'current', '-x', '.x', '../x', 'a b', 'demo'])('refuses "%s"', (name) => {
    expect(environmentNameProblem(name, '/w', taken)).toEqual(expect.any(String));
  });

  it('takes a name that is taken elsewhere', () => {
    expect(environmentNameProblem('demo', '/other', taken)).toBeUndefined();
  });
});

describe('workdirs', () => {
  it('wants an absolute path', () => {
    expect(workdirProblem('/home/me')).toBeUndefined();
    expect(workdirProblem('me')).toEqual(expect.any(String));
    expect(workdirProblem('')).toEqual(expect.any(String));
  });
});
