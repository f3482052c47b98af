import type { OutsidePath } from '../../src-shared/plan.ts';

/** Whether the user said yes to every file that the init file names outside of its folder. */
export function allAllowed(outside: readonly OutsidePath[], allowed: readonly string[]): boolean {
  return outside.every((file) => allowed.includes(file.path));
}

/** What a yes to this file means. */
export function meaningOf(file: OutsidePath): string {
  return file.access === 'write' ? 'a guest can read and change it' : 'a guest can read it';
}
