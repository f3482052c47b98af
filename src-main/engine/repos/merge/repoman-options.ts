import { EngineError } from '../../../../src-shared/errors.ts';
import { readOrdinaryText } from '../../core/ordinary-text.ts';
import { FileIssues } from '../definition/file-issues.ts';
import { readIni } from '../definition/ini.ts';
import { DEFAULT_POLICY, type MergePolicy } from './policy.ts';

/** What options of repoman say of a merge. */
export interface RepomanOptions {
  readonly policy: MergePolicy;
  /** What is not followed: sentences. */
  readonly notFollowed: readonly string[];
}

interface Unfollowed {
  /** Values that ask for what is done here anyway. */
  readonly same: readonly string[];
  readonly here: string;
}

const WITHOUT_SOURCES: Unfollowed = { same: ['false', 'no', '0'], here: 'packages of sources are left out' };
const UNSIGNED: Unfollowed = { same: [''], here: 'packages stay as they are, and nothing is signed' };

/** Those that Lago gives to repoman, and others that people use. */
const UNFOLLOWED: Readonly<Record<string, Unfollowed>> = {
  'main.allowed_repo_paths': { same: [], here: "nothing but the environment's own folder is written" },
  'store.RPMStore.rpm_dir': { same: [''], here: 'distributions are folders of the repository itself' },
  'store.RPMStore.with_sources': WITHOUT_SOURCES,
  'store.RPMStore.with_srcrpms': WITHOUT_SOURCES,
  'store.RPMStore.path_prefix': { same: [''], here: 'distributions are folders of the repository itself' },
  'store.RPMStore.distro_reg': { same: [], here: 'distributions are found in releases such as 1.el9 and 2.fc40' },
  'store.RPMStore.extra_symlinks': { same: [''], here: 'a distribution has one name' },
  'store.RPMStore.sign_key': UNSIGNED,
  'store.RPMStore.signing_key': UNSIGNED,
  'store.RPMStore.sign_passphrase': UNSIGNED,
  'store.RPMStore.signing_passphrase': UNSIGNED,
};

/** The options in a configuration file of repoman, as `SECTION.NAME=VALUE`. `input.missing-file`, or `input.invalid` where it is no such file. */
export async function readRepomanConfig(path: string): Promise<readonly string[]> {
  const text = await readOrdinaryText(path, {
    what: 'a configuration of repoman',
    maxBytes: 256 * 1024,
    hint: 'Give the path of a file with sections such as [main] and [store.RPMStore].',
  });
  const issues = new FileIssues(path);
  const sections = readIni(text, issues);
  const wrong = issues.all.find(({ severity }) => severity === 'error');
  if (wrong !== undefined) {
    throw new EngineError('input.invalid', `${path}:${wrong.line}: ${wrong.message}`, wrong.hint === undefined ? {} : { hint: wrong.hint });
  }
  return sections.flatMap(({ id, options }) =>
    options.map(({ key, value }) => {
      const lines = value.map((line) => line.text).filter((line) => line !== '');
      return `${id}.${key}=${lines.join(' ')}`;
    }),
  );
}

/** What options (`SECTION.NAME=VALUE`) mean here; of one that is given twice, the last value counts. */
export function repomanOptions(texts: readonly string[]): RepomanOptions {
  let policy = DEFAULT_POLICY;
  const notFollowed: string[] = [];
  for (const [name, value] of new Map(texts.map(splitOption))) {
    if (name === 'main.on_empty_source') policy = { ...policy, onEmptySource: value === 'fail' ? 'fail' : 'warn' };
    else if (name === 'store.RPMStore.on_wrong_distro') policy = { ...policy, onWrongDistro: onWrongDistro(value) };
    else {
      const known = UNFOLLOWED[name];
      if (known === undefined) notFollowed.push(`The option ${name} of repoman means nothing here.`);
      else if (!known.same.includes(value)) notFollowed.push(`The option ${name}=${value} of repoman is not followed: here ${known.here}.`);
    }
  }
  return { policy, notFollowed };
}

function splitOption(text: string): readonly [string, string] {
  const [, name = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(text) ?? [];
  return [name.trim(), value.trim().toLowerCase()];
}

/** repoman takes any other word for leaving them out. */
function onWrongDistro(value: string): MergePolicy['onWrongDistro'] {
  return value === 'copy_to_all' || value === 'fail' ? value : 'skip';
}
