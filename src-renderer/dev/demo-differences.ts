import type { implement } from '@orpc/server';
import type { TextDiff } from '../../src-shared/collection.ts';
import type { Contract } from '../../src-shared/contract.ts';
import type { FileChange } from '../../src-shared/snapshot/changes.ts';

const KIB = 1024;

function file(path: string, change: FileChange['change'], before: number | null, after: number | null): FileChange {
  return { path, change, type: 'file', aspects: change === 'changed' ? ['content'] : [], sizeBefore: before, sizeAfter: after };
}

const FILES: FileChange[] = [
  file('/etc/nginx/nginx.conf', 'changed', 1482, 1510),
  file('/etc/nginx/sites-enabled/shop.conf', 'added', null, 812),
  { path: '/etc/nginx/sites-enabled/default', change: 'removed', type: 'link', aspects: [], sizeBefore: null, sizeAfter: null },
  { ...file('/srv/shop/run.sh', 'changed', 96, 96), aspects: ['permissions'] },
  ...Array.from({ length: 60 }, (_, index) =>
    file(`/srv/shop/images/${String(index + 1).padStart(3, '0')}.webp`, 'added', null, (index + 3) * KIB),
  ),
  file('/var/lib/dpkg/status', 'changed', 412 * KIB, 419 * KIB),
  file('/var/log/nginx/access.log', 'changed', 3 * KIB, 48 * KIB),
];
const PACKAGES = [
  { name: 'libssl3', before: '3.0.11-1', after: '3.0.15-1' },
  { name: 'nginx', before: null, after: '1.22.1-9' },
  { name: 'telnet', before: '0.17-44', after: null },
];
const DIFF: TextDiff = {
  problem: null,
  added: 1,
  removed: 1,
  lines: [
    { kind: 'gap', before: null, after: null, text: '' },
    { kind: 'same', before: 11, after: 11, text: 'http {' },
    { kind: 'removed', before: 12, after: null, text: '  keepalive_timeout 65;' },
    { kind: 'added', before: null, after: 12, text: '  keepalive_timeout 65 60;' },
    { kind: 'same', before: 13, after: 13, text: '  gzip on;' },
  ],
};

/** The calls that compare two points of a VM. `compare` begins the operation. */
export function differenceHandlers(
  os: ReturnType<typeof implement<Contract>>['snapshot'],
  compare: (vm: string, prefix: string) => { readonly operation: string },
) {
  return {
    compare: os.compare.handler(({ input: { prefix, vm } }) => compare(vm, prefix)),
    changes: os.changes.handler(({ input: { vm, from, to } }) => ({
      changes: {
        vm,
        from,
        to,
        readAt: Date.now(),
        files: FILES,
        counts: { added: 61, removed: 1, changed: 4 },
        truncated: false,
        packages: PACKAGES,
        notes: to === null ? [`${vm} was running: what it wrote while its disk was read may be missing.`] : [],
      },
    })),
    changedText: os.changedText.handler(() => DIFF),
  };
}
