import { EngineError } from '../../../../src-shared/errors.ts';
import { type SourceAccount, whyEmpty } from './account.ts';
import { builtFor } from './distro.ts';
import type { PackageFile } from './package-file.ts';

/** What a merge does where the user can want another thing: as repoman's options of these names. */
export interface MergePolicy {
  /** A source without packages is told, or is an error. */
  readonly onEmptySource: 'warn' | 'fail';
  /** An rpm package whose release names no distribution goes to all, is left out and told, or is an error. */
  readonly onWrongDistro: 'copy_to_all' | 'skip' | 'fail';
}

export const DEFAULT_POLICY: MergePolicy = { onEmptySource: 'warn', onWrongDistro: 'copy_to_all' };

/** The source as the policy leaves it. `input.missing-file` or `input.invalid` when the policy is to fail. */
export function applyPolicy(account: SourceAccount, { onEmptySource, onWrongDistro }: MergePolicy): SourceAccount {
  const empty = whyEmpty(account);
  if (empty !== undefined && onEmptySource === 'fail') {
    throw new EngineError('input.missing-file', empty, { hint: 'The option main.on_empty_source of repoman says that this is an error.' });
  }
  if (onWrongDistro === 'copy_to_all') return account;
  const untold = account.packages.filter(saysNoDistro);
  const [first] = untold;
  if (first === undefined) return account;
  const which = untold.length === 1 ? first.path : `${first.path} and ${untold.length - 1} more packages`;
  const said = untold.length === 1 ? `The release of ${which} names no distribution` : `The releases of ${which} name no distribution`;
  if (onWrongDistro === 'fail') {
    throw new EngineError('input.invalid', `${said}.`, {
      hint: 'The option store.RPMStore.on_wrong_distro of repoman says that this is an error.',
    });
  }
  return {
    ...account,
    packages: account.packages.filter((one) => !saysNoDistro(one)),
    problems: [...account.problems, `${said}: left out, as store.RPMStore.on_wrong_distro says.`],
  };
}

function saysNoDistro(one: PackageFile): boolean {
  return one.kind === 'rpm' && builtFor(one) === undefined;
}
