import { formatBytes } from '../../../src-shared/bytes.ts';
import { EngineError } from '../../../src-shared/errors.ts';
import type { LibraryState, TemplateVersionState } from '../../../src-shared/state.ts';
import type { VerbContext } from '../context.ts';
import { flagValue, listValue, textValue } from '../parser/table.ts';

const DAY_MS = 24 * 3600 * 1000;

/** One version of a template in machine-readable output. */
interface TemplateRow {
  readonly name: string;
  readonly version: string;
  readonly repository: string;
  readonly title: string;
  readonly distro: string | null;
  /** Bytes in the store; null when it is not cached. */
  readonly size: number | null;
  readonly cached: boolean;
  /** Paths of the environments that use it. */
  readonly used_by: readonly string[];
}

/** `lago templates [list | fetch NAME... | verify [NAME...] | evict NAME... | evict --unused | build NAME --from|--vm ...]`. */
export async function templates(context: VerbContext): Promise<number> {
  const action = textValue(context.values, 'action') ?? 'list';
  const names = listValue(context.values, 'templates') ?? [];
  const unused = flagValue(context.values, 'unused');
  const days = textValue(context.values, 'older_than');
  if (action !== 'evict' && (unused || days !== undefined)) throw usage('--unused and --older-than belong to "lago templates evict".');
  if (action !== 'build') refuseBuildOptions(context);
  switch (action) {
    case 'build':
      return await (await import('./build-template.ts')).buildTemplate(context, names);
    case 'fetch':
      return await fetchTemplates(context, names);
    case 'verify':
      return await verifyTemplates(context, names);
    case 'evict':
      if (unused === names.length > 0) throw usage('Say which templates to evict, or --unused.');
      if (days !== undefined && !unused) throw usage('--older-than goes with --unused.');
      return unused ? await evictUnused(context, Number(days ?? 0)) : await evictTemplates(context, names);
    default:
      return await listTemplates(context, names);
  }
}

function refuseBuildOptions({ values }: VerbContext): void {
  const flags = {
    from: '--from',
    vm: '--vm',
    customize: '--customize',
    run: '--run',
    sysprep: '--sysprep',
    compress: '--compress',
    repo_dir: '--repo-dir',
    template_version: '--template-version',
  };
  const given = Object.entries(flags).filter(([name]) => values[name] !== undefined);
  if (given.length > 0) throw usage(`${given.map(([, flag]) => flag).join(', ')} belongs to "lago templates build".`);
}

function usage(message: string): EngineError {
  return new EngineError('input.usage', message, { hint: '"lago templates --help" shows examples.' });
}

async function listTemplates(context: VerbContext, names: readonly string[]): Promise<number> {
  const library = await context.withEngine(async (engine) => await engine.library.state(context.signal));
  for (const { problem, location } of library.repositories) {
    if (problem !== null) context.log.message('warning', problem.includes(location) ? problem : `${location}: ${problem}`);
  }
  const rows = rowsOf(library).filter((row) => names.length === 0 || names.includes(row.name));
  if (context.format !== 'default') context.printValue(rows);
  else if (rows.length > 0) context.print(table(rows));
  else context.log.message('info', `No templates; the store is ${library.store}.`);
  return 0;
}

function rowsOf(library: LibraryState): readonly TemplateRow[] {
  return library.templates.flatMap(({ name, repository, title, distro, versions }) =>
    versions.map(
      (version: TemplateVersionState): TemplateRow => ({
        name,
        version: version.version,
        repository,
        title,
        distro,
        size: version.size,
        cached: version.cached,
        used_by: version.usedBy.map((user) => user.path),
      }),
    ),
  );
}

function table(rows: readonly TemplateRow[]): string {
  const lines = [
    ['NAME', 'VERSION', 'REPOSITORY', 'SIZE', 'CACHED', 'USED BY'],
    ...rows.map((row) => [
      row.name,
      row.version,
      row.repository,
      row.size === null ? '-' : formatBytes(row.size),
      row.cached ? 'yes' : 'no',
      row.used_by.length === 0 ? '-' : row.used_by.join(' '),
    ]),
  ];
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

async function fetchTemplates(context: VerbContext, names: readonly string[]): Promise<number> {
  if (names.length === 0) throw usage('Say which template to fetch, as NAME or NAME:VERSION.');
  await context.withEngine(async (engine) => {
    for (const name of names) {
      const fullName = await context.follow((options) => engine.library.fetch(name, options));
      context.log.message('info', `${fullName} is in the store.`);
    }
  });
  return 0;
}

/** Checks every template, so that one damaged template does not hide another. */
async function verifyTemplates(context: VerbContext, names: readonly string[]): Promise<number> {
  return await context.withEngine(async (engine) => {
    const chosen = names.length > 0 ? names : await cachedNames(engine.library.state(context.signal));
    let failure: EngineError | undefined;
    for (const name of chosen) {
      try {
        const checksums = await context.follow((options) => engine.library.verify(name, options));
        context.log.message('info', `${name} is as it was fetched (${checksums.join(', ')}).`);
      } catch (error) {
        if (!(error instanceof EngineError) || error.code === 'cancelled') throw error;
        if (failure !== undefined) context.log.failure(failure);
        failure = error;
      }
    }
    if (failure !== undefined) throw failure;
    return 0;
  });
}

async function cachedNames(library: Promise<LibraryState>): Promise<readonly string[]> {
  return (await library).templates.flatMap(({ versions }) =>
    versions.filter((version) => version.cached).map((version) => version.fullName),
  );
}

async function evictTemplates(context: VerbContext, names: readonly string[]): Promise<number> {
  await context.withEngine(async (engine) => {
    for (const name of names) {
      const freed = await context.follow((options) => engine.library.evict(name, options));
      context.log.message('info', `Evicted ${name}; ${formatBytes(freed)} are free again.`);
    }
  });
  return 0;
}

async function evictUnused(context: VerbContext, days: number): Promise<number> {
  if (!(days >= 0)) throw usage('--older-than takes a number of days.');
  const gone = await context.withEngine(
    async (engine) => await context.follow((options) => engine.library.evictUnused(days * DAY_MS, options)),
  );
  if (context.format !== 'default') context.printValue(gone.map(({ fullName, size }) => ({ name: fullName, size })));
  else if (gone.length > 0) context.print(gone.map(({ fullName, size }) => `${fullName} ${formatBytes(size)}`).join('\n'));
  else context.log.message('info', days === 0 ? 'Every template is used.' : `No unused template is older than ${days} days.`);
  return 0;
}

/** `lago template-repo add URL` and `lago template-repo update`. */
export async function templateRepo(context: VerbContext): Promise<number> {
  const url = textValue(context.values, 'url');
  if (textValue(context.values, 'action') === 'add') {
    if (url === undefined) throw usage('Say which git repository to add.');
    const path = await context.withEngine(async (engine) => await context.follow((options) => engine.library.addRepository(url, options)));
    context.print(path);
    return 0;
  }
  if (url !== undefined) throw usage('"lago template-repo update" updates all of them; it takes no address.');
  const updated = await context.withEngine(async (engine) => await context.follow((options) => engine.library.updateRepositories(options)));
  if (context.format !== 'default') context.printValue(updated);
  else if (updated.length === 0) context.log.message('info', 'There is no added template repository.');
  return 0;
}
