/**
 * Imports a module by its URL and returns its exports. In its own file because the command line, one bundled script, replaces it with one
 * that uses Node's own `import`.
 */
export async function importModule(url: string): Promise<unknown> {
  return (await import(/* @vite-ignore */ url)) as unknown;
}
