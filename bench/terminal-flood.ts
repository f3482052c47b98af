import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { _electron } from '@playwright/test';
import { build } from 'esbuild';
import { electronArgv, ensureRuntime } from '../scripts/electron-runtime.mjs';
import { openVirtualScreen } from '../scripts/virtual-screen.mjs';
import { alternate, engineFile, makeScratch, root, say } from './support/measure.ts';

/** Output of a guest on its way to the screen: session, its own screen, byte stream, port, xterm.js. */
export const title = 'a flood through session, port and xterm.js against xterm.js fed from memory (speed), with typing meanwhile';
export const goal = 'ratio >= 0.9, echo_p99_ms <= 30';

/** Chunks of about 30 KB, as an ssh channel delivers them. */
const CHUNKS = 1_000;
const ROUNDS = 5;

interface Figures {
  readonly ms: number;
  readonly echoes: readonly number[];
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Bundles the window's two programs into `dir`. */
async function bundleWindow(dir: string): Promise<string> {
  const from = join(root, 'bench/reference/flood-window');
  const options = { bundle: true, minify: true, logLevel: 'error' } as const;
  const nodePaths = [join(root, 'node_modules')];
  await build({
    ...options,
    nodePaths,
    entryPoints: [join(from, 'page.ts')],
    platform: 'browser',
    format: 'iife',
    outfile: join(dir, 'page.js'),
  });
  writeFileSync(join(dir, 'page.html'), '<!doctype html><meta charset="utf-8"><body></body><script src="page.js"></script>');
  writeFileSync(
    join(dir, 'main.ts'),
    `import { openScreenOf } from ${engineFile('terminals/screen.ts')};
     import { TerminalSession } from ${engineFile('terminals/session.ts')};
     import { pump } from ${JSON.stringify(join(root, 'src-main/desktop/pump.ts'))};
     import { serveFloods } from ${JSON.stringify(join(from, 'main.ts'))};
     void serveFloods({ openScreenOf, TerminalSession, pump }, ${JSON.stringify(join(dir, 'page.html'))}, ${JSON.stringify(join(from, 'preload.cjs'))});`,
  );
  const program = join(dir, 'main.cjs');
  await build({
    ...options,
    entryPoints: [join(dir, 'main.ts')],
    platform: 'node',
    format: 'cjs',
    external: ['electron'],
    outfile: program,
  });
  return program;
}

export async function run(): Promise<Record<string, number>> {
  const { dist } = await ensureRuntime();
  const screen = await openVirtualScreen();
  using scratch = makeScratch();
  const [program = '', ...flags] = electronArgv(dist) as string[];
  const app = await _electron.launch({
    executablePath: program,
    args: [...flags, `--user-data-dir=${join(scratch.dir, 'profile')}`, await bundleWindow(scratch.dir)],
    env: { ...(process.env as Record<string, string>), ...scratch.env, DISPLAY: screen.display },
    chromiumSandbox: process.getuid?.() !== 0,
  });
  try {
    const page = await app.firstWindow();
    await page.waitForFunction(() => 'flood' in window);
    const flood = async (kind: 'memory' | 'port'): Promise<Figures> =>
      await page.evaluate(
        async ([how, times]) => await (window as unknown as { flood(kind: string, times: number): Promise<Figures> }).flood(how, times),
        [kind, CHUNKS] as const,
      );
    const echoes: number[] = [];
    const { ratio, ours, reference } = await alternate(
      ROUNDS,
      async () => (await flood('memory')).ms,
      async () => {
        const figures = await flood('port');
        echoes.push(...figures.echoes);
        return figures.ms;
      },
    );
    say(`  ${echoes.length} keystrokes, median ${percentile(echoes, 0.5).toFixed(1)} ms`);
    return {
      ratio: 1 / ratio,
      echo_p99_ms: percentile(echoes, 0.99),
      echo_p50_ms: percentile(echoes, 0.5),
      ours_ms: Math.round(ours),
      memory_ms: Math.round(reference),
    };
  } finally {
    await app.close();
    screen.close();
  }
}
