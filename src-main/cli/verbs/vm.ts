import { resolve } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import type { ADDED_BUSES, ADDED_FORMATS, VmChange } from '../../../src-shared/vm-change.ts';
import type { VerbContext } from '../context.ts';
import { flagValue, listValue, textValue } from '../parser/table.ts';

/** `lago vm CHANGE VM [ARG…]`. */
export async function vm(context: VerbContext): Promise<number> {
  const change = changeOf(context);
  const prefix = await context.prefix();
  const host = textValue(context.values, 'host') ?? '';
  const { notes } = await context.withEngine(
    async (engine) => await context.follow((options) => engine.vm.change(prefix.path, host, change, options)),
  );
  for (const note of notes) context.log.message('info', note);
  return 0;
}

/** Options, and the changes they belong to. */
const OPTIONS: Readonly<Record<string, VmChange['kind']>> = {
  eject: 'cd',
  device: 'cd',
  size: 'add-disk',
  format: 'add-disk',
  bus: 'add-disk',
  allow_path: 'add-disk',
  ip: 'add-nic',
};

function changeOf({ values, around }: VerbContext): VmChange {
  const kind = (textValue(values, 'change') ?? '') as VmChange['kind'];
  const words = listValue(values, 'args') ?? [];
  for (const [name, owner] of Object.entries(OPTIONS)) {
    if (values[name] !== undefined && owner !== kind) {
      throw new EngineError('input.usage', `argument --${name.replace('_', '-')}: only "vm ${owner}" has it.`);
    }
  }
  const text = (name: string): Record<string, string> => {
    const value = textValue(values, name);
    return value === undefined ? {} : { [name]: value };
  };
  const path = (word: string): string => resolve(around.cwd, word);
  switch (kind) {
    case 'link': {
      const [nic = '', link = ''] = take(kind, words, ['NIC', 'STATE']);
      if (link !== 'up' && link !== 'down') throw new EngineError('input.usage', `argument STATE: '${link}' is neither up nor down.`);
      return { kind, nic, link };
    }
    case 'cd': {
      if (flagValue(values, 'eject')) {
        take(`${kind} --eject`, words, []);
        return { kind, file: null, ...text('device') };
      }
      const [file = ''] = take(kind, words, ['FILE']);
      return { kind, file: path(file), ...text('device') };
    }
    case 'add-disk': {
      const [file] = take(kind, words, textValue(values, 'size') === undefined ? ['FILE'] : []);
      const format = textValue(values, 'format') as (typeof ADDED_FORMATS)[number] | undefined;
      const bus = textValue(values, 'bus') as (typeof ADDED_BUSES)[number] | undefined;
      const allowPaths = listValue(values, 'allow_path')?.map(path);
      return {
        kind,
        ...text('size'),
        ...(file === undefined ? {} : { file: path(file) }),
        ...(format === undefined ? {} : { format }),
        ...(bus === undefined ? {} : { bus }),
        ...(allowPaths === undefined ? {} : { allowPaths }),
      };
    }
    case 'remove-disk':
      return { kind, disk: take(kind, words, ['DISK'])[0] ?? '' };
    case 'add-nic':
      return { kind, net: take(kind, words, ['NET'])[0] ?? '', ...text('ip') };
    case 'remove-nic':
      return { kind, nic: take(kind, words, ['NIC'])[0] ?? '' };
    case 'memory':
      return { kind, size: take(kind, words, ['SIZE'])[0] ?? '' };
  }
}

/** The words after the VM, exactly as many as the change needs. */
function take(change: string, words: readonly string[], wanted: readonly string[]): readonly string[] {
  if (words.length === wanted.length) return words;
  const form = ['lago vm', change, 'VM', ...wanted].join(' ');
  const what = words.length < wanted.length ? 'something is missing' : `there is too much: ${words.slice(wanted.length).join(' ')}`;
  throw new EngineError('input.usage', `vm ${change}: ${what}.`, { hint: `Write: ${form}` });
}
