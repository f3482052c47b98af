import { constants } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import type { HostChoice } from '../../../src-shared/host/host-choice.ts';
import { type InitFile, parseInitFile } from '../../../src-shared/init-file/parse.ts';
import { formatIssue, type Issue } from '../../../src-shared/issue.ts';
import type { OutsidePath } from '../../../src-shared/plan.ts';
import type { Log } from '../core/log.ts';
import { forEachLimit } from '../core/until.ts';
import { otherParts } from '../disk/foreign-image.ts';
import { inspectImage } from '../disk/qemu-img.ts';
import { peekPacked } from '../disk/unpack.ts';
import { freshAllocator } from '../net/subnets.ts';
import { type PlannedEnvironment, planEnvironment } from '../plan/plan.ts';
import type { FileInfo, PlanContext, TemplateFound, TemplateMissing, TextFound } from '../plan/plan-context.ts';
import { readInitFile } from '../plan/read-init-file.ts';
import { openTrust, type Trust } from '../plan/trust.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import { takenSubnets } from './leases.ts';
import { openTemplates, storePath, type Templates } from './templates.ts';

/** The parts of the engine that drafting needs. */
export type DraftContext = Pick<RecipeContext, 'settings' | 'resourcesDir' | 'plugins'>;

export interface DraftRequest {
  readonly initFile: string;
  /** Replaces the file's saved content. */
  readonly text?: string | undefined;
  /** The future prefix: absolute path, and its workdir. */
  readonly root: string;
  readonly workdir: string;
  readonly host: HostChoice;
  readonly cwd: string;
  readonly skipBootstrap?: boolean | undefined;
  readonly skipBuild?: boolean | undefined;
  /** Files outside of the init file's folder that the user allows; a folder allows everything in it. */
  readonly allowPaths?: readonly string[] | undefined;
  /** Plan as if no subnet were leased. */
  readonly freshLeases?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** What an init file would create here and now, and its problems. Nothing was changed. */
export interface Draft {
  /** Absent when the file itself cannot be parsed. */
  readonly environment: PlannedEnvironment | undefined;
  /** All issues of parsing and planning, in the order of the text. */
  readonly issues: readonly Issue[];
  /** Files that need the user's permission, including those that have it. */
  readonly outside: readonly OutsidePath[];
  readonly templates: Templates;
}

/** Maximum length of an image chain; each round looks up what the previous one requested. */
const ROUNDS = 8;

/** Parses and plans, reporting all errors at once. Planning is pure: facts about files and templates are looked up between rounds. */
export async function draftEnvironment(around: DraftContext, log: Log, request: DraftRequest): Promise<Draft> {
  const { settings, resourcesDir } = around;
  const file = resolve(request.cwd, request.initFile);
  const [text, templates] = await Promise.all([
    request.text ?? readInitFile(file),
    openTemplates(settings, resourcesDir, log, request.signal),
  ]);
  const parsed = parseInitFile(text, file);
  const init = parsed.value ?? parsed.partial?.init;
  if (init === undefined) return { environment: undefined, issues: parsed.issues, outside: [], templates };
  const taken = request.freshLeases === true || request.host.kind !== 'system' ? [] : await takenSubnets(settings, request.root);
  const trust = await openTrust({
    initFile: file,
    templateStore: await storePath(settings),
    allowPaths: request.allowPaths ?? [],
    cwd: request.cwd,
    home: homedir(),
  });
  const world = createWorld(templates);
  for (let round = 0; ; round++) {
    const environment = plan(init, around, request, file, taken, world, trust);
    if (round < ROUNDS && (await world.lookUp(request.signal))) continue;
    const found = environment.issues.filter((issue) => parsed.partial?.hides(issue.path) !== true);
    return {
      environment: parsed.value === undefined ? undefined : environment,
      issues: byPlace([...parsed.issues, ...found]),
      outside: environment.outside,
      templates,
    };
  }
}

function byPlace(issues: readonly Issue[]): readonly Issue[] {
  return issues.toSorted((left, right) => left.line - right.line || left.column - right.column);
}

function plan(
  init: InitFile,
  { settings, plugins }: DraftContext,
  request: DraftRequest,
  file: string,
  taken: readonly string[],
  world: World,
  trust: Trust,
): PlannedEnvironment {
  const context: PlanContext = {
    initFileDir: dirname(file),
    cwd: request.cwd,
    env: process.env,
    prefixPath: request.root,
    workdirPath: request.workdir,
    lease: freshAllocator(taken),
    template: world.template,
    fileInfo: world.fileInfo,
    text: world.text,
    trust,
    opensImagesItself: request.host.kind !== 'system',
    defaults: {
      sshUser: settings.sshUser,
      sshPassword: settings.sshPassword,
      rootPassword: settings.defaultRootPassword,
      vmType: settings.defaultVmType,
      vmProvider: settings.defaultVmProvider,
      vmTypes: plugins.list('vm'),
      vmProviders: plugins.list('vm-provider'),
      serviceProviders: plugins.list('vm-service').map((provider) => provider.name),
      bootstrap: 'none',
    },
    ...(request.skipBootstrap === undefined ? {} : { skipBootstrap: request.skipBootstrap }),
    ...(request.skipBuild === undefined ? {} : { skipBuild: request.skipBuild }),
  };
  return planEnvironment(init, context);
}

/** The facts that planning has requested so far. */
interface World {
  readonly template: PlanContext['template'];
  readonly fileInfo: PlanContext['fileInfo'];
  readonly text: PlanContext['text'];
  /** Looks up requested but unknown facts; false when there were none. */
  lookUp(signal: AbortSignal | undefined): Promise<boolean>;
}

function createWorld(templates: Templates): World {
  const knownTemplates = new Map<string, TemplateFound | TemplateMissing>();
  const knownFiles = new Map<string, FileInfo | undefined>();
  const askedTemplates = new Map<string, { readonly name: string; readonly version: string | undefined }>();
  const askedFiles = new Set<string>();
  const knownTexts = new Map<string, TextFound>();
  const askedTexts = new Set<string>();
  return {
    template(name, version) {
      const key = JSON.stringify([name, version]);
      const known = knownTemplates.get(key);
      if (known !== undefined) return known;
      askedTemplates.set(key, { name, version });
      return { missing: `Template ${name} was not looked up.` };
    },
    fileInfo(path) {
      if (!knownFiles.has(path)) askedFiles.add(path);
      return knownFiles.get(path);
    },
    text(path) {
      if (!knownTexts.has(path)) askedTexts.add(path);
      return knownTexts.get(path);
    },
    async lookUp(signal) {
      if (askedTemplates.size === 0 && askedFiles.size === 0 && askedTexts.size === 0) return false;
      await forEachLimit([...askedTemplates], 8, signal, async ([key, asked]) => {
        knownTemplates.set(key, await templates.look(asked.name, asked.version, signal));
      });
      await forEachLimit([...askedFiles], 8, signal, async (path) => {
        knownFiles.set(path, await fileInfo(path, signal));
      });
      await forEachLimit([...askedTexts], 8, signal, async (path) => {
        knownTexts.set(path, await textOf(path));
      });
      askedTexts.clear();
      askedTemplates.clear();
      askedFiles.clear();
      return true;
    },
  };
}

async function textOf(path: string): Promise<TextFound> {
  try {
    return { text: await readInitFile(path) };
  } catch (error) {
    if (error instanceof EngineError) return { problem: error.message.replace(/\.$/, '') };
    throw error;
  }
}

/** Why an existing file cannot be examined. A file that does not exist is reported as missing, with its path. */
const PROBLEMS: Readonly<Record<string, string>> = {
  EACCES: 'a folder on the way may not be entered',
  ELOOP: 'its symbolic links form a loop',
  ENAMETOOLONG: 'its name is too long',
};

async function fileInfo(path: string, signal: AbortSignal | undefined): Promise<FileInfo | undefined> {
  let found: Awaited<ReturnType<typeof stat>>;
  try {
    found = await stat(path);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return await packedInfo(`${path}.xz`, signal);
    const problem = PROBLEMS[code];
    if (problem !== undefined) return { kind: 'other', size: 0, problem };
    if (code === 'ENOTDIR') return undefined;
    throw error;
  }
  const real = await realpath(path);
  const target = real === path ? {} : { target: real };
  if (!found.isFile()) return { kind: found.isDirectory() ? 'folder' : 'other', size: 0, ...target };
  const plain: FileInfo = { kind: 'file', size: found.size, ...target, writable: await may(path, constants.W_OK) };
  if (!(await may(path, constants.R_OK))) return { ...plain, problem: 'it may not be read' };
  try {
    // Before any program opens the image, and with it the files that it names.
    const parts = await otherParts(path);
    if (parts !== undefined) return { ...plain, parts };
    const image = await inspectImage(path, { signal });
    return { ...plain, virtualSize: image.virtualSize, format: image.format, backing: image.backingFile };
  } catch (error) {
    // Not an image (a script), or no qemu-img yet: planning only needs its size.
    if (error instanceof EngineError && error.code !== 'cancelled') return plain;
    throw error;
  }
}

async function may(path: string, mode: number): Promise<boolean> {
  return await access(path, mode).then(
    () => true,
    () => false,
  );
}

/** An export may have compressed the image, adding `.xz` to its name. */
async function packedInfo(packed: string, signal: AbortSignal | undefined): Promise<FileInfo | undefined> {
  if ((await stat(packed).catch(() => undefined))?.isFile() !== true) return undefined;
  const plain: FileInfo = { kind: 'file', size: 0, packed, target: await realpath(packed) };
  if (!(await may(packed, constants.R_OK))) return { ...plain, problem: 'it may not be read' };
  try {
    const { format, virtualSize, backing } = await peekPacked(packed, signal);
    return { ...plain, format, virtualSize, backing };
  } catch (error) {
    // Unpacking reports what is wrong with it.
    if (error instanceof EngineError && error.code !== 'cancelled') return plain;
    throw error;
  }
}

/** Rejects a draft with errors: one sentence, then every problem with its place. */
export function requireSound(draft: Draft, file: string): PlannedEnvironment {
  const errors = draft.issues.filter((issue) => issue.severity === 'error');
  if (draft.environment !== undefined && errors.length === 0) return draft.environment;
  const count = errors.length === 1 ? 'an error' : `${errors.length} errors`;
  throw new EngineError('input.invalid', `The init file ${file} has ${count}:\n${errors.map(formatIssue).join('\n')}`, {
    hint: 'Nothing was created. Fix the file and try again.',
  });
}
