import { resolve } from 'node:path';
import { formatBytes } from '../../../../src-shared/bytes.ts';
import type { VerbContext } from '../../context.ts';
import { listValue, textValue } from '../../parser/table.ts';

/** `lago repo merge SOURCE…`: prints a line for each repository. */
export async function merge(context: VerbContext): Promise<number> {
  const { values, around } = context;
  const prefix = await context.prefix();
  const config = textValue(values, 'repoman_config');
  const request = {
    sources: listValue(values, 'args') ?? [],
    folder: around.cwd,
    distros: listValue(values, 'distro'),
    name: textValue(values, 'name'),
    repomanConfig: config === undefined ? undefined : resolve(around.cwd, config),
    options: listValue(values, 'option'),
  };
  const result = await context.withEngine(
    async (engine) => await context.follow((options) => engine.repos.merge(prefix.path, request, options)),
  );
  if (context.format !== 'default') {
    context.printValue(result, 'kept');
    return 0;
  }
  for (const { distro, path, packages, bytes } of result.repos) {
    context.print(`${distro}: ${packages === 1 ? '1 package' : `${packages} packages`}, ${formatBytes(bytes)}, in ${path}`);
  }
  if (result.older > 0)
    context.log.message('info', `${result.older} older ${result.older === 1 ? 'package was' : 'packages were'} left out.`);
  return 0;
}
