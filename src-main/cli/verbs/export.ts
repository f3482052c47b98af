import { resolve } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import type { Engine } from '../../engine/index.ts';
import type { VerbContext } from '../context.ts';
import { flagValue, listValue, textValue } from '../parser/table.ts';

/** Options of an export of disks, which mean nothing for a snapshot. */
const OF_DISKS = ['standalone', 'compress', 'collect_only'] as const;

/** `lago export`: prints the path of the init file on stdout. */
export async function exportPrefix(context: VerbContext): Promise<number> {
  const { values, config, around } = context;
  const prefix = await context.prefix();
  const vms = listValue(values, 'vm_names') ?? [];
  const snapshot = textValue(values, 'snapshot');
  await context.withEngine(async (engine) => {
    if (snapshot !== undefined) {
      await exportSnapshot(context, engine, prefix, snapshot);
      return;
    }
    if (flagValue(values, 'collect_only')) {
      context.printValue(await engine.prefix.exportedDisks(prefix.path, vms));
      return;
    }
    if (context.format === 'flat') context.log.message('info', 'The init file is written as YAML: the format flat cannot be read again.');
    const done = await context.follow((options) =>
      engine.prefix.export(
        prefix.path,
        {
          vms,
          destination: resolve(around.cwd, config.get('dst_dir', 'export') ?? '.'),
          standalone: flagValue(values, 'standalone'),
          compress: flagValue(values, 'compress'),
          initFileName: config.get('init_file_name', 'export') ?? 'LagoInitFile',
          format: context.format === 'json' ? 'json' : 'yaml',
        },
        options,
      ),
    );
    context.log.message('info', `Exported ${done.vms.join(', ')}. Create it elsewhere with: lago init ${done.initFile}`);
  });
  return 0;
}

/** `lago export --snapshot NAME`: by default to `./PREFIX-NAME`. */
async function exportSnapshot(
  context: VerbContext,
  engine: Engine,
  prefix: { readonly path: string; readonly name: string },
  snapshot: string,
): Promise<void> {
  const { values, config, around } = context;
  const other = OF_DISKS.find((option) => flagValue(values, option));
  if (other !== undefined || (listValue(values, 'vm_names') ?? []).length > 0) {
    throw new EngineError('input.usage', `--${(other ?? 'vm_names').replace('_', '-')} cannot be used with --snapshot.`, {
      hint: 'A snapshot is exported as a whole: all VMs, each file as it is.',
    });
  }
  const given = config.get('dst_dir', 'export') ?? '.';
  const folder = given === '.' ? `${prefix.name}-${snapshot.replaceAll(' ', '-')}` : given;
  const done = await context.follow((options) =>
    engine.prefix.exportSnapshot(prefix.path, { snapshot, destination: resolve(around.cwd, folder) }, options),
  );
  context.log.message('info', `Exported ${done.vms.join(', ')}. Go on from it elsewhere with: lago init ${done.folder} --resume`);
}
