import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** The files of an environment's snapshots, as they are on the disk. */

interface Disk {
  readonly path: string;
}

interface Vm {
  readonly name: string;
  readonly disks: readonly Disk[];
  readonly snapshots: { readonly [name: string]: readonly Disk[] };
}

interface Snapshot {
  readonly name: string;
  readonly vms: Readonly<Record<string, 'memory' | 'disk'>>;
}

interface Recorded {
  readonly snapshots: readonly Snapshot[];
  readonly pending: unknown;
}

/** Folders and files of an environment; what is in `host` and `logs` is the business of libvirt. */
const OWN = [
  /^(uuid|initialized|metadata|id_(rsa|ed25519)(\.pub)?|known-hosts\.json(\.lock)?|lago-desktop(-deploy|-frozen)?\.json|lago-desktop-events\.jsonl)$/,
  /^\.lago-desktop(-deploy)?\.lock$/,
  /^(virt|boot|host|logs|scripts|cloud-init|ova|images|collected|snapshots)$/,
  /^virt\/(env|vm-[^/.]+|net-[^/.]+)$/,
  /^boot\/[^/.]+\.json$/,
  // What snapshots and images have is looked at more closely below.
  /^(scripts|cloud-init|ova|images|collected|snapshots)\/.*(?<!\.tmp)$/,
];
const IN_SNAPSHOT = /^(known-hosts\.json|origin\.json|layers\.json|changes(\/.*)?)$/;

export interface Strictness {
  /**
   * Layers that are needed no more than by the one on them have to be merged (the default). They are not yet where another environment had
   * them too, and was destroyed.
   */
  readonly merged?: boolean;
}

/**
 * What is wrong with the files of an environment in which nothing is under way: of its snapshots, its disks and the layers of these, each of
 * which has to be sound, named or needed by what is named; and files that do not belong there.
 */
export function wrongFiles(root: string, { merged = true }: Strictness = {}): readonly string[] {
  const { snapshots, pending } = JSON.parse(readFileSync(join(root, 'lago-desktop.json'), 'utf8')) as Recorded;
  const virt = join(root, 'virt');
  const vms = readdirSync(virt)
    .filter((name) => /^vm-[^.]+$/.test(name))
    .map((name) => JSON.parse(readFileSync(join(virt, name), 'utf8')) as Vm);
  const names = snapshots.map(({ name }) => name).sort();
  return [
    ...(pending === null ? [] : [`unfinished: ${JSON.stringify(pending)}`]),
    ...foreignFiles(root),
    ...vms.flatMap((vm) => differ(`snapshots in the definition of ${vm.name}`, Object.keys(vm.snapshots).sort(), names)),
    ...differ('folders of snapshots', namesIn(join(root, 'snapshots')), names),
    ...snapshots.flatMap((snapshot) => wrongParts(root, snapshot)),
    ...wrongLayers(root, vms, merged),
  ];
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}

function differ(what: string, seen: readonly string[], wanted: readonly string[]): readonly string[] {
  return seen.join() === wanted.join() ? [] : [`${what}: ${seen.join()} instead of ${wanted.join()}`];
}

function foreignFiles(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => !/^(host|logs)\//.test(name) && !OWN.some((known) => known.test(name)))
    .map((name) => `foreign: ${name}`);
}

/** The files of one snapshot beside the disks' layers. */
function wrongParts(root: string, { name, vms }: Snapshot): readonly string[] {
  const there = namesIn(join(root, 'snapshots', name)).filter((file) => !IN_SNAPSHOT.test(file));
  const wanted = Object.entries(vms).flatMap(([vm, kind]) => [
    `${vm}.json`,
    ...(kind === 'memory' ? [`${vm}.memory`, `${vm}.domain.xml`] : []),
  ]);
  return differ(`files of snapshot ${name}`, there, wanted.sort());
}

function wrongLayers(root: string, vms: readonly Vm[], merged: boolean): readonly string[] {
  const images = join(root, 'images');
  const all = readdirSync(images, { withFileTypes: true }).flatMap((one) => (one.isFile() ? [join(images, one.name)] : []));
  const below = new Map(all.map((path) => [path, fileBelow(path)]));
  const above = (path: string): readonly string[] => all.filter((one) => below.get(one) === path);
  const at = ({ path }: Disk): string => path.replace('$LAGO_PREFIX_PATH', root);
  const tops = new Set(vms.flatMap(({ disks }) => disks.map(at)));
  const named = new Set([...tops, ...vms.flatMap(({ snapshots }) => Object.values(snapshots).flat().map(at))]);
  const isShared = (path: string): boolean => statSync(path).nlink > 1;
  /** Nothing is on it; or it could be merged with the one layer that is, since no other environment has either. */
  const isNeedless = (path: string): boolean => {
    const [layer, ...more] = above(path);
    if (named.has(path)) return false;
    return layer === undefined || (merged && more.length === 0 && !isShared(path) && !isShared(layer));
  };
  return [
    ...[...named].filter((path) => !existsSync(path)).map((path) => `${path} is missing`),
    ...all.flatMap((path) => {
      const lower = below.get(path);
      return lower === undefined || existsSync(lower) ? [] : [`${lower}, below ${path}, is missing`];
    }),
    ...all.filter(isNeedless).map((path) => `${path} is not needed`),
    ...all.flatMap((path) => unsound(path, tops.has(path))),
  ];
}

function fileBelow(path: string): string | undefined {
  if (!path.endsWith('.qcow2')) return undefined;
  const { status, stdout, stderr } = spawnSync('qemu-img', ['info', '-U', '--output=json', path], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`qemu-img info ${path}: ${stderr}`);
  const name = (JSON.parse(stdout) as { readonly 'backing-filename'?: string })['backing-filename'];
  return name === undefined ? undefined : resolve(dirname(path), name);
}

/** QEMU keeps the tables of a layer that it writes to in its own memory; so that one can be checked only when the VM is off. */
function unsound(path: string, mayBeInUse: boolean): readonly string[] {
  if (!path.endsWith('.qcow2')) return [];
  const { status, stdout, stderr } = spawnSync('qemu-img', ['check', ...(mayBeInUse ? [] : ['-U']), path], { encoding: 'utf8' });
  if (status === 0 || (mayBeInUse && /Failed to get .* lock/.test(stderr))) return [];
  return [`${path} is not sound: ${(stdout + stderr).trim().slice(0, 500)}`];
}
