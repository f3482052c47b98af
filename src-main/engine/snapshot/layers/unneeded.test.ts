import { describe, expect, test } from 'vitest';
import { type LayerFile, nextLayerSteps } from './unneeded.ts';

/** `c>b` is a layer c on b; a leading `*` marks a file that another environment has a link to. */
function files(...texts: readonly string[]): readonly LayerFile[] {
  return texts.map((text) => {
    const [path = '', below] = text.replace('*', '').split('>');
    return { path, below, shared: text.startsWith('*') };
  });
}
const steps = (all: readonly LayerFile[], named: string, running = ''): readonly unknown[] =>
  nextLayerSteps(all, { named: new Set(named.split(' ')), running: new Set(running.split(' ').filter((one) => one !== '')) });
const step = (all: readonly LayerFile[], named: string, running = ''): unknown => steps(all, named, running)[0];

describe('a file that nobody names', () => {
  test('is deleted where nothing is on it', () => {
    expect(step(files('a', 'b>a', 'old>a'), 'a b')).toEqual({ kind: 'delete', path: 'old' });
    expect(step(files('a', 'b>a'), 'a b')).toBeUndefined();
  });

  test('is not taken in by a layer that goes, too', () => {
    expect(step(files('a', 'b>a', 'c>b', 'd>a'), 'a d')).toEqual({ kind: 'delete', path: 'c' });
  });

  test('stays while several layers are on it', () => {
    expect(step(files('t', 'a>t', 'b>a', 'c>a'), 'b c t')).toBeUndefined();
  });

  test('is taken in by the one layer on it', () => {
    expect(step(files('a', 'b>a'), 'b')).toEqual({ kind: 'absorb', path: 'a', into: 'b', how: 'offline' });
    expect(step(files('a', 'b>a'), 'b', 'b')).toEqual({ kind: 'absorb', path: 'a', into: 'b', how: 'pull' });
  });

  test('takes in the layer on it where QEMU reads that', () => {
    expect(step(files('a', 'b>a', 'c>b'), 'b c', 'c')).toEqual({ kind: 'commit', path: 'a', from: 'b', running: 'c' });
    // Of another branch, it does not.
    expect(step(files('t', 'a>t', 'b>a', 'c>t'), 'b c t', 'c')).toMatchObject({ kind: 'absorb', path: 'a', how: 'offline' });
  });
});

describe('a file that another environment uses too', () => {
  test('is given up here, and never changed', () => {
    expect(step(files('*a'), 'x')).toEqual({ kind: 'delete', path: 'a' });
    expect(step(files('*a', '*b>a'), 'b')).toBeUndefined();
    expect(step(files('*a', '*b>a', 'c>b'), 'b c', 'c')).toBeUndefined();
  });

  test('stays where it is, for merging it would give nothing back, unless the chain gets long', () => {
    expect(step(files('*a', 'b>a'), 'b')).toBeUndefined();
    expect(step(files('*a', 'b>a'), 'b', 'b')).toBeUndefined();
    const many = Array.from({ length: 16 }, (_, index) => (index === 0 ? '*f0' : `*f${index}>f${index - 1}`));
    expect(step(files(...many, 'a>f15'), 'a')).toBeUndefined();
    expect(step(files(...many, '*f16>f15', 'a>f16'), 'a')).toMatchObject({ kind: 'absorb', path: 'f16', into: 'a', how: 'offline' });
    expect(step(files(...many, '*f16>f15', 'a>f16'), 'a', 'a')).toMatchObject({ kind: 'absorb', path: 'f16', how: 'pull' });
  });
});

describe('steps that are taken at the same time', () => {
  test('delete all that nothing is on, and merge nothing yet', () => {
    expect(steps(files('a', 'b>a', 'c>b', 'd>a', 'e>d'), 'a')).toEqual([
      { kind: 'delete', path: 'c' },
      { kind: 'delete', path: 'e' },
    ]);
  });

  test('merge one file of each disk', () => {
    const all = files('a', 'b>a', 'c>b', 'x', 'y>x');
    expect(steps(all, 'c y', 'c y')).toEqual([
      { kind: 'commit', path: 'a', from: 'b', running: 'c' },
      { kind: 'absorb', path: 'x', into: 'y', how: 'pull' },
    ]);
  });

  test('know disks on the same template apart, and one disk by its own lowest file', () => {
    const template: LayerFile = { path: 't', below: undefined, shared: true, foreign: true };
    expect(steps([template, ...files('a>t', 'b>a', 'x>t', 'y>x')], 'b y')).toHaveLength(2);
    const between: LayerFile = { path: 'f', below: 'b', shared: true, foreign: true };
    expect(steps([...files('a', 'b>a', 'c>f', 'd>c'), between], 'd')).toHaveLength(1);
  });
});
