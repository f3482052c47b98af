import { describe, expect, it } from 'vitest';
import { forkNames, forkNumberProblem } from './dialogs/fork-names.ts';
import { freeName, nameProblem } from './snapshot-name.ts';
import { tagsOf } from './tags.ts';

describe('free names', () => {
  it('counts up', () => {
    expect(freeName('snapshot-1', [])).toBe('snapshot-1');
    expect(freeName('snapshot-1', ['snapshot-1', 'snapshot-2'])).toBe('snapshot-3');
    expect(freeName('before-x', ['before-x'])).toBe('before-x-2');
  });
});

describe('snapshot names', () => {
  it.each(['a', 'snapshot-1', 'v1.2_x', '0'])('takes %s', (name) => {
    expect(nameProblem(name, ['other'])).toBeUndefined();
  });

  it.each(['', '-a', '.a', 'a b', 'a/b', 'ä', 'x'.repeat(65), 'other'])('refuses "%s"', (name) => {
    expect(nameProblem(name, ['other'])).toEqual(expect.any(String));
  });
});

describe('names of forks', () => {
  it('number several', () => {
    expect(forkNames('try', 1)).toEqual(['try']);
    expect(forkNames('try', 3)).toEqual(['try-1', 'try-2', 'try-3']);
  });

  it('stay one while the number is not one', () => {
    for (const number of [Number.NaN, 0, 1.5, 1e9]) expect(forkNames('try', number)).toEqual(['try']);
  });

  it.each(['1', '50'])('take %s', (number) => expect(forkNumberProblem(number)).toBeUndefined());
  it.each(['', '0', '51', '-1', '1.5', 'two', '1e1'])('refuse "%s"', (number) => expect(forkNumberProblem(number)).toBe('1 to 50'));
});

it('tags are separated by commas or spaces, each once', () => {
  expect(tagsOf(' release,  nightly release ,')).toEqual(['release', 'nightly']);
  expect(tagsOf('')).toEqual([]);
});
