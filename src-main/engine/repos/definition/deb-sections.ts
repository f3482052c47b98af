import { quote } from '../../../../src-shared/init-file/name-rules.ts';
import { nearest } from '../../../../src-shared/nearest.ts';
import type { DebEntry, DebField } from './deb-entries.ts';
import type { FileIssues } from './file-issues.ts';
import { type DebSection, idProblem } from './section.ts';
import { distroOfSuite } from './suites.ts';
import { type Read, readFlag, urlProblem } from './values.ts';
import { distroOfId } from './variables.ts';

/** What servers are used to from apt. */
const CONNECTIONS = 5;

const USED = new Set([
  'types',
  'uris',
  'suites',
  'components',
  'enabled',
  'architectures',
  'signed-by',
  'trusted',
  'check-valid-until',
  'x-lago-name',
  'x-lago-distro',
  'x-lago-packages',
  'x-lago-exclude',
]);

/** Fields that apt knows and that change nothing here. */
const IGNORED = new Set([
  'x-repolib-name',
  'x-repolib-id',
  'x-repolib-default-mirror',
  'languages',
  'targets',
  'pdiffs',
  'by-hash',
  'valid-until-min',
  'valid-until-max',
  'check-date',
  'date-max-future',
  'inrelease-path',
  'description',
  'snapshot',
  'include',
  'exclude',
]);

/** Fields that would be a danger if they were followed. */
const UNSUPPORTED = new Set(['allow-insecure', 'allow-weak', 'allow-downgrade-to-insecure', 'architectures-add', 'architectures-remove']);

/** One section for each address and suite of each entry, as apt sees them. */
export function debSections(entries: readonly DebEntry[], issues: FileIssues): readonly DebSection[] {
  const sections: DebSection[] = [];
  const ids = new Map<string, number>();
  for (const entry of entries) {
    checkFields(entry, issues);
    const reader = new EntryReader(entry, issues);
    if (!reader.hasBinaries()) continue;
    for (const section of reader.sections()) {
      const problem = idProblem(section.id);
      if (problem !== undefined) {
        issues.error(entry, section.id, problem, 'X-Lago-Name takes letters, digits, “-”, “_”, “.” and “:”.');
        continue;
      }
      const before = ids.get(section.id);
      if (before !== undefined) {
        issues.error(
          entry,
          section.id,
          `The source ${quote(section.id)} is also in line ${before}.`,
          'Remove one of the two, or name them with X-Lago-Name.',
        );
        continue;
      }
      ids.set(section.id, entry.line);
      sections.push(section);
    }
  }
  return sections;
}

function checkFields(entry: DebEntry, issues: FileIssues): void {
  for (const { name, written, line, column } of entry.fields) {
    const place = { line, column };
    if (USED.has(name)) continue;
    if (UNSUPPORTED.has(name)) issues.warning(place, written, `${written} is not supported and has no effect.`);
    else if (IGNORED.has(name) || name.startsWith('x-')) issues.info(place, written, `${written} has no effect here.`);
    else {
      const meant = nearest(written, [...USED, ...IGNORED]);
      issues.warning(place, written, `Unknown field ${quote(written)}.`, meant === undefined ? undefined : `Did you mean ${meant}?`);
    }
  }
}

class EntryReader {
  readonly #entry: DebEntry;
  readonly #issues: FileIssues;

  constructor(entry: DebEntry, issues: FileIssues) {
    this.#entry = entry;
    this.#issues = issues;
  }

  /** Whether it is about packages at all, and not only about their sources. */
  hasBinaries(): boolean {
    const field = this.#field('types');
    const types = field?.values ?? [];
    if (field === undefined) this.#error(undefined, 'The entry has no Types.', 'Add Types: deb.');
    for (const type of types) {
      if (type === 'deb-src')
        this.#issues.info(field ?? this.#entry, field?.written ?? '', 'Source packages are not fetched; deb-src has no effect.');
      else if (type !== 'deb') this.#error(field, `${quote(type)} is no type of source.`, 'Write deb.');
    }
    return types.includes('deb');
  }

