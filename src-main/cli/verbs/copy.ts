import { isAbsolute } from 'node:path';
import { formatBytes } from '../../../src-shared/bytes.ts';
import type { CopyRequest, CopyResult } from '../../engine/index.ts';
import type { VerbContext } from '../context.ts';
import { textValue } from '../parser/table.ts';

/** `lago copy-to-vm HOST LOCAL_PATH REMOTE_PATH`. */
export async function copyToVm(context: VerbContext): Promise<number> {
  const prefix = await context.prefix();
  const done = await context.withEngine(
    async (engine) => await context.follow((options) => engine.vm.copyTo(prefix.path, requestOf(context), options)),
  );
  report(context, done);
  return 0;
}

/** `lago copy-from-vm HOST REMOTE_PATH LOCAL_PATH`. */
export async function copyFromVm(context: VerbContext): Promise<number> {
  const prefix = await context.prefix();
  const done = await context.withEngine(
    async (engine) => await context.follow((options) => engine.vm.copyFrom(prefix.path, requestOf(context), options)),
  );
  report(context, done);
  return 0;
}

function requestOf({ values, around }: VerbContext): CopyRequest {
  const local = textValue(values, 'local_path') ?? '';
  return {
    vm: textValue(values, 'host') ?? '',
    // Not resolved: a path that ends with "/." means what is in it, as for scp.
    local: isAbsolute(local) ? local : `${around.cwd}/${local}`,
    remote: textValue(values, 'remote_path') ?? '',
  };
}

function report(context: VerbContext, { files, bytes, target }: CopyResult): void {
  context.log.message('info', `Copied ${files === 1 ? '1 file' : `${files} files`} (${formatBytes(bytes)}) to ${target}`);
}
