import { EngineError } from '../../../src-shared/errors.ts';
import type { VerbContext } from '../context.ts';
import { textValue } from '../parser/table.ts';
import { rawMode } from '../terminal.ts';
import { requireRunning } from './shell.ts';

const DETACH = 0x1d;
/** Lines of earlier output that are shown where the terminal has no size. */
const SCREEN_LINES = 24;

/** `lago console HOST`: shows the last screenful of its serial console and attaches to the serial console until Ctrl-], the end of stdin, or the end of the VM. */
export async function openConsole(context: VerbContext): Promise<number> {
  const host = textValue(context.values, 'host') ?? '';
  const prefix = await context.prefix();
  const { stdin, stdout, stderr } = context.around;
  return await context.withEngine(async (engine) => {
    const { vms } = await engine.prefix.status(prefix.path);
    const vm = vms.find((one) => one.name === host);
    if (vm === undefined) {
      throw new EngineError('vm.missing', `Unable to find VM ${host}`, { hint: `Available: ${vms.map((one) => one.name).join(', ')}.` });
    }
    requireRunning(vm);
    const stream = await engine.vm.console(prefix.path, vm.name, {
      lines: stdout.rows ?? SCREEN_LINES,
      signal: context.signal,
    });
    const terminal = rawMode(stdin);
    context.log.message('info', `Connected to the console of ${vm.name}. Detach with Ctrl-].`);
    try {
      await new Promise<void>((resolve, reject) => {
        const onInput = (chunk: Buffer): void => {
          const at = stdin.isTTY === true ? chunk.indexOf(DETACH) : -1;
          if (at >= 0) {
            if (at > 0) stream.write(chunk.subarray(0, at));
            resolve();
          } else if (stream.writable && !stream.write(chunk)) {
            stdin.pause();
            stream.once('drain', () => stdin.resume());
          }
        };
        stdin.on('data', onInput);
        // What it has printed so far still comes.
        stdin.once('end', () => stream.end());
        stream.on('data', (chunk: Buffer) => {
          if (!stdout.write(chunk)) {
            stream.pause();
            stdout.once('drain', () => stream.resume());
          }
        });
        stream.once('end', resolve);
        stream.once('close', resolve);
        stream.once('error', reject);
        context.signal.addEventListener('abort', () => reject(new EngineError('cancelled', 'Cancelled.')), { once: true });
      });
      return 0;
    } finally {
      stdin.removeAllListeners('data');
      stdin.removeAllListeners('end');
      stdin.pause();
      terminal.restore();
      stream.destroy();
      if (stdin.isTTY === true) stderr.write('\n');
      context.log.message('info', `Left the console of ${vm.name}.`);
    }
  });
}
