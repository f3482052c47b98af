import { REPO_PORT } from '../../../../src-shared/repos/package-repos.ts';
import type { OptionSpec, PositionalSpec, VerbSpec } from '../../parser/table.ts';

/** One action of `lago repo`: its part of the verb's help. Options that several actions take have the same `name` and are listed once. */
export interface RepoAction {
  readonly name: string;
  /** What it does: a sentence or more. */
  readonly help: string;
  readonly options: readonly OptionSpec[];
  readonly examples: VerbSpec['examples'];
}

export const DISTRO: OptionSpec = {
  flags: ['--distro'],
  name: 'distro',
  kind: 'repeated',
  metavar: 'DISTRO',
  help: 'A distribution such as el9 or debian12, in place of those of the environment’s VMs. Can be given several times.',
};

export const SECTION: OptionSpec = {
  flags: ['--section'],
  name: 'section',
  kind: 'repeated',
  metavar: 'ID',
  help: 'Use this section, and no others than those named, whatever its id ends in. Can be given several times.',
};

const EXPLAIN: RepoAction = {
  name: 'explain',
  help: 'explain says of each section of the FILEs (.repo files of dnf and yum, or .list and .sources files of apt) whether it is used, and why: those whose id ends in “-DISTRO” with the distribution of a VM. It contacts no server. Without FILE: those that the init file names under "repos", else reposync_config. Exit code 2 when a file has errors.',
  options: [DISTRO, SECTION],
  examples: [
    { line: 'repo explain reposync-config.repo', does: 'For the environment here.' },
    { line: 'repo explain --distro el9 reposync-config.repo', does: 'For VMs with that distribution, also without an environment.' },
    { line: '--out-format json repo explain a.repo debian.sources', does: 'For programs.' },
  ],
};

const MERGE: RepoAction = {
  name: 'merge',
  help: 'merge makes one repository for each distribution out of packages of the SOURCEs: folders, packages, patterns, and http addresses of packages or of pages that link to them. The newest version of each package is taken; a source that ends in ":only-missing" only adds names that no source before it has, one that ends in ":pinned" wins. Without SOURCE: those of the init file, and what was synchronised of its repositories. The environment’s merged packages are replaced at once.',
  options: [
    DISTRO,
    { flags: ['--name'], name: 'name', kind: 'value', metavar: 'NAME', help: 'Merge into internal_repo/NAME of the environment.' },
    {
      flags: ['--option'],
      name: 'option',
      kind: 'repeated',
      metavar: 'NAME=VALUE',
      help: 'An option of repoman, as Lago’s scripts have them. Can be given several times.',
    },
    {
      flags: ['--repoman-config'],
      name: 'repoman_config',
      kind: 'value',
      metavar: 'FILE',
      help: 'Options of repoman in a file of its own.',
    },
  ],
  examples: [
    { line: 'repo merge exported-artifacts', does: 'The packages of a build, for the distributions of the VMs.' },
    { line: 'repo merge build /srv/reposync/ovirt-el9:only-missing', does: 'And all others of a synchronised repository.' },
  ],
};

const SERVE: RepoAction = {
  name: 'serve',
  help: 'serve lets the guests fetch the merged packages from the gateway of their network, until Ctrl-C or until the environment is stopped, and prints what they need for that.',
  options: [
    {
      flags: ['--port'],
      name: 'port',
      kind: 'value',
      metavar: 'PORT',
      help: `Port on the gateway. Default: as the init file says, else ${REPO_PORT}.`,
    },
    { flags: ['--dir'], name: 'dir', kind: 'value', metavar: 'DIR', help: 'Serve this directory.' },
  ],
  examples: [
    { line: 'repo serve', does: 'The environment has to run.' },
    { line: 'repo serve --port 8000 --dir dist', does: 'Another directory.' },
  ],
};

const LOG: RepoAction = {
  name: 'log',
  help: 'log shows who fetched what.',
  options: [
    { flags: ['--follow'], name: 'follow', kind: 'flag', help: 'Go on showing what is fetched, until Ctrl-C.' },
    { flags: ['--vm'], name: 'vm', kind: 'value', metavar: 'VM_NAME', help: 'Only what this VM fetched.' },
  ],
  examples: [{ line: 'repo log --follow --vm web', does: 'What a VM fetches.' }],
};

const SYNC: RepoAction = {
  name: 'sync',
  help: 'sync brings the newest packages of the sections that are used into the store (reposync_dir), fetches only what is missing there, removes what is gone, and checks sizes, checksums and, where the file asks for it, signatures. Interrupted, it goes on from there the next time.',
  options: [
    DISTRO,
    SECTION,
    {
      flags: ['--verify'],
      name: 'verify',
      kind: 'flag',
      help: 'sync: compare every package by its checksum, also those that nobody touched.',
    },
  ],
  examples: [{ line: 'repo sync reposync-config.repo', does: 'Synchronises what the environment here uses.' }],
};

const LIST: RepoAction = {
  name: 'list',
  help: 'list shows the repositories in the store, with the environments that use them.',
  options: [],
  examples: [],
};

const CLEAN: RepoAction = {
  name: 'clean',
  help: 'clean removes the named repositories from the store; without a name, all that no environment uses.',
  options: [{ flags: ['--dry-run'], name: 'dry_run', kind: 'flag', help: 'clean: only say what would be removed.' }],
  examples: [{ line: 'repo clean --dry-run', does: 'Shows what no environment uses.' }],
};

/** In the order of the help. */
export const REPO_ACTIONS: readonly RepoAction[] = [EXPLAIN, SYNC, MERGE, SERVE, LIST, LOG, CLEAN];

const POSITIONALS: readonly PositionalSpec[] = [
  {
    name: 'action',
    metavar: 'ACTION',
    arity: 'one',
    choices: REPO_ACTIONS.map((action) => action.name),
    help: 'What to do.',
  },
  {
    name: 'args',
    metavar: 'FILE',
    arity: 'many',
    help: 'Files of package repositories; sources of packages for merge; names of repositories in the store for clean.',
    completes: 'file',
  },
];

export const REPO_VERB: VerbSpec = {
  name: 'repo',
  summary: 'Package repositories for the VMs',
  description: REPO_ACTIONS.map((action) => action.help).join('\n'),
  positionals: POSITIONALS,
  options: [...new Map(REPO_ACTIONS.flatMap((action) => action.options.map((option) => [option.name, option] as const))).values()],
  examples: REPO_ACTIONS.flatMap((action) => action.examples),
};