  sections(): readonly DebSection[] {
    const given = this.#required('uris', 'Add the address of the archive.');
    const uris = given.filter((uri) => this.#fetchable(uri));
    const suites = given.length === 0 ? [] : this.#required('suites', 'Add the suite, such as bookworm.');
    const components = this.#values('components');
    const architectures = this.#values('architectures');
    const several = uris.length * suites.length > 1;
    return uris.flatMap((uri) =>
      suites.flatMap((written) => {
        const suite = written.replaceAll('$(ARCH)', architectures[0] ?? 'amd64');
        if (!this.#fits(suite, components)) return [];
        return [
          {
            kind: 'deb',
            id: this.#id(uri, suite, several),
            name: [uri, suite, ...components].join(' '),
            file: this.#issues.file,
            line: this.#entry.line,
            enabled: this.#read('enabled', readFlag) ?? true,
            maxConnections: CONNECTIONS,
            connection: { sslVerify: true },
            uri,
            suite,
            components,
            architectures,
            signedBy: this.#signedBy(),
            trusted: this.#read('trusted', readFlag) ?? false,
            packages: this.#words('x-lago-packages'),
            excludes: this.#words('x-lago-exclude'),
            checkValidUntil: this.#read('check-valid-until', readFlag) ?? true,
          } satisfies DebSection,
        ];
      }),
    );
  }

  /**
   * The name that the file gives, else one made of address and suite. It ends in `-DISTRO` when that is known, so that Lago's rule holds for
   * it as for .repo files.
   */
  #id(uri: string, suite: string, several: boolean): string {
    const name = this.#values('x-lago-name')[0];
    const distro = this.#values('x-lago-distro')[0] ?? distroOfSuite(suite);
    const place = `${uri.replace(/^[a-z+]+:\/*(?:[^/@]*@)?/i, '')} ${suite}`;
    const made = place.replace(/[^A-Za-z0-9.]+/g, '_').replace(/^[._]+|[._]+$/g, '');
    const unique = name === undefined ? made : several ? `${made}_${name}` : name;
    return distro === undefined || distroOfId(unique) === distro ? unique : `${unique}-${distro}`;
  }

  #fits(suite: string, components: readonly string[]): boolean {
    const field = this.#field('suites');
    if (suite.startsWith('/') || suite.split('/').includes('..')) {
      this.#error(field, `The suite ${quote(suite)} leads out of the archive.`);
    } else if (suite.endsWith('/') && components.length > 0) {
      this.#error(field, `The suite ${quote(suite)} is a path, which has no components.`, 'Remove the components, or the “/” at its end.');
    } else if (!suite.endsWith('/') && components.length === 0) {
      this.#error(field, `The suite ${quote(suite)} needs components.`, 'Add them, such as main, or end a path with “/”.');
    } else return true;
    return false;
  }

  #fetchable(uri: string): boolean {
    if (uri.startsWith('cdrom:')) {
      this.#issues.warning(this.#field('uris') ?? this.#entry, 'URIs', 'Packages on a CD are not fetched; the source has no effect.');
      return false;
    }
    const problem = urlProblem(uri);
    if (problem !== undefined) this.#error(this.#field('uris'), problem);
    return problem === undefined;
  }

  /** Paths and fingerprints, or the one key that is in the file itself. */
  #signedBy(): readonly string[] {
    const field = this.#field('signed-by');
    if (field?.lines.some((line) => line.startsWith('-----BEGIN PGP')) !== true) return field?.values ?? [];
    return [`${field.lines.map((line) => (line === '.' ? '' : line)).join('\n')}\n`];
  }

  #field(name: string): DebField | undefined {
    return this.#entry.fields.find((field) => field.name === name);
  }

  #values(name: string): readonly string[] {
    return this.#field(name)?.values ?? [];
  }

  /** Names of packages, which may be separated by commas, too. */
  #words(name: string): readonly string[] {
    return this.#values(name).flatMap((value) => value.split(',').filter((word) => word !== ''));
  }

  #required(name: string, hint: string): readonly string[] {
    const values = this.#values(name);
    if (values.length === 0) this.#error(this.#field(name), `The entry has no ${name === 'uris' ? 'URI' : 'suite'}.`, hint);
    return values;
  }

  #read<T>(name: string, reader: (text: string) => Read<T>): T | undefined {
    const field = this.#field(name);
    if (field === undefined) return undefined;
    const read = reader(field.values.join(' '));
    if ('value' in read) return read.value;
    this.#error(field, read.problem);
    return undefined;
  }

  #error(field: DebField | undefined, message: string, hint?: string): void {
    this.#issues.error(field ?? this.#entry, field?.written ?? '', message, hint);
  }
}
