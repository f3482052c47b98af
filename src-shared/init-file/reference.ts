import { z } from 'zod';
import {
  DiskDefinition,
  DomainDefinition,
  InitFileSchema,
  NetDefinition,
  NicDefinition,
  ReposDefinition,
  SnapshotKeepDefinition,
} from './schema.ts';

/** The JSON Schema (2020-12) of an init file, for editors. */
export function initFileJsonSchema(): Record<string, unknown> {
  const schema: Record<string, unknown> = z.toJSONSchema(InitFileSchema, { io: 'input', unrepresentable: 'any', reused: 'ref' });
  return { title: 'Lago init file', ...schema };
}

const SECTIONS: readonly (readonly [string, string, z.ZodObject])[] = [
  ['VMs', 'Keys of an entry of `domains` and of `prototypes`.', DomainDefinition],
  ['Network cards', 'Keys of an entry of `nics`.', NicDefinition],
  ['Disks', 'Keys of an entry of `disks`.', DiskDefinition],
  ['Networks', 'Keys of an entry of `nets`.', NetDefinition],
  [
    'Automatic snapshots',
    'Keys of `snapshot-keep`; see `snapshot_before` in [configuration.md](configuration.md).',
    SnapshotKeepDefinition,
  ],
  ['Package repositories', 'Keys of `repos`; see [package-repos.md](package-repos.md).', ReposDefinition],
];

/** The reference page in Markdown, generated from the schema. */
export function initFileReference(): string {
  const parts = [
    '# Init file reference',
    '',
    '<!-- Made by scripts/write-references.ts from src-shared/init-file/schema.ts. -->',
    '',
    'An init file is JSON, or YAML 1.1 as PyYAML reads it. It has the keys `domains` and `nets`, and may have `prototypes`,',
    '`snapshot-keep` and `repos`. Other keys at the top are ignored: YAML files keep anchors there. An unknown key inside is a warning. "Since" is the release of Lago that first knew a key;',
    '0.29 means that one or earlier, "new" means that Lago did not have it.',
    '',
    'Editors complete and explain the keys with the JSON Schema `resources/init-file.schema.json`: in VS Code by the first line',
    '`# yaml-language-server: $schema=PATH/init-file.schema.json` of a YAML file (extension YAML), or by the setting `json.schemas` for JSON.',
    '`lago validate FILE` says everything that is wrong with a file.',
    '',
  ];
  for (const [title, intro, schema] of SECTIONS) {
    parts.push(`## ${title}`, '', intro, '', '| Key | Since | Meaning |', '|---|---|---|');
    for (const [key, field] of Object.entries(schema.shape)) {
      const { description, since } = aboutOf(field as z.ZodType);
      parts.push(`| \`${key}\` | ${since} | ${description.replaceAll('|', '\\|')} |`);
    }
    parts.push('');
  }
  return [...parts, ...TRUST, ''].join('\n');
}

const TRUST: readonly string[] = [
  '## Trust',
  '',
  'An init file may come from anybody, and it names files of your machine. What it may name by itself, links followed:',
  '',
  '- everything in its own folder and below. In your home folder itself: no hidden files. In a folder above that, or in `/`: only what lies',
  '  directly in it;',
  '- everything in the git checkout that it lies in, when that is yours and is not your home folder or above it;',
  '- for reading, the template store.',
  '',
  'Everything else has to be allowed, and is an error that names the path until then: with `lago init --allow-path PATH` (also for `plan`',
  'and `validate`; a directory allows everything in it; the option can be repeated), by answering the question on the plan page of the',
  'window, or with `allowPaths` of the SDK. The folder in which the command runs is not allowed by itself, although relative paths may',
  'start there.',
  '',
  '| What an init file names | If it is not allowed |',
  '|---|---|',
  '| The `path` of a `file` disk: a guest reads and changes it (with `make_a_copy`, `format: iso` or `readonly`: reads it) | only own files |',
  '| The `path` of a `template_type: qcow2` disk, and what images lie on, however far below | only own files and templates |',
  '| An image that names further files (external data file, VMDK in parts) | never; allowing the image allows its parts |',
  '| An image whose backing file is `json:` or a URL | never, even if it is allowed |',
  '| Devices, pipes, sockets | never, even if it is allowed |',
  '| A `url` with `file:` of a disk or an OVA; `deploy-scripts`; `user-data: {path: FILE}` | only own files |',
  '| The `file` of `repos`, and its `sources` (of a pattern, the folder that it begins with) | only own files |',
  '| Files of `build`: `upload`, `copy-in`, `tar-in`, `run`, `firstboot`, `file:` in passwords and keys | only own files |',
  '| Where a download is kept (`path` beside `url`) | in the init file’s folder, not hidden; in the environment; in the workdir |',
  '| A `url` with `http` or `https` | fetched, and checked to be one image of the format; the plan lists all downloads |',
  '| A `template_name` | looked up in your repositories; an init file cannot name a repository |',
  '| Paths of `artifacts` | paths in the guest |',
  '',
  'Variables are replaced before a path is judged. A URL may hold variables of your environment too: look at the downloads of the plan of a',
  'file that you do not know.',
];

function aboutOf(field: z.ZodType): { readonly description: string; readonly since: string } {
  const meta = field.meta();
  return { description: meta?.description ?? '', since: typeof meta?.['since'] === 'string' ? meta['since'] : '' };
}
