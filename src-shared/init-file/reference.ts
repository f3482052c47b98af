import { z } from 'zod';
import { DiskDefinition, DomainDefinition, InitFileSchema, NetDefinition, NicDefinition } from './schema.ts';

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
];

/** The reference page, Markdown, made of the schema so that it cannot say anything else. */
export function initFileReference(): string {
  const parts = [
    '# Init file reference',
    '',
    '<!-- Made by scripts/write-references.ts from src-shared/init-file/schema.ts. -->',
    '',
    'An init file is JSON, or YAML 1.1 as PyYAML reads it. It has the keys `domains` and `nets`, and may have `prototypes`. Other keys at the',
    'top are ignored: YAML files keep anchors there. An unknown key inside is a warning. "Since" is the release of Lago that first knew a key;',
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
  return parts.join('\n');
}

function aboutOf(field: z.ZodType): { readonly description: string; readonly since: string } {
  const meta = field.meta();
  return { description: meta?.description ?? '', since: typeof meta?.['since'] === 'string' ? meta['since'] : '' };
}
