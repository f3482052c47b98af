import type { SnapshotState, TimelineEvent } from '../../src-shared/snapshot/timeline.ts';
import type { PrefixState } from '../../src-shared/state.ts';

const MINUTE = 60_000;
const MIB = 1024 ** 2;

/** What every point of a timeline has that nobody touched. */
export const PLAIN_POINT = {
  missing: [],
  kind: 'layers',
  note: '',
  tags: [],
  pinned: false,
  automatic: false,
  measured: null,
  sizes: {},
} satisfies Partial<SnapshotState>;

const ALL = { web: 'memory', db: 'memory', app: 'memory' } as const;
const OFF = { web: 'disk', db: 'disk', app: 'disk' } as const;

/** A point of the demo, with sizes and measures that vary with `seed`. */
function point(
  now: number,
  name: string,
  minutes: number,
  parent: string | null,
  change: Partial<SnapshotState> & { readonly seed?: number } = {},
): SnapshotState {
  const { seed = 3, ...rest } = change;
  const vms: SnapshotState['vms'] = rest.vms ?? ALL;
  const live = Object.keys(vms).filter((vm) => vms[vm] === 'memory');
  const memoryOf = (vm: string): number => (vms[vm] === 'memory' ? (60 + ((seed * 37 + vm.length * 53) % 190)) * MIB : 0);
  return {
    ...PLAIN_POINT,
    name,
    createdAt: now - minutes * MINUTE,
    parent,
    vms,
    current: false,
    sizes: Object.fromEntries(
      Object.keys(vms).map((vm) => [vm, { disk: (4 + ((seed * 61 + vm.length * 29) % 160)) * MIB, memory: memoryOf(vm) }]),
    ),
    measured: {
      mechanism: live.length === 0 ? null : 'background',
      stillMs: Object.fromEntries(live.map((vm, index) => [vm, 24 + ((seed * 7 + index * 11) % 40)])),
      skewMs: 3,
      memory: Object.fromEntries(live.map((vm) => [vm, memoryOf(vm)])),
      durationMs: 640 + ((seed * 113) % 900),
    },
    ...rest,
  };
}

/** The history of the demo's environment: three branches. */
export function demoPoints(now: number): SnapshotState[] {
  return [
    point(now, 'fresh', 3 * 1440 + 190, null, { vms: OFF, seed: 1, pinned: true, tags: ['base'] }),
    point(now, 'installed', 150, 'fresh', { seed: 9, note: 'All packages, nothing configured yet.' }),
    point(now, 'try-mariadb', 120, 'installed', { seed: 4 }),
    point(now, 'mariadb-tuned', 95, 'try-mariadb', { vms: { web: 'memory', db: 'memory', app: 'disk' }, seed: 12, missing: ['app'] }),
    point(now, 'postgres', 60, 'installed', { seed: 7, tags: ['release', 'tested'] }),
    point(now, 'before-revert', 35, 'postgres', { seed: 2, automatic: true }),
    point(now, 'before-upgrade', 12, 'postgres', { seed: 15, current: true }),
  ];
}

/** An environment to which virsh and qemu-img have done something: one VM writes to another file, and a snapshot is not what it was. */
export function changedByOthers(source: PrefixState): PrefixState {
  const problem =
    'Another program has put disk vda on /w/images/web.outside instead of /w/images/web.qcow2. The next command of Lago goes on from there.';
  return {
    ...source,
    vms: source.vms.map((vm, index) => (index === 0 ? { ...vm, problem } : vm)),
    snapshots: source.snapshots.map((one) => (one.name === 'postgres' ? { ...one, changed: ['db'] } : one)),
  };
}

/** What else happened in the demo's environment. */
export function demoEvents(now: number): TimelineEvent[] {
  const event = (minutes: number, kind: TimelineEvent['kind'], label: string): TimelineEvent => ({
    at: now - minutes * MINUTE,
    kind,
    label,
  });
  return [
    event(3 * 1440 + 240, 'start', 'Start shop-cluster'),
    event(3 * 1440 + 200, 'stop', 'Stop shop-cluster'),
    event(170, 'start', 'Start shop-cluster'),
    event(166, 'deploy', 'Deploy web, db'),
    event(100, 'collect', 'Collect artifacts of shop-cluster'),
    event(62, 'revert', 'Revert shop-cluster to “installed”'),
    event(36, 'failure', 'Deploy app failed: setup_app.sh ended with 3'),
    event(34, 'revert', 'Revert shop-cluster to “postgres”'),
    event(8, 'deploy', 'Deploy web'),
    event(7.6, 'deploy', 'Deploy db'),
  ];
}

/** Environments that go on from a snapshot of this one, or from its present. */
export function demoForks(source: PrefixState, name: string, snapshot: string | undefined, count: number | undefined): PrefixState[] {
  const names = count === undefined ? [name] : Array.from({ length: count }, (_, index) => `${name}-${index + 1}`);
  return names.map((made) => ({
    ...source,
    id: crypto.randomUUID().replaceAll('-', ''),
    name: made,
    path: `${source.workdir}/${made}`,
    events: [],
    forkedFrom: { id: source.id, at: Date.now(), snapshot: snapshot ?? null },
    snapshots: source.snapshots.filter((one) => one.name === snapshot).map((one) => ({ ...one, parent: null, current: true })),
  }));
}

/** A long history with branches, as a scheduler would make it: a point every half an hour while somebody works. */
export function manyPoints(now: number, number: number): SnapshotState[] {
  let parent: string | null = null;
  let minutes = number * 90;
  return Array.from({ length: number }, (_, index): SnapshotState => {
    const begin: string | null = index % 23 === 22 ? `auto-${index - 9}` : parent;
    minutes -= index % 16 === 15 ? 14 * 60 : 12 + ((index * 17) % 40);
    const named = index % 12 === 5;
    const name: string = named ? `milestone-${index}` : `auto-${index}`;
    const made = point(now, name, Math.max(number - index, minutes), index % 23 === 22 && (index - 9) % 12 !== 5 ? begin : parent, {
      seed: index,
      automatic: !named,
      pinned: index % 36 === 5,
      ...(index % 31 === 30 ? { vms: OFF } : {}),
      current: index === number - 1,
    });
    parent = name;
    return made;
  });
}
