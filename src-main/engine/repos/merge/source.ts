import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EngineError } from '../../../../src-shared/errors.ts';
import { SOURCE_RULES, splitSource } from '../../../../src-shared/repos/package-repos.ts';

/** Where packages come from, as `lago repo merge` and the init file name it. */
export interface MergeSource {
  /** As it was written. */
  readonly text: string;
  /** A folder, a file, a glob, or an address. */
  readonly place: string;
  readonly isUrl: boolean;
  /** Only packages of names that no source before it has. */
  readonly onlyMissing: boolean;
  /** Its packages win over newer ones of other sources. */
  readonly pinned: boolean;
}

/** Sources of repoman that need its servers' protocols. */
const FOREIGN = /^(koji|copr|jenkins|conf|repo-suffix|rec|dir|re|name|distro):/;

/** Reads `SOURCE[:only-missing|:pinned|:latest]`; paths are relative to `folder`. `input.invalid` for sources of repoman that mean nothing here. */
export function parseSource(text: string, folder: string): MergeSource {
  const { place, rules } = splitSource(text);
  const foreign = FOREIGN.exec(place)?.[1];
  if (foreign !== undefined || place === '') {
    const what = place === '' ? 'it names no folder, file or address' : `repoman's "${foreign}:" is not known here`;
    throw new EngineError('input.invalid', `"${text}" is not a source of packages: ${what}.`, {
      hint: `Write a folder, a file, a glob or an http address, each perhaps with ${SOURCE_RULES.map((rule) => `:${rule}`).join(', ')}.`,
    });
  }
  const isUrl = /^https?:\/\//.test(place);
  const path = place.startsWith('file://') ? fileURLToPath(place) : resolve(folder, place);
  return { text, place: isUrl ? place : path, isUrl, onlyMissing: rules.includes('only-missing'), pinned: rules.includes('pinned') };
}

/** A source as it can be named from anywhere. */
export function sourceText({ place, onlyMissing, pinned }: MergeSource): string {
  const rules = SOURCE_RULES.filter((rule) => (rule === 'only-missing' && onlyMissing) || (rule === 'pinned' && pinned));
  return [place, ...rules].join(':');
}
