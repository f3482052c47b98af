/**
 * Runs a module by its URL and answers what it exports. A file of its own because the command line, one bundled script, puts another
 * one in its place that reaches the `import` of Node.
 */
export async function importModule(url: string): Promise<unknown> {
  return (await import(/* @vite-ignore */ url)) as unknown;
}
