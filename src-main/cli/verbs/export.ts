import { resolve } from 'node:path';
import type { VerbContext } from '../context.ts';
import { flagValue, listValue } from '../parser/table.ts';

/** `lago export`: prints the path of the init file on stdout. */
export async function exportPrefix(context: VerbContext): Promise<number> {
  const { values, config, around } = context;
  const prefix = await context.prefix();
  const vms = listValue(values, 'vm_names') ?? [];
  await context.withEngine(async (engine) => {
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
