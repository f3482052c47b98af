import type { implement } from '@orpc/server';
import type { CollectedFile, Collection, TextDiff } from '../../src-shared/collection.ts';
import type { Contract } from '../../src-shared/contract.ts';
import { SHOP } from './demo-values.ts';

const DAY = 86_400_000;
const START = Date.now();

function made(id: string, at: number, why: Collection['why']): Collection {
  const artifact = (path: string, size: number): Collection['vms'][number]['artifacts'][number] => ({
    path,
    name: path.replaceAll('/', '_'),
    size,
    problem: null,
    missing: false,
  });
  const missing = { path: '/var/log/audit', name: null, size: 0, problem: 'There is nothing at /var/log/audit.', missing: true };
  return {
    version: 1,
    id,
    at,
    why,
    folder: `${SHOP.path}/collected/${id}`,
    finished: true,
    vms: [
      { name: 'web', by: 'ssh', problem: null, artifacts: [artifact('/var/log', 3 * 1024 ** 2), missing] },
      { name: 'db', by: 'disk', problem: null, artifacts: [artifact('/var/log', 1024 ** 2)] },
    ],
  };
}

const FOLDERS: Readonly<Record<string, readonly string[]>> = { '': ['db/', 'web/'], web: ['_var_log/'], db: ['_var_log/'] };
const LOG = [
  '\u001b[32mINFO\u001b[0m  starting 3 workers',
  '\u001b[33mWARN\u001b[0m  worker 2 answers slowly',
  '\u001b[1;31mERROR\u001b[0m could not connect to db: connection refused',
].join('\n');
/** About 800 KB, so that it has several parts. */
const LARGE = Array.from({ length: 20_000 }, (_, line) => `line ${line}: nothing of interest happened`).join('\n');
const FILES: Readonly<Record<string, string>> = { 'app.log': LOG, 'messages.log': LARGE };

function fileOf(name: string): CollectedFile {
  const folder = name.endsWith('/');
  return {
    name: name.replace('/', ''),
    type: folder ? 'folder' : 'file',
    size: folder ? 0 : (FILES[name]?.length ?? 0),
    modifiedAt: START - 3_600_000,
    target: null,
  };
}

const DIFF: TextDiff = {
  problem: null,
  added: 2,
  removed: 1,
  lines: [
    { kind: 'gap', before: null, after: null, text: '' },
    { kind: 'same', before: 118, after: 118, text: 'INFO  starting 3 workers' },
    { kind: 'removed', before: 119, after: null, text: 'WARN  worker 2 answers slowly' },
    { kind: 'added', before: null, after: 119, text: 'WARN  worker 2 does not answer' },
    { kind: 'added', before: null, after: 120, text: 'ERROR could not connect to db: connection refused' },
    { kind: 'same', before: 120, after: 121, text: 'INFO  stopping' },
  ],
};

/** Two collections of the running environment, with folders and logs. `save` begins an operation with this label. */
export function collectionHandlers(
  os: ReturnType<typeof implement<Contract>>['collection'],
  save: (label: string) => { readonly operation: string },
) {
  let collections = [made('second', START - 3_600_000, 'deploy failed'), made('first', START - DAY, 'manual')];
  return {
    list: os.list.handler(({ input }) => ({ collections: input.prefix === SHOP.id ? collections : [] })),
    files: os.files.handler(({ input }) => ({ files: (FOLDERS[input.path] ?? Object.keys(FILES)).map(fileOf) })),
    read: os.read.handler(({ input }) => {
      const text = FILES[input.path.split('/').at(-1) ?? ''] ?? '';
      return { size: text.length, bytes: btoa(text.slice(input.from, input.from + input.length)) };
    }),
    compare: os.compare.handler(() => ({
      changes: [
        { path: 'web/_var_log/app.log', change: 'changed' as const, before: 120, after: LOG.length },
        { path: 'web/_var_log/core.1234', change: 'added' as const, before: null, after: 2_000_000 },
      ],
    })),
    diff: os.diff.handler(() => DIFF),
    save: os.save.handler(({ input }) => save(`Save ${input.path} to ${input.destination}`)),
    show: os.show.handler(() => ({})),
    remove: os.remove.handler(({ input }) => {
      collections = collections.filter(({ id }) => id !== input.collection);
      return {};
    }),
  };
}
