import { join } from 'node:path';
import { ADDED_IMAGES } from '../../../src-shared/vm-change.ts';

/** Paths of everything in a prefix, in Lago's layout (`uuid`, `virt/`, `images/`...) with our own files beside it. */
export interface PrefixPaths {
  readonly root: string;
  readonly uuid: string;
  /** Empty marker: its presence makes the folder a prefix. */
  readonly initialized: string;
  readonly metadata: string;
  readonly virt: string;
  readonly env: string;
  readonly images: string;
  readonly scripts: string;
  readonly logs: string;
  readonly log: string;
  /** Ours: phase, host, snapshots. */
  readonly record: string;
  /** Ours: what the files that snapshots froze were like then. */
  readonly frozen: string;
  /** Ours: what happened to it, for the timeline: `events.ts`. */
  readonly events: string;
  /** Ours: libvirt's state and logs of the embedded host. */
  readonly host: string;
  /** Ours: pinned ssh host keys. */
  readonly hostKeys: string;
  /** Ours: NoCloud images. */
  readonly seeds: string;
  /** Ours: images of disks that were added to VMs. One that no definition names is removed. */
  readonly addedImages: string;
  /** Ours: unpacked OVAs, `VM/`; their images back the VMs' disks. */
  readonly ova: string;
  /** Ours: libvirt's description of each snapshot, `SNAPSHOT/VM.xml`. */
  readonly snapshots: string;
  /** Ours: how the last run of each deploy script went. */
  readonly deploy: string;
  /** Ours: held while deploy scripts run. */
  readonly deployLock: string;
  /** Ours: output of deploy scripts, `VM/NUMBER-SCRIPT.log`. */
  readonly deployLogs: string;
  /** Ours: what `lago collect` fetched: a folder per collection, and `NAME.json` about it. */
  readonly collected: string;
  /** Packages for the guests, `DISTRO/`. */
  readonly internalRepo: string;
  /** Ours: who fetched what of them: `src-shared/repo-access.ts`. */
  readonly repoAccess: string;
  /** Ours: what a merge made of which sources. `name`: folder of `internalRepo` that was merged into, null for that itself. */
  mergeRecord(name: string | null): string;
  /** Ours: a process that serves packages; there is one for each. */
  repoServer(id: string): string;
  /** Ours: what the one says that runs as long as the environment. */
  readonly repoServerOutput: string;
  /** Ours: lock for a single writer. */
  readonly lock: string;
  /** Ours: when and how the VM was last started. */
  boot(name: string): string;
  /** Ours: what the DHCP server of a network says, on an embedded host. */
  dhcpLog(net: string): string;
  net(name: string): string;
  vm(name: string): string;
}

const MERGE_RECORD = 'lago-desktop-merged';
const REPO_SERVER = '.lago-desktop-repo-server-';

/** Whether a file of a prefix's folder is a `mergeRecord`. */
export function isMergeRecord(name: string): boolean {
  return name.startsWith(MERGE_RECORD) && name.endsWith('.json');
}

/** Whether a file of a prefix's folder is a `repoServer`. */
export function isRepoServer(name: string): boolean {
  return name.startsWith(REPO_SERVER) && name.endsWith('.json');
}

export function prefixPaths(root: string): PrefixPaths {
  const virt = join(root, 'virt');
  return {
    root,
    uuid: join(root, 'uuid'),
    initialized: join(root, 'initialized'),
    metadata: join(root, 'metadata'),
    virt,
    env: join(virt, 'env'),
    images: join(root, 'images'),
    scripts: join(root, 'scripts'),
    logs: join(root, 'logs'),
    log: join(root, 'logs', 'lago.log'),
    record: join(root, 'lago-desktop.json'),
    frozen: join(root, 'lago-desktop-frozen.json'),
    events: join(root, 'lago-desktop-events.jsonl'),
    host: join(root, 'host'),
    hostKeys: join(root, 'known-hosts.json'),
    seeds: join(root, 'cloud-init'),
    addedImages: join(root, ADDED_IMAGES),
    ova: join(root, 'ova'),
    snapshots: join(root, 'snapshots'),
    deploy: join(root, 'lago-desktop-deploy.json'),
    deployLock: join(root, '.lago-desktop-deploy.lock'),
    deployLogs: join(root, 'logs', 'deploy'),
    collected: join(root, 'collected'),
    internalRepo: join(root, 'internal_repo'),
    repoAccess: join(root, 'logs', 'repo-access.jsonl'),
    mergeRecord: (name) => join(root, `${MERGE_RECORD}${name === null ? '' : `-${name}`}.json`),
    repoServer: (id) => join(root, `${REPO_SERVER}${id}.json`),
    repoServerOutput: join(root, 'logs', 'repo-server.log'),
    lock: join(root, '.lago-desktop.lock'),
    boot: (name) => join(root, 'boot', `${name}.json`),
    dhcpLog: (net) => join(root, 'logs', `${net}.dhcp`),
    net: (name) => join(virt, `net-${name}`),
    vm: (name) => join(virt, `vm-${name}`),
  };
}

const PREFIX_VARIABLE = '$LAGO_PREFIX_PATH';

/** Expands a path that a spec stores relative to its prefix, so that a prefix can be moved. */
export function expandPrefixPath(path: string, prefix: string): string {
  return path.startsWith(PREFIX_VARIABLE) ? prefix + path.slice(PREFIX_VARIABLE.length) : path;
}
