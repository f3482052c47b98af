import { posix } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { quote } from '../../../src-shared/init-file/name-rules.ts';
import type { PathKey } from '../../../src-shared/init-file/source.ts';
import type { NocloudSeed } from '../seed/cloud-init.ts';
import type { IssueList, PlanContext, TextFound } from './plan-context.ts';
import { askConsent, expandVariables, reportMissing, reportUnusable } from './plan-paths.ts';

const OwnCloudInit = z.looseObject({
  'user-data': z.union([z.string(), z.record(z.string(), z.unknown())]).optional(),
  'meta-data': z.record(z.string(), z.unknown()).optional(),
  'network-config': z.record(z.string(), z.unknown()).optional(),
});

/** The file named by `user-data: {path: FILE}`, as written; undefined if the data is in the init file itself. */
export function userDataFile(cloudInit: unknown): string | undefined {
  const data = OwnCloudInit.safeParse(cloudInit ?? {}).data?.['user-data'];
  return typeof data === 'object' && typeof data['path'] === 'string' ? data['path'] : undefined;
}

/** The absolute path of that file: variables replaced, relative to the init file's folder. */
export function userDataPath(given: string, context: Pick<PlanContext, 'env' | 'initFileDir' | 'prefixPath' | 'workdirPath'>): string {
  return posix.resolve(context.initFileDir, expandVariables(given, context));
}

export type OwnCloudConfig = Pick<NocloudSeed, 'userData' | 'metaData' | 'networkConfig'>;

/**
 * The content of `cloud-init` in the init file: a mapping, the text of a cloud-config, or `{path: FILE}`, whose text is `fileText`. Returns
 * a problem sentence when it is not a cloud-config.
 */
export function ownCloudConfig(cloudInit: unknown, fileText: string | undefined): OwnCloudConfig | { readonly problem: string } {
  const own = OwnCloudInit.safeParse(cloudInit ?? {});
  if (!own.success) return { problem: 'it is not a mapping with user-data or meta-data' };
  const { 'user-data': given, 'meta-data': metaData, 'network-config': networkConfig } = own.data;
  const written = fileText ?? given;
  const data = typeof written === 'string' ? readConfig(written) : { value: written };
  if ('problem' in data) return data;
  const config = z.record(z.string(), z.unknown()).nullish().safeParse(data.value);
  if (!config.success) return { problem: 'it is not a cloud-config mapping' };
  return {
    ...(config.data === undefined || config.data === null ? {} : { userData: config.data }),
    ...(metaData === undefined ? {} : { metaData }),
    ...(networkConfig === undefined ? {} : { networkConfig }),
  };
}

function readConfig(text: string): { readonly value: unknown } | { readonly problem: string } {
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'silent' });
    const [error] = document.errors;
    // Throws on aliases that multiply.
    if (error === undefined) return { value: document.toJS({ maxAliasCount: 100 }) as unknown };
    const { line, col } = lines.linePos(error.pos[0]);
    return { problem: `line ${line}, column ${col}: ${firstLine(error.message)}` };
  } catch (error) {
    return { problem: firstLine(error instanceof Error ? error.message : String(error)) };
  }
}

function firstLine(message: string): string {
  return (message.split('\n')[0] ?? message).replace(/[.:]$/, '');
}

/** Reports problems of a VM's user-data, which `init` would refuse. */
export function checkUserData(vm: string, cloudInit: unknown, context: PlanContext, issues: IssueList): void {
  if (cloudInit === undefined) return;
  const key: readonly PathKey[] = ['domains', vm, 'cloud-init', 'user-data'];
  const given = userDataFile(cloudInit);
  const found = given === undefined ? { text: undefined } : findText(given, [...key, 'path'], context, issues);
  if (found === undefined) return;
  const config = ownCloudConfig(cloudInit, found.text);
  if (!('problem' in config)) return;
  const where = given === undefined ? '' : ` in ${quote(given)}`;
  issues.error(key, `The user-data of ${vm}${where} cannot be used: ${config.problem}.`, 'Write it as "key: value" lines.');
}

function findText(
  given: string,
  key: readonly PathKey[],
  context: PlanContext,
  issues: IssueList,
): Extract<TextFound, { text: string }> | undefined {
  const path = userDataPath(given, context);
  const info = context.fileInfo(path);
  const present = info?.packed === undefined ? info : undefined;
  if (present === undefined) {
    reportMissing('User-data', path, key, issues);
    return undefined;
  }
  if (present.problem !== undefined) {
    reportUnusable('User-data', path, present.problem, key, issues);
    return undefined;
  }
  if (present.kind !== 'file') {
    issues.error(
      key,
      `The user-data ${path} is ${present.kind === 'folder' ? 'a folder' : 'a device or pipe'}, not a file.`,
      'Name a text file.',
    );
    return undefined;
  }
  askConsent(path, present, 'read', key, context, issues);
  const text = context.text(path);
  if (text === undefined || 'text' in text) return text;
  issues.lacking(key, `The user-data ${path} cannot be used: ${text.problem}.`, 'Name a text file.');
  return undefined;
}
