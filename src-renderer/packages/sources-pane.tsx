import { Button, NativeSelect, TextInput } from '@mantine/core';
import {
  IconArrowDown,
  IconArrowUp,
  IconAsterisk,
  IconFile,
  IconFolder,
  IconFolderPlus,
  IconStack2,
  IconWorld,
  IconX,
} from '@tabler/icons-react';
import { type ReactElement, type SyntheticEvent, useState } from 'react';
import { splitSource } from '../../src-shared/repos/package-repos.ts';
import type { PrefixState } from '../../src-shared/state.ts';
import { isRunning } from '../live-cache.ts';
import { IconButton } from '../ui/feedback/tip.tsx';
import { GuardedButton } from '../ui/guarded-button.tsx';
import { PackageTask, usePackageTask } from './package-task.tsx';
import styles from './packages.module.css';
import { addSources, moveSource, RULES, ruleOf, sourceProblem, withRule } from './source-list.ts';

const ICONS = { address: IconWorld, package: IconFile, pattern: IconAsterisk, folder: IconFolder } as const;

function kindOf(place: string): keyof typeof ICONS {
  if (/^https?:/.test(place)) return 'address';
  if (/[*?[]/.test(place)) return 'pattern';
  return /\.(rpm|deb)$/.test(place) ? 'package' : 'folder';
}

function Source(props: {
  readonly source: string;
  readonly first: boolean;
  readonly last: boolean;
  readonly onChange: (source: string) => void;
  readonly onMove: (by: -1 | 1) => void;
  readonly onRemove: () => void;
}): ReactElement {
  const { source, first, last } = props;
  const { place } = splitSource(source);
  const Symbol = ICONS[kindOf(place)];
  return (
    <li className={styles.source}>
      <Symbol size={16} stroke={1.6} className={styles.sourceIcon ?? ''} />
      <span className={`mono ${styles.place}`} title={place}>
        {place}
      </span>
      <div className={styles.sourceTools}>
        <NativeSelect
          size="xs"
          aria-label={`Rule of ${place}`}
          value={ruleOf(source)}
          data={[...RULES]}
          onChange={(event) => {
            const rule = RULES.find(({ value }) => value === event.currentTarget.value);
            if (rule !== undefined) props.onChange(withRule(source, rule.value));
          }}
        />
        <span className={styles.space} />
        <IconButton
          label={`Move ${place} up`}
          tip="Counts before the one above"
          icon={IconArrowUp}
          disabled={first}
          onClick={() => props.onMove(-1)}
        />
        <IconButton
          label={`Move ${place} down`}
          tip="Counts after the one below"
          icon={IconArrowDown}
          disabled={last}
          onClick={() => props.onMove(1)}
        />
        <IconButton label={`Leave out ${place}`} tip="Leave out" icon={IconX} onClick={props.onRemove} />
      </div>
    </li>
  );
}

/** A field for any kind of source. */
function AddSource(props: { readonly onAdd: (source: string) => void }): ReactElement {
  const [text, setText] = useState('');
  const [problem, setProblem] = useState<string | undefined>(undefined);

  function add(event: SyntheticEvent): void {
    event.preventDefault();
    const wrong = sourceProblem(text);
    setProblem(wrong);
    if (wrong !== undefined) return;
    props.onAdd(text.trim());
    setText('');
  }
  async function choose(): Promise<void> {
    const path = await window.bridge.choosePath({ what: 'directory' });
    if (path !== null) props.onAdd(path);
  }
  return (
    <form className={styles.add} onSubmit={add}>
      <TextInput
        className={styles.addField ?? ''}
        classNames={{ input: 'mono' }}
        aria-label="Source to add"
        placeholder="Path or address"
        value={text}
        error={problem}
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => {
          setText(event.currentTarget.value);
          setProblem(undefined);
        }}
      />
      <Button type="submit" variant="default">
        Add
      </Button>
      <Button variant="default" leftSection={<IconFolderPlus size={16} stroke={1.6} />} onClick={() => void choose()}>
        Folder…
      </Button>
    </form>
  );
}

interface SourcesPaneProps {
  readonly prefix: PrefixState;
  readonly sources: readonly string[];
  /** The distributions that are merged for, as the user writes them; undefined when the VMs say which they have. */
  readonly distros: string | undefined;
  /** Why they cannot be merged now. */
  readonly blocked: string | undefined;
  readonly onSources: (sources: readonly string[]) => void;
  readonly onDistros: (distros: string) => void;
  readonly onMerge: () => void;
}

/** What is merged: the sources in their order, with their rules, and the merge itself while it runs. */
export function SourcesPane(props: SourcesPaneProps): ReactElement {
  const { prefix, sources, onSources } = props;
  const last = usePackageTask('merge', prefix.id);
  const running = last !== undefined && isRunning(last);
  return (
    <section className={styles.pane} aria-label="Sources">
      <div className={styles.paneHead}>
        <h2>Sources</h2>
        <span className={styles.space} />
        <GuardedButton
          variant="filled"
          blocked={props.blocked ?? (running ? 'Packages are being merged' : undefined)}
          leftSection={<IconStack2 size={16} stroke={1.6} />}
          onClick={props.onMerge}
        >
          Merge
        </GuardedButton>
      </div>
      {sources.length === 0 ? (
        <p className="dim">Add the folder of a build, or drop it here.</p>
      ) : (
        <ol className={styles.sources} aria-label="Sources in their order">
          {sources.map((source, at) => (
            <Source
              key={splitSource(source).place}
              source={source}
              first={at === 0}
              last={at === sources.length - 1}
              onChange={(next) => onSources(sources.map((one, index) => (index === at ? next : one)))}
              onMove={(by) => onSources(moveSource(sources, at, by))}
              onRemove={() => onSources(sources.filter((_, index) => index !== at))}
            />
          ))}
        </ol>
      )}
      {props.distros !== undefined && (
        <TextInput
          label="Distributions of the VMs"
          description="The VMs do not say which they have."
          placeholder="el9, debian12"
          value={props.distros}
          spellCheck={false}
          autoComplete="off"
          onChange={(event) => props.onDistros(event.currentTarget.value)}
        />
      )}
      <AddSource onAdd={(source) => onSources(addSources(sources, [source]))} />
      <PackageTask operation={last} />
    </section>
  );
}
