import { describe, expect, it } from 'vitest';
import { destinationProblem, proposedDestination } from './export-path.ts';

const prefix = {
  name: 'shop',
  path: '/home/eva/environments/shop',
  workdir: '/home/eva/environments',
  initFile: '/home/eva/work/init.json',
};

describe('the destination of an export', () => {
  it('is proposed beside the init file, else beside the workdir', () => {
    expect(proposedDestination(prefix)).toBe('/home/eva/work/shop-export');
    expect(proposedDestination({ ...prefix, initFile: null })).toBe('/home/eva/shop-export');
    expect(proposedDestination({ ...prefix, initFile: null, workdir: null })).toBe('/home/eva/environments/shop-export');
  });

  it.each([
    ['', 'Choose a destination'],
    ['shop', 'Enter an absolute path, beginning with /'],
    ['/home/eva/environments/shop', 'Choose a folder outside of the environment'],
    ['/home/eva/environments/shop/out', 'Choose a folder outside of the environment'],
    ['/home/eva/environments/shop-export', undefined],
  ])('%j: %j', (path, problem) => expect(destinationProblem(path, prefix)).toBe(problem));
});
