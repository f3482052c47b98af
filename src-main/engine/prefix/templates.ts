import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, isCancelled } from '../../../src-shared/errors.ts';
import type { Log } from '../core/log.ts';
import type { Step } from '../core/operation.ts';
import { dataDirOf } from '../data-dir.ts';
import { findRepositoryByName, findTemplate, loadBuiltInRepository, loadRepository, type TemplateRepository } from '../disk/repository.ts';
import { openStore, type StoredTemplate } from '../disk/store.ts';
import type { EngineSettings } from '../engine.ts';
import type { TemplateFound, TemplateMissing } from './plan-context.ts';

/** The templates that an init file can name: the configured repository and the store. */
export interface Templates {
  /** What is known of a template, or why there is none. Changes nothing. */
  look(name: string, version: string | undefined, signal: AbortSignal | undefined): Promise<TemplateFound | TemplateMissing>;
  /** Brings it into the store unless it is there. Concurrent requests share one download. */
  fetch(name: string, version: string, step: Step): Promise<StoredTemplate>;
  /** Notes that a prefix stands on it. */
  markUsed(fullName: string, uuidFile: string, uuid: string): Promise<void>;
}

const LAGO_STORE = '/var/lib/lago/store';

/** The store that is used: the configured one; where that is Lago's machine-wide default and this user cannot write it, the user's own. */
export async function storePath(settings: EngineSettings): Promise<string> {
  if (settings.templateStore !== LAGO_STORE) return settings.templateStore;
  return await access(LAGO_STORE, constants.W_OK).then(
    () => LAGO_STORE,
    () => join(dataDirOf(process.env), 'store'),
  );
}

/** Opens the repository that the settings name (else the built-in one) over the store. A repository that fails is told per template. */
export async function openTemplates(settings: EngineSettings, resourcesDir: string, log: Log, signal: AbortSignal | undefined): Promise<Templates> {
  const store = openStore(await storePath(settings));
  let loading: Promise<TemplateRepository> | undefined;

  function repository(): Promise<TemplateRepository> {
    loading ??= load();
    return loading;
  }

  async function load(): Promise<TemplateRepository> {
    if (settings.templateRepoPath !== undefined) return await loadRepository(settings.templateRepoPath, { log, signal });
    if (settings.templateRepoName !== undefined) return await findRepositoryByName(settings.templateRepoName, settings.templateRepos, { log, signal });
    return await loadBuiltInRepository(resourcesDir, { log, signal });
  }

  return {
    async look(name, version, lookSignal) {
      try {
        const template = findTemplate(await repository(), name, version);
        return await store.resolve(template, { signal: lookSignal, log });
      } catch (error) {
        if (!(error instanceof EngineError) || isCancelled(error)) throw error;
        // Told as an issue at the line of the file that names the template.
        return { missing: error.hint === undefined ? error.message : `${error.message} ${error.hint}` };
      }
    },
    async fetch(name, version, step) {
      const template = findTemplate(await repository(), name, version);
      return await store.fetch(template, { signal: step.signal, log: step.log, progress: step.progress });
    },
    markUsed: async (fullName, uuidFile, uuid) => await store.markUsed(fullName, uuidFile, uuid),
  };
}
