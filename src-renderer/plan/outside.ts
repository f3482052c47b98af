import type { OutsidePath } from '../../src-shared/plan.ts';

/** Whether the user has allowed every file outside the init file's folder. */
export function allAllowed(outside: readonly OutsidePath[], allowed: readonly string[]): boolean {
  return outside.every((file) => allowed.includes(file.path));
}

/** What allowing this file means. */
export function meaningOf(file: OutsidePath): string {
  return file.access === 'write' ? 'a guest can read and change it' : 'a guest can read it';
}
