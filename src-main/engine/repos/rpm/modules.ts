import { parseAllDocuments } from 'yaml';

/** One version of a stream of a module, for one context, with the packages that belong to it. */
export interface ModuleVersion {
  /** `NAME:STREAM`. */
  readonly stream: string;
  readonly version: bigint;
  /** Full names with their epochs. */
  readonly artifacts: readonly string[];
}

const MAX_DOCUMENT = 8 * 1024 * 1024;

/**
 * Reads a modules.yaml document by document, so that memory is bounded. Documents of other kinds (defaults, obsoletes) are passed over, and
 * damaged ones too, as by dnf, which `damaged` is told: packages of their modules count as outside of modules then.
 */
export async function readModules(content: AsyncIterable<Buffer>, damaged: (why: string) => void): Promise<readonly ModuleVersion[]> {
  const modules: ModuleVersion[] = [];
  for await (const document of documents(content, damaged)) {
    // Reading YAML takes longer than looking: other kinds are the smaller part, but translations are large.
    if (!/^document:\s*["']?modulemd["']?\s*$/m.test(document)) continue;
    const module = moduleOf(parsed(document, damaged));
    if (module !== undefined) modules.push(module);
  }
  return modules;
}

/** One document of a modules.yaml that says something of a module: a version of it, or which streams and profiles are defaults or obsolete. */
export interface ModulesDocument {
  /** Without the marks between documents. */
  readonly text: string;
  readonly module: string;
  /** Of a document that describes one. */
  readonly version: ModuleVersion | undefined;
}

/** The documents of a modules.yaml one by one, without translations and damaged ones, as `readModules`. */
export async function* readModulesDocuments(
  content: AsyncIterable<Buffer>,
  damaged: (why: string) => void,
): AsyncGenerator<ModulesDocument> {
  for await (const text of documents(content, damaged)) {
    if (!/^document:\s*["']?modulemd(-defaults|-obsoletes)?["']?\s*$/m.test(text)) continue;
    const value = parsed(text, damaged);
    const version = moduleOf(value);
    const module = version?.stream.split(':')[0] ?? field(field(value, 'data'), 'module');
    if (typeof module === 'string') yield { text, module, version };
  }
}

async function* documents(content: AsyncIterable<Buffer>, damaged: (why: string) => void): AsyncGenerator<string> {
  let lines: string[] = [];
  let size = 0;
  for await (const line of linesOf(content)) {
    if (line === '---' || line.startsWith('--- ') || line === '...') {
      if (lines.length > 0) yield lines.join('\n');
      lines = [];
      size = 0;
    } else {
      const before = size;
      size += line.length;
      if (size <= MAX_DOCUMENT) lines.push(line);
      else {
        lines = [];
        if (before <= MAX_DOCUMENT) damaged(`it has more than ${MAX_DOCUMENT} characters`);
      }
    }
  }
  if (lines.length > 0) yield lines.join('\n');
}

async function* linesOf(content: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest = Buffer.alloc(0);
  for await (const chunk of content) {
    const all = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const end = all.lastIndexOf(10);
    if (end < 0) {
      rest = Buffer.from(all);
      continue;
    }
    yield* all.toString('utf8', 0, end).split('\n');
    rest = Buffer.from(all.subarray(end + 1));
  }
  if (rest.length > 0) yield rest.toString('utf8');
}

function parsed(document: string, damaged: (why: string) => void): unknown {
  try {
    const [first] = parseAllDocuments(document, { logLevel: 'silent', schema: 'failsafe' });
    if (first === undefined || !('errors' in first)) return undefined;
    const [error] = first.errors;
    if (error !== undefined) throw error;
    return first.toJS({ maxAliasCount: 100 });
  } catch (error) {
    damaged((error as Error).message.split('\n')[0]?.replace(/[.:]$/, '') ?? '');
    return undefined;
  }
}

function moduleOf(value: unknown): ModuleVersion | undefined {
  const data = field(value, 'data');
  const [name, stream, version] = [field(data, 'name'), field(data, 'stream'), field(data, 'version')];
  if (typeof name !== 'string' || typeof stream !== 'string') return undefined;
  const rpms = field(field(data, 'artifacts'), 'rpms');
  const artifacts = Array.isArray(rpms) ? rpms.filter((one): one is string => typeof one === 'string') : [];
  return {
    stream: `${name}:${stream}`,
    version: typeof version === 'string' && /^\d{1,20}$/.test(version) ? BigInt(version) : 0n,
    // A copy of its own: a piece of the document would keep all of it in memory.
    artifacts: artifacts.map((one) => Buffer.from(one).toString()),
  };
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}
