import { type implement, ORPCError } from '@orpc/server';
import type { Contract } from '../../src-shared/contract.ts';
import type { MergedPackages, MergedRepo } from '../../src-shared/repos/merged-packages.ts';
import type { RepoExplanation } from '../../src-shared/repos/package-repos.ts';
import type { PackagesState } from '../../src-shared/repos/packages-state.ts';
import type { RepoAccess } from '../../src-shared/repos/repo-access.ts';
import { EXPLANATION } from './demo-repos.ts';
import { SHOP } from './demo-values.ts';

const MINUTE = 60_000;
const START = Date.now();
const URL_ = 'http://192.168.200.1:8585/';
const BUILD = '/home/eva/work/shop/exported-artifacts';
const STORE = '/var/lib/lago/reposync/shop-base-el9';
const KIB = 1024;

/** Merged, not served yet. */
export const DEMO_PACKAGES: PackagesState = { mergedAt: START - 6 * MINUTE, served: [] };

function repo(distro: string, at: number): MergedRepo {
  const own = ['shop-api', 'shop-web', 'shop-worker', 'shop-migrations', 'shop-common'].map((name) => ({
    ...{ name, version: `2.14.0-0.${distro}`, arch: name === 'shop-common' ? 'noarch' : 'x86_64', size: (300 + name.length * 97) * KIB },
    source: BUILD,
  }));
  const base = Array.from({ length: 640 }, (_, index) => ({
    name: `python3-${['requests', 'sqlalchemy', 'urllib3', 'idna', 'attrs', 'jinja2', 'redis', 'click'][index % 8]}${index < 8 ? '' : `-extra${Math.floor(index / 8)}`}`,
    ...{
      version: `${1 + (index % 4)}.${index % 10}.${index % 7}-${1 + (index % 3)}.${distro}`,
      arch: index % 5 === 0 ? 'x86_64' : 'noarch',
    },
    ...{ size: (40 + ((index * 37) % 900)) * KIB, source: `${STORE}:only-missing` },
  }));
  return { folder: distro, distro, at, packages: [...base, ...own].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

function client(distro: string): MergedPackages['clients'][number] {
  const lines = ['[lago-packages]', 'name=Packages of this environment', `baseurl=${URL_}${distro}`, 'enabled=1', 'gpgcheck=0', 'cost=1'];
  return { distro, kind: 'rpm', path: '/etc/yum.repos.d/lago-packages.repo', content: `${lines.join('\n')}\n` };
}

const NONE: MergedPackages = { reports: [], repos: [], declared: null, url: URL_, problem: null, clients: [] };

function merged(sources: readonly string[], at: number): MergedPackages {
  const distros = [repo('el9', at), repo('fc41', at)];
  return {
    reports: [
      {
        ...{ name: null, at, older: 12, known: 143 },
        sources: [...sources.map((text) => ({ text, synced: false })), { text: `${STORE}:only-missing`, synced: true }],
        conflicts: [
          {
            name: 'shop-common-2.14.0-0.el9.noarch',
            kept: `${BUILD}/shop-common-2.14.0-0.el9.noarch.rpm`,
            leftOut: '/home/eva/old/shop-common-2.14.0-0.el9.noarch.rpm',
          },
        ],
        problems: [`3 for el8 left out: el9, fc41 are wanted.`],
      },
    ],
    repos: distros,
    declared: { files: ['/home/eva/work/shop/reposync-config.repo'], sources: [BUILD], serve: false, client: 'auto' },
    ...{ url: URL_, problem: null, clients: ['el9', 'fc41'].map(client) },
  };
}

const EXPLAINED: RepoExplanation = {
  sections: [
    {
      ...{ id: 'shop-base-el9', used: true, distro: 'el9', reason: 'Its id ends in “-el9”, which is a distribution of the VMs.' },
      ...{ baseurl: ['https://repo.example.org/shop/el9/'], excludes: ['*-debuginfo'] },
    },
    {
      ...{
        id: 'ovirt-4.5-el8',
        used: false,
        distro: 'el8',
        reason: 'Its id ends in “-el8”, but the distributions of the VMs are el9, fc41.',
      },
      ...{ baseurl: ['https://repo.example.org/ovirt/el8/'], excludes: [] },
    },
    {
      ...{ id: 'updates-fc41', used: true, distro: 'fc41', reason: 'Its id ends in “-fc41”, which is a distribution of the VMs.' },
      ...{ baseurl: ['https://mirror.example.org/fedora/41/x86_64/updates/'], excludes: [] },
    },
  ],
  issues: [],
};

const FILES: readonly (readonly [path: string, status: number, bytes: number])[] = [
  ['repodata/repomd.xml', 200, 3062],
  ['repodata/0f3c-primary.xml.gz', 200, 81_204],
  ['repodata/updateinfo.xml.gz', 404, 29],
  ['x86_64/shop-api-2.14.0-0.el9.x86_64.rpm', 200, 1_083_392],
  ['repodata/repomd.xml', 304, 0],
  ['x86_64/shop-web-2.14.0-0.el9.x86_64.rpm', 206, 524_288],
  ['noarch/shop-common-2.14.0-0.el9.noarch.rpm', 200, 402_118],
];

function access(at: number, time: number): RepoAccess {
  const [path, status, bytes] =
    at % 97 === 96 ? (['x86_64/shop-worker-2.14.0-0.el9.x86_64.rpm', 500, 26] as const) : (FILES[at % 7] ?? ['', 200, 0]);
  const isWeb = at % 3 !== 0;
  return {
    time: new Date(time).toISOString(),
    client: isWeb ? '192.168.200.2' : '192.168.200.3',
    vm: at % 41 === 40 ? null : isWeb ? 'web' : 'db',
    method: 'GET',
    path: `/el9/${path}`,
    ...{ status, bytes },
    range: status === 206 ? 'bytes=524288-' : null,
    milliseconds: 0.4 + ((at * 13) % 50) / 3,
  };
}

/** Packages of the running environment. `run` plays a merge, then calls `done`. */
export function packageHandlers(
  os: ReturnType<typeof implement<Contract>>['repos'],
  engine: {
    readonly setPackages: (prefix: string, packages: PackagesState) => void;
    readonly run: (prefix: string, done: () => void) => { readonly operation: string };
  },
) {
  const known = new Map<string, MergedPackages>([[SHOP.id, merged([BUILD], START - 6 * MINUTE)]]);
  const states = new Map<string, PackagesState>([[SHOP.id, DEMO_PACKAGES]]);
  const change = (id: string, part: Partial<PackagesState>): void => {
    const next = { ...(states.get(id) ?? { mergedAt: null, served: [] }), ...part };
    states.set(id, next);
    engine.setPackages(id, next);
  };
  return {
    explain: os.explain.handler(({ input }) => (input.prefix === undefined ? EXPLANATION : EXPLAINED)),
    merged: os.merged.handler(({ input }) => known.get(input.prefix) ?? NONE),
    merge: os.merge.handler(({ input }) =>
      engine.run(input.prefix, () => {
        known.set(input.prefix, merged(input.sources, Date.now()));
        change(input.prefix, { mergedAt: Date.now() });
      }),
    ),
    serve: os.serve.handler(({ input }) => {
      if (input.prefix !== SHOP.id) {
        throw new ORPCError('CONFLICT', {
          data: {
            ...{ code: 'conflict.locked', hint: 'Choose another one with --port.' },
            ...{ message: 'Port 8585 of 192.168.203.1 is in use: perhaps these packages are being served already.', details: {} },
          },
        });
      }
      change(input.prefix, { served: [{ url: URL_, folder: `${SHOP.path}/internal_repo`, by: 'window' }] });
      return { url: URL_ };
    }),
    stopServing: os.stopServing.handler(({ input }) => {
      change(input.prefix, { served: [] });
      return {};
    }),
    accesses: os.accesses.handler(async function* ({ input, signal }) {
      if (input.prefix !== SHOP.id) return;
      const kept = 4000;
      yield Array.from({ length: kept }, (_, at) => access(at, START - (kept - at) * 700));
      for (let at = kept; signal?.aborted !== true; at++) {
        await new Promise((resolve) => setTimeout(resolve, 2000));
        if (states.get(input.prefix)?.served.length === 1) yield [access(at, Date.now())];
      }
    }),
  };
}
