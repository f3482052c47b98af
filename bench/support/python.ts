import { existsSync } from 'node:fs';
import { runTimed, say } from './measure.ts';

/** A Python that has `module`. Debian installs modules for its own Python, which may not be the first one in PATH. */
export async function pythonWith(module: string, debianPackage: string): Promise<string> {
  for (const python of ['/usr/bin/python3', 'python3']) {
    if (python.startsWith('/') && !existsSync(python)) continue;
    try {
      await runTimed({ argv: [python, '-c', `import ${module}`] });
      return python;
    } catch (error) {
      say(`  ${python} has no ${module}: ${error instanceof Error ? (error.message.split('\n').at(-1) ?? '') : String(error)}`);
    }
  }
  throw new Error(`${debianPackage} is missing: apt install ${debianPackage}.`);
}
