import type { HostCheck } from '../../../src-shared/state.ts';

export async function checkMachine(_options: { readonly resourcesDir: string }): Promise<HostCheck[]> {
  return await Promise.resolve([]);
}
