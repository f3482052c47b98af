import type { implement } from '@orpc/server';
import type { Contract, LiveEvent } from '../../src-shared/contract.ts';
import type { OperationKind } from '../../src-shared/operation.ts';
import type { NamedPackages } from '../../src-shared/repos/last-sync.ts';
import type { RepoExplanation } from '../../src-shared/repos/package-repos.ts';
import { type RepoStoreState, type StoredRepoState, syncStepLabel } from '../../src-shared/repos/repo-store-state.ts';
import { OVIRT, SHOP } from './demo-values.ts';

/** What the demo engine does for the handlers. */
interface Demo {
  /** `empty`: without repositories; `repos-N`: with so many. */
  readonly scenario: string;
  emit(event: LiveEvent): void;
  /** Plays these steps, then calls `done`, or `stopped` when it is cancelled. */
  run(
    kind: OperationKind,
    label: string,
    steps: readonly string[],
    seconds: number,
    done: () => void,
    stopped: () => void,
  ): { operation: string };
}

const MIB = 1024 ** 2;
const HOUR = 3_600_000;
const STORE = '/var/lib/lago/reposync';
const FILE = '/home/eva/work/ovirt/reposync-config.repo';

function repo(id: string, change: Partial<StoredRepoState> = {}): StoredRepoState {
  const at = Date.now() - 2 * HOUR;
  return {
    name: id,
    id,
    path: `${STORE}/${id}`,
    kind: 'rpm',
    distro: id.slice(id.lastIndexOf('-') + 1),
    source: `https://repo.example/${id.replace('-', '/')}/`,
    packages: 1834,
    size: 2417 * MIB,
    syncedAt: at,
    origin: { file: FILE, section: id, missing: false },
    last: { at, outcome: 'complete', fetched: { packages: 12, bytes: 46 * MIB }, error: null, problems: 0 },
    interrupted: false,
    change: { at, added: 12, removed: 3, bytes: 46 * MIB },
    usedBy: [{ name: OVIRT.name, path: OVIRT.path }],
    operation: null,
    elsewhere: null,
    ...change,
  };
}

function initialRepos(scenario: string): readonly StoredRepoState[] {
  if (scenario === 'empty') return [];
  const many = /^repos-(\d+)$/.exec(scenario);
  if (many !== null) return Array.from({ length: Number(many[1]) }, (_, index) => repo(`base${index}-el9`));
  const at = Date.now() - 26 * HOUR;
  const none = { packages: 0, bytes: 0 };
  return [
    repo('base-el7', {
      packages: 9911,
      size: 8714 * MIB,
      last: { at, outcome: 'complete', fetched: none, error: null, problems: 0 },
      syncedAt: at,
      change: { at: at - 90 * 24 * HOUR, added: 9911, removed: 0, bytes: 8714 * MIB },
    }),
    repo('deb.example_debian_bookworm-debian12', {
      kind: 'deb',
      source: 'http://deb.example/debian',
      origin: { file: '/home/eva/work/shop/local.sources', section: 'deb.example_debian_bookworm-debian12', missing: true },
      packages: 212,
      size: 318 * MIB,
      usedBy: [{ name: SHOP.name, path: SHOP.path }],
    }),
    repo('ovirt-4.5-el9'),
    repo('ovirt-master-el9', {
      last: {
        at,
        outcome: 'failed',
        fetched: none,
        error: {
          message: 'https://repo.example/ovirt/master-el9/repodata/repomd.xml cannot be fetched: the server answers with status 503.',
          hint: 'Check the network connection and the proxy settings, then try again: what was fetched is kept.',
        },
        problems: 0,
      },
    }),
    repo('updates-fc41', {
      usedBy: [],
      packages: 4120,
      size: 5230 * MIB,
      last: { at, outcome: 'incomplete', fetched: { packages: 310, bytes: 512 * MIB }, error: null, problems: 2 },
    }),
  ];
}

/** Of a file that no environment names. */
export const EXPLANATION: RepoExplanation = {
  sections: [
    {
      id: 'ovirt-master-el9',
      used: true,
      distro: 'el9',
      reason: 'Its id ends in “-el9”, which is a distribution of the VMs.',
      baseurl: ['https://repo.example/ovirt/el9/'],
      excludes: ['*-debuginfo'],
    },
    {
      id: 'base-fc41',
      used: false,
      distro: 'fc41',
      reason: 'Its id ends in “-fc41”, but the distribution of the VMs is el9.',
      baseurl: ['https://mirror.example/fedora/41/x86_64/os/'],
      excludes: [],
    },
    {
      id: 'ci-tools',
      used: false,
      distro: 'tools',
      reason: 'Its id ends in “-tools”, but the distribution of the VMs is el9.',
      baseurl: ['https://repo.example/ci-tools/'],
      excludes: [],
    },
  ],
  issues: [
    {
      file: FILE,
      line: 3,
      column: 1,
      path: 'main.reposdir',
      severity: 'info',
      message: '"reposdir" has no effect here.',
    },
  ],
};

