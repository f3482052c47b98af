import { fnmatch } from '../packages/fnmatch.ts';
import { nevraOf, type RpmPackage, shownPackage } from './package.ts';

type Test = (one: RpmPackage) => boolean;

const NAME = '([^:(/=<> ]+)';
const EPOCH = '(?:([0-9]+):)?';
const PART = '([^-:(/=<> ]+)';
const ARCH = '([^-:.(/=<> ]+)';
/** How dnf reads a pattern, in its order: the first reading that fits any package is the one. */
const FORMS = [
  { form: new RegExp(`^${NAME}-${EPOCH}${PART}-${PART}\\.${ARCH}$`), parts: ['name', 'epoch', 'version', 'release', 'arch'] },
  { form: new RegExp(`^${NAME}\\.${ARCH}$`), parts: ['name', 'arch'] },
  { form: new RegExp(`^${NAME}$`), parts: ['name'] },
  { form: new RegExp(`^${NAME}-${EPOCH}${PART}-${PART}$`), parts: ['name', 'epoch', 'version', 'release'] },
  { form: new RegExp(`^${NAME}-${EPOCH}${PART}$`), parts: ['name', 'epoch', 'version'] },
] as const satisfies readonly { readonly form: RegExp; readonly parts: readonly (keyof RpmPackage)[] }[];

/**
 * The packages that a pattern of `excludepkgs` or `includepkgs` means, as dnf takes it: `NAME-VERSION-RELEASE.ARCH`, else `NAME.ARCH`, else
 * `NAME`, `NAME-VERSION-RELEASE`, `NAME-VERSION` (with or without EPOCH: before the version), each with wildcards. So `kernel-*` means
 * kernel-core and not kernel itself, as long as there is a package of such a name.
 */
export function packagesOf(pattern: string, packages: readonly RpmPackage[]): readonly RpmPackage[] {
  for (const test of readings(pattern)) {
    const found = packages.filter((one) => test(one));
    if (found.length > 0) return found;
  }
  return [];
}

function readings(pattern: string): readonly Test[] {
  const tests: Test[] = [];
  for (const { form, parts } of FORMS) {
    const found = form.exec(pattern);
    if (found === null) continue;
    const conditions = parts.flatMap((part, index) => {
      const text = found[index + 1];
      if (text === undefined || text === '*') return [];
      const fits = fnmatch(text);
      return [(one: RpmPackage): boolean => fits(one[part])];
    });
    tests.push((one) => conditions.every((condition) => condition(one)));
  }
  const whole = fnmatch(pattern);
  tests.push((one) => whole(shownPackage(one)) || whole(nevraOf(one)));
  return tests;
}
