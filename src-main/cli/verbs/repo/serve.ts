import { resolve } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { VerbContext } from '../../context.ts';
import { textValue } from '../../parser/table.ts';

/** `lago repo serve`: until Ctrl-C, or until the environment is stopped. */
export async function serve(context: VerbContext): Promise<number> {
  const { values, around, signal } = context;
  const prefix = await context.prefix();
  const folder = textValue(values, 'dir');
  const port = textValue(values, 'port');
  const request = {
    ...(port === undefined ? {} : { port: portOf(port) }),
    ...(folder === undefined ? {} : { folder: resolve(around.cwd, folder) }),
  };
  return await context.withEngine(async (engine) => {
    await using served = await engine.repos.serve(prefix.path, request, signal);
    const { url, clients } = served;
    if (context.format !== 'default') context.printValue({ url, folder: served.folder, clients }, 'kept');
    else {
      context.print(`${served.folder} is at ${url}`);
      for (const { distro, path, content } of clients) {
        context.print(`\nFor guests${distro === '' ? '' : ` of ${distro}`}, in ${path}:\n${content.trimEnd()}`);
      }
    }
    if (around.stdout.isTTY === true)
      context.log.message('info', 'Press Ctrl-C to end it; "lago repo log --follow" shows who fetches what.');
    await served.ended;
    if (!signal.aborted)
      context.log.message('info', 'The server has ended: the environment was stopped, or it was switched off in the window.');
    return 0;
  });
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new EngineError('input.usage', `"${text}" is not a port: it has to be a number from 1 to 65535.`);
}
