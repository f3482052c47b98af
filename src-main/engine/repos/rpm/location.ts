import { posix } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';

/** The path of a file as metadata names it, in its plainest form. `remote.invalid` when it is not inside of the repository. */
export function checkedLocation(href: string, what: string): string {
  const plain = posix.normalize(href);
  const outside = plain.startsWith('/') || plain === '..' || plain.startsWith('../') || plain.endsWith('/') || plain === '.';
  if (outside || href === '' || href.includes('\0')) {
    throw new EngineError('remote.invalid', `${what} names the file "${href}", which is not inside of the repository.`);
  }
  return plain;
}

/** The address of another server that metadata names; one that cannot be fetched from counts as none. */
export function checkedBase(base: string | undefined): string | undefined {
  if (base === undefined || !/^https?:\/\//i.test(base) || !URL.canParse(base)) return undefined;
  return base.endsWith('/') ? base : `${base}/`;
}