/** The store of package repositories of the demo. */
export class DemoRepos {
  readonly #demo: Demo;
  #repos: readonly StoredRepoState[];

  constructor(demo: Demo) {
    this.#demo = demo;
    this.#repos = initialRepos(demo.scenario);
  }

  get state(): RepoStoreState {
    const sum = (repos: readonly StoredRepoState[]): number => repos.reduce((bytes, { size }) => bytes + size, 0);
    const unused = this.#repos.filter(({ usedBy }) => usedBy.length === 0);
    return { store: STORE, problem: null, size: sum(this.#repos), unused: sum(unused), repos: [...this.#repos] };
  }

  #set(repos: readonly StoredRepoState[]): void {
    this.#repos = repos;
    this.#demo.emit({ type: 'repos', repos: this.state });
  }

  #change(names: readonly string[], change: (repo: StoredRepoState) => StoredRepoState): void {
    this.#set(this.#repos.map((one) => (names.includes(one.name) ? change(one) : one)));
  }

  #sync(names: readonly string[]): { operation: string } {
    const idle = (): void => this.#change(names, (one) => ({ ...one, operation: null }));
    const done = (): void => {
      const at = Date.now();
      const fetched = { packages: 4, bytes: 9 * MIB };
      this.#change(names, (one) => ({
        ...one,
        operation: null,
        syncedAt: at,
        last: { at, outcome: 'complete', fetched, error: null, problems: 0 },
        change: { at, added: 4, removed: 1, bytes: fetched.bytes },
      }));
    };
    const label = names.length === 1 ? `Synchronise ${names[0]}` : `Synchronise ${names.length} package repositories`;
    const steps = this.#repos.filter(({ name }) => names.includes(name)).map(({ id }) => syncStepLabel(id));
    const started = this.#demo.run('sync', label, steps, 8 * steps.length, done, idle);
    this.#change(names, (one) => ({ ...one, operation: started.operation }));
    return started;
  }

  handlers(os: ReturnType<typeof implement<Contract>>['repos']) {
    const all = (): readonly string[] => this.#repos.map(({ name }) => name);
    const named = (count: number, names: readonly string[]): NamedPackages => ({ count, names: names.slice(0, count) });
    return {
      sync: os.sync.handler(({ input: { sections = [] } }) => {
        const added = sections.filter((id) => !all().includes(id));
        this.#set([...this.#repos, ...added.map((id) => repo(id, { syncedAt: null, last: null, change: null, packages: 0, size: 0 }))]);
        return this.#sync(sections);
      }),
      syncStored: os.syncStored.handler(({ input }) => this.#sync(input.names.length === 0 ? all() : input.names)),
      unused: os.unused.handler(() => ({
        repos: this.#repos.filter(({ usedBy }) => usedBy.length === 0).map(({ name, size }) => ({ name, size })),
      })),
      remove: os.remove.handler(({ input: { names } }) => {
        const gone = (): void => this.#set(this.#repos.filter(({ name }) => !names.includes(name)));
        return this.#demo.run('evict', `Remove ${names.length} from the store`, ['Remove'], 1, gone, () => undefined);
      }),
      changes: os.changes.handler(({ input }) => {
        const { last = null, change = null } = this.#repos.find(({ name }) => name === input.name) ?? {};
        const reasons = [
          'kernel-6.11.4-301.fc41.x86_64: the server answers with status 403.',
          'zlib-2.1-1.fc41.x86_64: its checksum is wrong.',
        ];
        return {
          ended:
            last === null
              ? null
              : {
                  ...last,
                  error: null,
                  problems: { count: last.problems, first: reasons.slice(0, last.problems) },
                },
          change:
            change === null
              ? null
              : {
                  at: change.at,
                  added: named(
                    change.added,
                    Array.from({ length: 200 }, (_, index) => `ovirt-engine-part${index}-4.5.${index}-1.el9.noarch`),
                  ),
                  removed: named(change.removed, [
                    'ovirt-engine-4.5.5-1.el9.noarch',
                    'vdsm-4.50.4-1.el9.x86_64',
                    'otopi-1.10.3-1.el9.noarch',
                  ]),
                  fetched: { packages: change.added, bytes: change.bytes },
                },
        };
      }),
      show: os.show.handler(() => ({})),
    };
  }
}
