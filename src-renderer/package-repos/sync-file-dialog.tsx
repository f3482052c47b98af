import { Button, Checkbox, NativeSelect } from '@mantine/core';
import { type ReactElement, useEffect, useMemo, useState } from 'react';
import type { WireError } from '../../src-shared/errors.ts';
import type { ExplainedSection, RepoExplanation } from '../../src-shared/repos/package-repos.ts';
import { readError } from '../engine-client.ts';
import { useCall, useEngine } from '../engine-context.ts';
import { count } from '../format.ts';
import { usePrefixes } from '../live-cache.ts';
import { Issues } from '../plan/issues.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { PathInput } from '../ui/path-input.tsx';
import styles from './dialogs.module.css';

/** What a file means for distributions, as the engine says; undefined before it has. */
interface Explained {
  readonly explanation?: RepoExplanation;
  readonly error?: WireError;
}

function useExplanation(file: string, prefix: string | undefined, distros: readonly string[]): Explained {
  const { connection } = useEngine();
  const [explained, setExplained] = useState<Explained>({});
  const wanted = distros.join(' ');
  useEffect(() => {
    if (!file.startsWith('/')) {
      setExplained({});
      return undefined;
    }
    const abort = new AbortController();
    async function ask(): Promise<void> {
      try {
        const input = { files: [file], distros: wanted === '' ? [] : wanted.split(' '), ...(prefix === undefined ? {} : { prefix }) };
        const explanation = await connection.client.repos.explain(input, { signal: abort.signal });
        if (!abort.signal.aborted) setExplained({ explanation });
      } catch (error) {
        if (!abort.signal.aborted) setExplained({ error: readError(error) });
      }
    }
    void ask();
    return () => abort.abort();
  }, [connection, file, prefix, wanted]);
  return explained;
}

function Section(props: {
  readonly section: ExplainedSection;
  readonly chosen: boolean;
  readonly onChoose: (chosen: boolean) => void;
}): ReactElement {
  const { section, chosen } = props;
  const [address] = section.baseurl;
  // A choice of the user's own needs no other reason.
  const reason = chosen === section.used ? section.reason : chosen ? 'You have chosen it.' : 'You have left it out.';
  return (
    <li className={styles.section}>
      <Checkbox
        size="xs"
        label={section.id}
        description={reason}
        checked={chosen}
        onChange={(event) => props.onChoose(event.currentTarget.checked)}
      />
      {address !== undefined && (
        <span className={styles.address} title={section.baseurl.join('\n')}>
          {address}
        </span>
      )}
    </li>
  );
}

/** Distributions that a file's sections are for, each to be switched on or off. */
function Distros(props: {
  readonly known: readonly string[];
  readonly wanted: readonly string[];
  readonly onChange: (wanted: readonly string[]) => void;
}): ReactElement {
  const { known, wanted, onChange } = props;
  return (
    <div className={styles.distros} role="group" aria-label="Distributions">
      <span className="dim">For VMs of</span>
      {known.map((distro) => {
        const on = wanted.includes(distro);
        return (
          <button
            key={distro}
            type="button"
            className={styles.distro}
            aria-pressed={on}
            onClick={() => onChange(on ? wanted.filter((one) => one !== distro) : [...wanted, distro])}
          >
            {distro}
          </button>
        );
      })}
    </div>
  );
}

/** Asks for a file and shows which of its sections are used, and why, before anything is fetched. The user may choose others. */
export function SyncFileDialog(props: { readonly onClose: () => void }): ReactElement {
  const { onClose } = props;
  const call = useCall();
  const prefixes = usePrefixes();
  const [file, setFile] = useState('');
  const [prefix, setPrefix] = useState('');
  const [picked, setPicked] = useState<readonly string[]>();
  const [own, setOwn] = useState<ReadonlyMap<string, boolean>>(new Map());
  const environments = (prefixes ?? []).filter(({ phase }) => phase === 'ready');
  const distrosOfVms = useMemo(() => {
    const meant = (prefixes ?? []).filter(({ id }) => prefix === '' || id === prefix);
    return [...new Set(meant.flatMap(({ vms }) => vms.flatMap(({ distro }) => distro ?? [])))].toSorted();
  }, [prefixes, prefix]);
  const distros = picked ?? distrosOfVms;
  const path = file.trim();
  const { explanation, error } = useExplanation(path, prefix === '' ? undefined : prefix, distros);
  const sections = explanation?.sections ?? [];
  const known = [...new Set([...distros, ...sections.flatMap(({ distro }) => distro ?? [])])].filter((distro) => distro !== '').toSorted();
  const chosen = sections.filter(({ id, used }) => own.get(id) ?? used).map(({ id }) => id);
  const wrong = explanation?.issues.some(({ severity }) => severity === 'error') === true;

  async function sync(): Promise<void> {
    if (chosen.length === 0 || wrong) return;
    const input = { files: [path], distros: [...distros], sections: chosen, ...(prefix === '' ? {} : { prefix }) };
    const answer = await call(`Could not synchronise ${path}`, (client) => client.repos.sync(input));
    if (answer !== undefined) onClose();
  }

  return (
    <Dialog
      title="Synchronise from a file"
      width={680}
      onClose={onClose}
      onSubmit={() => void sync()}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="filled" disabled={chosen.length === 0 || wrong}>
            {chosen.length === 0 ? 'Sync' : `Sync ${count(chosen.length, 'repository', 'repositories')}`}
          </Button>
        </>
      }
    >
      <PathInput
        label=".repo file or apt sources"
        value={file}
        autoFocus
        error={error?.message ?? (path !== '' && !path.startsWith('/') ? 'Write the whole path, from / on.' : undefined)}
        choices={[{ label: 'Choose…', request: { what: 'file' } }]}
        onChange={(next) => {
          setFile(next);
          setOwn(new Map());
        }}
      />
      {environments.length > 0 && (
        <NativeSelect
          className={styles.environment ?? ''}
          label="Environment"
          description="Is remembered as one that uses the repositories"
          value={prefix}
          data={[{ value: '', label: 'None in particular' }, ...environments.map(({ id, name }) => ({ value: id, label: name }))]}
          onChange={(event) => {
            setPrefix(event.currentTarget.value);
            setPicked(undefined);
            setOwn(new Map());
          }}
        />
      )}
      <div className={styles.explanation} aria-live="polite">
        {explanation === undefined ? (
          <p className={styles.none}>What the file has is shown here before anything is fetched.</p>
        ) : (
          <>
            {known.length > 0 && (
              <Distros
                known={known}
                wanted={distros}
                onChange={(next) => {
                  setPicked(next);
                  setOwn(new Map());
                }}
              />
            )}
            <p className={styles.summary}>
              {sections.length === 0
                ? 'The file has no section that could be synchronised.'
                : `${chosen.length} of ${count(sections.length, 'section')} will be synchronised.`}
            </p>
            {sections.length > 0 && (
              <ul className={styles.sections} aria-label="Sections" tabIndex={0}>
                {sections.map((section) => (
                  <Section
                    key={section.id}
                    section={section}
                    chosen={own.get(section.id) ?? section.used}
                    onChoose={(value) => setOwn(new Map(own).set(section.id, value))}
                  />
                ))}
              </ul>
            )}
            <Issues issues={explanation.issues} />
          </>
        )}
      </div>
    </Dialog>
  );
}
